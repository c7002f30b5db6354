//! Asks each URL when it is time to.
//!
//! State that cannot be used for a while costs the samples of that while.

use std::collections::BTreeMap;

use kit::{
    Pollable,
    bindings::soloist::plugin::term,
    client::{Failure, Flight, Outgoing, Url},
    clock::{Moment, random, until, wall_ms},
    poll,
    state::{State, StateError},
};

use crate::{
    checks::{self, Check, Names},
    history::{History, Sample},
};

/// From one look at what is to be checked to the next, in milliseconds.
const LOOK: u64 = 1_000;
/// How long an answer may take, in milliseconds.
const PATIENCE: u64 = 10_000;
/// How many are asked at the same time.
const AT_ONCE: usize = 16;
/// The longest error that is kept, in characters.
const ERROR_MAX: usize = 120;

/// Works until the term is ending. Probes without an answer are dropped then.
pub(crate) fn perform(ending: &Pollable, state: &State) {
    let mut prober = Prober {
        state,
        fencing_token: term::current().fencing_token,
        checks: BTreeMap::new(),
        due: BTreeMap::new(),
        in_flight: BTreeMap::new(),
    };
    let (mut look, mut told) = (Moment::now(), None);
    while !ending.ready() {
        let trouble = prober.step(Moment::now() >= look).err().map(String::from);
        if trouble.is_some() && trouble != told {
            eprintln!("{}", trouble.as_deref().unwrap_or_default());
        }
        told = trouble;
        if Moment::now() >= look {
            look = Moment::now().plus(LOOK);
        }
        let in_flight: Vec<_> =
            prober.in_flight.values().flat_map(|probe| probe.flight.pollables()).collect();
        poll(&in_flight.iter().chain([ending, &look.pollable()]).collect::<Vec<_>>());
    }
}

/// A request without an answer yet.
struct Probe {
    check: Check,
    at: u64,
    flight: Flight,
}

struct Prober<'a> {
    state: &'a State,
    fencing_token: u64,
    checks: BTreeMap<String, Check>,
    /// When each is asked next, and the check that this is true of.
    due: BTreeMap<String, (Moment, Check)>,
    in_flight: BTreeMap<String, Probe>,
}

impl Prober<'_> {
    fn step(&mut self, look: bool) -> Result<(), StateError> {
        if look {
            self.look()?;
        }
        self.ask();
        self.hear()
    }

    /// Finds out what is to be checked.
    fn look(&mut self) -> Result<(), StateError> {
        let names = Names::read(self.state)?;
        self.checks = names.checks(self.state)?;
        // An answer that came while its check was deleted.
        let stray: Vec<_> = names.histories.difference(&names.checks).collect();
        for names in stray.chunks(64) {
            let keys: Vec<_> = names.iter().map(|name| checks::history(name)).collect();
            self.state.delete(&keys)?;
        }
        self.due.retain(|name, (_, check)| self.checks.get(name) == Some(check));
        self.in_flight.retain(|name, probe| self.checks.get(name) == Some(&probe.check));
        for (name, check) in self.checks.clone() {
            if !self.due.contains_key(&name) && !self.in_flight.contains_key(&name) {
                let wait = self.wait(&name, &check)?;
                self.due.insert(name, (Moment::now().plus(wait), check));
            }
        }
        Ok(())
    }

    /// How long it is until a check that this leader never made.
    fn wait(&self, name: &str, check: &Check) -> Result<u64, StateError> {
        let history: Option<History> = self.state.read(&checks::history(name))?;
        let history = history.unwrap_or_default().of(&check.url);
        let every = check.every_ms();
        Ok(history.last().map_or(0, |last| until(last.at.saturating_add(every), wall_ms(), every)))
    }

    /// Asks what it is time to.
    fn ask(&mut self) {
        let now = Moment::now();
        let due: Vec<_> = self.due.iter().filter(|(_, (at, _))| *at <= now).collect();
        let room = AT_ONCE.saturating_sub(self.in_flight.len());
        let names: Vec<_> = due.into_iter().take(room).map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some((_, check)) = self.due.remove(&name) else { continue };
            match request(&check) {
                Ok(flight) => {
                    self.in_flight.insert(name, Probe { check, at: wall_ms(), flight });
                }
                Err(failure) => {
                    eprintln!("{name} cannot be asked: {}", failure.text());
                    self.plan(name, check);
                }
            }
        }
    }

    /// When to ask again: after the interval, give or take a tenth.
    fn plan(&mut self, name: String, check: Check) {
        let every = check.every_ms();
        let wait = every - every / 10 + random() % (every / 5);
        self.due.insert(name, (Moment::now().plus(wait), check));
    }

    /// Takes down the answers that have come.
    fn hear(&mut self) -> Result<(), StateError> {
        let advance = |(name, probe): (&String, &mut Probe)| {
            Some((name.clone(), probe.flight.age_ms(), probe.flight.advance()?))
        };
        let over: Vec<_> = self.in_flight.iter_mut().filter_map(advance).collect();
        let mut samples = Vec::new();
        for (name, took, answer) in over {
            let Some(Probe { check, at, .. }) = self.in_flight.remove(&name) else { continue };
            let (status, error) = match answer {
                Ok(status) => (Some(status), None),
                Err(Failure::Other(text)) => (None, Some(text.chars().take(ERROR_MAX).collect())),
                Err(Failure::NotGranted(text)) => {
                    eprintln!("{name} cannot be asked: {text}");
                    self.plan(name, check);
                    continue;
                }
            };
            let sample = Sample { at, took, status, error, fencing_token: self.fencing_token };
            samples.push((name.clone(), check.url.clone(), sample));
            self.plan(name, check);
        }
        samples.into_iter().try_for_each(|(name, url, sample)| self.keep(&name, &url, sample))
    }

    fn keep(&self, name: &str, url: &str, sample: Sample) -> Result<(), StateError> {
        let key = checks::history(name);
        let history: Option<History> = self.state.read(&key)?;
        let mut history = history.unwrap_or_default().of(url);
        history.push(sample);
        self.state.write(&key, &history)
    }
}

fn request(check: &Check) -> Result<Flight, Failure> {
    let url = Url::parse(&check.url)?;
    let headers = [("user-agent".to_owned(), b"soloist-uptime".to_vec())];
    let outgoing = Outgoing { method: "GET", url: &url, headers: &headers, body: b"" };
    Flight::start(&outgoing, PATIENCE)
}
