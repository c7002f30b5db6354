//! Sends what waits, one at a time for each topic.
//!
//! Invariants:
//! - A webhook that was taken after another was confirmed never overtakes it.
//! - State that cannot be used for a while costs time and nothing else: what was
//!   not taken down is done again, under the same id.
//!
//! State tells nobody that it has changed, so the sender looks again and again.

use std::collections::{BTreeMap, BTreeSet};

use kit::{
    Pollable,
    client::{Failure, Flight},
    clock::{Moment, wall_ms},
    poll,
    state::{State, StateError},
};

use crate::{
    delivery::Delivery,
    keys::{self, Ids, Index},
    topic::{Topic, Turn},
};

/// From one look to the next, in milliseconds.
const LOOK: u64 = 250;
/// A look may take this part of the time, where there is much to look at.
const SHARE: u64 = 10;
/// Until the next look after the state could not be used, in milliseconds.
const TROUBLE: u64 = 1_000;

/// Works until the term is ending. What is under way then is waited for: its
/// target is about to have it.
pub(crate) fn perform(ending: &Pollable, state: &State) -> Result<(), String> {
    let mut sender = Sender::new(state);
    let (mut look, mut told) = (Moment::now(), None);
    loop {
        let done = sender.step(ending.ready(), Moment::now() >= look);
        if ending.ready() && sender.in_flight.is_empty() {
            return Ok(());
        }
        match done {
            Ok(None) => {}
            Ok(Some(pause)) => (look, told) = (Moment::now().plus(pause), None),
            Err(error) => {
                look = Moment::now().plus(TROUBLE);
                let error = String::from(error);
                if told.as_ref() != Some(&error) {
                    eprintln!("{error}");
                    told = Some(error);
                }
            }
        }
        sender.wait(ending, look);
    }
}

/// What is under way in one topic.
struct Attempt {
    attempts_max: u32,
    turn: Turn,
    flight: Flight,
}

/// What the sender knows, and what it has under way.
struct Sender<'a> {
    state: &'a State,
    topics: BTreeMap<String, Topic>,
    waiting: Ids,
    /// Nobody else writes these, so they are read once.
    turns: BTreeMap<String, Turn>,
    in_flight: BTreeMap<String, Attempt>,
}

impl<'a> Sender<'a> {
    fn new(state: &'a State) -> Self {
        let (topics, waiting) = (BTreeMap::new(), Ids::new());
        Self { state, topics, waiting, turns: BTreeMap::new(), in_flight: BTreeMap::new() }
    }

    /// Does what is to be done now. After a look, how long it is to the next one.
    fn step(&mut self, ending: bool, look: bool) -> Result<Option<u64>, StateError> {
        self.finish()?;
        if ending {
            return Ok(None);
        }
        let began = Moment::now();
        let fresh = if look { Some(self.look()?) } else { None };
        let took = Moment::now().since(began);
        self.begin()?;
        // A topic that was not known has not been looked into yet.
        Ok(fresh.map(|fresh| if fresh { 0 } else { LOOK.max(took * SHARE) }))
    }

    /// Until something is to be done.
    fn wait(&self, ending: &Pollable, look: Moment) {
        let in_flight = self.in_flight.values();
        let mut list: Vec<_> = in_flight.flat_map(|attempt| attempt.flight.pollables()).collect();
        // Once it is ending, neither is news.
        if !ending.ready() {
            list.push(look.pollable());
        }
        let ending = (!ending.ready()).then_some(ending);
        poll(&list.iter().chain(ending).collect::<Vec<_>>());
    }

    /// Finds out what there is. Whether there are topics that were not known.
    ///
    /// A long list is not of one moment: an id may be on it although an earlier
    /// one, which was confirmed before, is not. The numbers that were given
    /// before it was begun tell which are of no later moment.
    fn look(&mut self) -> Result<bool, StateError> {
        let counters: Vec<_> = self.topics.keys().map(|name| keys::last(name)).collect();
        let counters: BTreeMap<String, u64> = self.state.read_all(&counters)?.into_iter().collect();
        let index = Index::read(self.state)?;
        keys::tell_room(self.state, &index)?;
        let records: Vec<_> = index.topics.iter().map(|name| keys::topic(name)).collect();
        let records: BTreeMap<String, Topic> = self.state.read_all(&records)?.into_iter().collect();
        self.waiting = index.waiting;
        for (name, ids) in &mut self.waiting {
            let last = counters.get(&keys::last(name)).copied().unwrap_or_default();
            ids.retain(|id| keys::number(id).is_some_and(|number| number <= last));
        }
        let known: BTreeSet<_> = std::mem::take(&mut self.topics).into_keys().collect();
        let topic = |name: &String| Some((name.clone(), records.get(&keys::topic(name))?.clone()));
        self.topics = index.topics.iter().filter_map(topic).collect();
        Ok(self.topics.keys().any(|name| !known.contains(name)))
    }

    /// Sets off wherever it is time to.
    fn begin(&mut self) -> Result<(), StateError> {
        let now = wall_ms();
        for (name, topic) in self.topics.clone() {
            let (Some(target), false) = (&topic.target, self.in_flight.contains_key(&name)) else {
                continue;
            };
            let Some(id) = self.waiting.get(&name).and_then(BTreeSet::first).cloned() else {
                continue;
            };
            let turn = self.turn(&name, &id)?;
            if turn.wait(now) == 0 {
                self.set_off(&name, target, topic.attempts, turn)?;
            }
        }
        Ok(())
    }

    fn turn(&mut self, name: &str, id: &str) -> Result<Turn, StateError> {
        let turn = match self.turns.remove(name) {
            Some(turn) => turn,
            None => self.state.read(&keys::turn(name))?.unwrap_or_default(),
        };
        let turn = turn.of(id);
        self.turns.insert(name.to_owned(), turn.clone());
        Ok(turn)
    }

    fn set_off(
        &mut self,
        name: &str,
        target: &str,
        attempts_max: u32,
        turn: Turn,
    ) -> Result<(), StateError> {
        if turn.attempts >= attempts_max {
            return self.bury(name, &turn);
        }
        let Some(bytes) = self.state.get(&keys::waiting(name, &turn.id))? else {
            // A person took it away.
            return self.settle(name, &turn);
        };
        let unreadable = || Failure::Other("it cannot be read".to_owned());
        let delivery = Delivery::of_bytes(&bytes).ok_or_else(unreadable);
        match delivery.and_then(|delivery| delivery.send(target, &turn.id)) {
            Ok(flight) => {
                self.in_flight.insert(name.to_owned(), Attempt { attempts_max, turn, flight });
                Ok(())
            }
            Err(error) => self.fail(name, attempts_max, turn, error),
        }
    }

    /// Takes down what has come of those under way that are over.
    fn finish(&mut self) -> Result<(), StateError> {
        let advance = |(name, attempt): (&String, &mut Attempt)| {
            Some((name.clone(), attempt.flight.advance()?))
        };
        let over: Vec<_> = self.in_flight.iter_mut().filter_map(advance).collect();
        // Whatever fails here, none of them is under way any more.
        let over: Vec<_> = over
            .into_iter()
            .filter_map(|(name, answer)| Some((self.in_flight.remove(&name)?, name, answer)))
            .collect();
        for (Attempt { attempts_max, turn, .. }, name, answer) in over {
            match answer {
                Ok(200..=299) => self.settle(&name, &turn)?,
                Ok(status) => {
                    let failure = Failure::Other(format!("it answered {status}"));
                    self.fail(&name, attempts_max, turn, failure)?;
                }
                Err(error) => self.fail(&name, attempts_max, turn, error)?,
            }
        }
        Ok(())
    }

    fn fail(
        &mut self,
        name: &str,
        attempts_max: u32,
        mut turn: Turn,
        failure: Failure,
    ) -> Result<(), StateError> {
        let before = std::mem::take(&mut turn.last_error);
        match failure {
            Failure::NotGranted(text) => turn.postpone(text, wall_ms()),
            Failure::Other(text) => turn.fail(text, wall_ms()),
        }
        if turn.last_error != before {
            eprintln!("{name}: {} failed: {}", turn.id, turn.last_error);
        }
        self.turns.insert(name.to_owned(), turn.clone());
        self.state.write(&keys::turn(name), &turn)?;
        if turn.attempts >= attempts_max { self.bury(name, &turn) } else { Ok(()) }
    }

    /// Puts a webhook with the dead letters before it leaves the queue; another
    /// leader that finds it in both places does the same again.
    fn bury(&mut self, name: &str, turn: &Turn) -> Result<(), StateError> {
        let Turn { id, attempts, last_error, .. } = turn;
        if let Some(delivery) = self.state.get(&keys::waiting(name, id))? {
            // First why: who sees a dead letter is to see that as well.
            self.state.write(&keys::why(name, id), turn)?;
            self.state.set(&keys::dead(name, id), &delivery)?;
            eprintln!("{name}: {id} is a dead letter after {attempts} attempts: {last_error}");
        }
        self.settle(name, turn)
    }

    /// Takes a webhook out of the queue.
    fn settle(&mut self, name: &str, turn: &Turn) -> Result<(), StateError> {
        self.state.delete(&[keys::waiting(name, &turn.id), keys::turn(name)])?;
        self.turns.remove(name);
        if let Some(ids) = self.waiting.get_mut(name) {
            ids.remove(&turn.id);
        }
        Ok(())
    }
}
