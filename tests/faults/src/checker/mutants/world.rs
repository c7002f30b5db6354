//! An invented cluster, and the histories that it leaves.

use fastrand::Rng;
use serde_json::json;

use super::Mutant;
use crate::checker::{EPOCH, Histories, HostLog};
use crate::history::made::answered;
use crate::history::{Action, Client, Outcome, Record};
use crate::injected_fault::{InjectedFault, Observation, Rebased, made};
use crate::kind::Kind;

const MS: u64 = 1_000_000;
const HOSTS: [&str; 3] = ["a", "b", "c"];
/// How many requests a term answers.
const REQUESTS: u64 = 40;
/// The request of a term after which a former leader meddles: the register is still lower than
/// the former leader left it, where it was emptied.
const MEDDLING: u64 = 12;
/// How long a request may be under way before and after its effect.
const WAY: u64 = 2 * MS;

/// How a term ends; a fault is injected at that moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Crash,
    Restore,
    Deletion,
}

/// What the store has: the state that a snapshot keeps.
#[derive(Clone, Copy, Default)]
struct Store {
    revision: u64,
    register: u64,
}

/// A time in which one host leads.
#[derive(Clone, Copy)]
struct Term {
    leader: usize,
    fencing_token: u64,
    to: u64,
}

/// A cluster under way: terms follow each other, each answers some requests.
pub(super) struct World {
    mutant: Mutant,
    random: Rng,
    now: u64,
    store: Store,
    /// What the store was in the midst of the term, and since when that was being saved.
    snapshot: (u64, Store),
    /// The latest term that has ended.
    former: Option<Term>,
    records: Vec<Record>,
    faults: Vec<InjectedFault>,
    /// The lines of each host's log.
    logs: [Vec<String>; 3],
}

impl World {
    /// The histories of a cluster that goes through two crashes, a restore and a deletion,
    /// in an order that follows from the seed.
    pub(super) fn run(seed: u64, mutant: Mutant) -> Histories {
        let mut world = Self {
            mutant,
            random: Rng::with_seed(seed),
            now: 1000 * MS,
            store: Store { revision: 10, register: 0 },
            snapshot: (0, Store::default()),
            former: None,
            records: Vec::new(),
            faults: Vec::new(),
            logs: Default::default(),
        };
        let mut ends = [End::Crash, End::Crash, End::Restore, End::Deletion];
        world.random.shuffle(&mut ends);
        for end in ends {
            let term = world.perform();
            world.end(term, end);
        }
        world.perform();
        world.finish()
    }

    /// A term: somebody campaigns, leads, and answers.
    fn perform(&mut self) -> Term {
        let leader = self.random.usize(..HOSTS.len());
        self.store.revision += 1;
        let (fencing_token, from) = (self.store.revision, self.now);
        let term = Term { leader, fencing_token, to: from + REQUESTS * MS };
        self.log(leader, json!({ "event": "leading", "fencing_token": fencing_token }));
        match self.mutant {
            Mutant::SharesItsToken => {
                self.log(
                    (leader + 1) % 3,
                    json!({ "event": "leading", "fencing_token": fencing_token }),
                );
            }
            Mutant::ReusesItsToken => {
                self.log(leader, json!({ "event": "leading", "fencing_token": fencing_token }));
            }
            _ => {}
        }
        for number in 0..REQUESTS {
            // Effects follow each other; what is under way at once overlaps.
            self.now = from + number * MS + self.random.u64(..MS);
            if number == REQUESTS / 2 {
                self.snapshot = (self.now, self.store);
                continue;
            }
            self.ask(&term, number);
            if number == MEDDLING {
                self.meddle(&term);
            }
        }
        self.now = term.to;
        term
    }

    /// One request whose effect is now.
    fn ask(&mut self, term: &Term, number: u64) {
        let (sent, received) = self.way();
        // Those at the edges are answered: the term is to be seen, and its register.
        let is_lost = (6..34).contains(&number) && self.random.u8(..8) == 0;
        let action = if number.is_multiple_of(2) { Action::Web } else { Action::Register };
        let has_effect = action == Action::Register && (!is_lost || self.random.bool());
        if has_effect {
            self.write(number);
        }
        if is_lost {
            let client = Client::Steady;
            let outcome = Outcome::Lost("timed out".into());
            self.records.push(Record { client, action, asked: HOSTS[0], sent, received, outcome });
        } else {
            let value = (action == Action::Register).then_some(self.store.register);
            self.answer(term, value, (sent, received));
        }
    }

    /// A write takes effect.
    fn write(&mut self, number: u64) {
        self.store.revision += 1;
        self.store.register += match self.mutant {
            Mutant::CountsTwice => 2,
            Mutant::RepeatsValues if number == 35 => 0,
            _ => 1,
        };
    }

    /// When a request was sent whose effect is now, and when its answer came.
    fn way(&mut self) -> (u64, u64) {
        (self.now - self.random.u64(1..WAY), self.now + self.random.u64(1..WAY))
    }

    /// A good answer under a term's fencing token; of the register, if there is a value.
    fn answer(&mut self, term: &Term, value: Option<u64>, (sent, received): (u64, u64)) {
        let fencing_token = term.fencing_token;
        let said =
            if self.mutant == Mutant::ConfusesTokens { fencing_token + 1 } else { fencing_token };
        let body = match value {
            Some(_) if self.mutant == Mutant::Babbles => "hello".to_owned(),
            Some(value) => format!("{said} {value}\n"),
            None => "hello".to_owned(),
        };
        let mut record = answered(200, fencing_token, sent, received, &body);
        if value.is_none() {
            record.action = Action::Web;
        }
        record.asked = HOSTS[self.random.usize(..HOSTS.len())];
        if let Outcome::Answer(answer) = &mut record.outcome {
            answer.host = Some(HOSTS[term.leader].to_owned());
            match self.mutant {
                // An answer without a fencing token is no write either: the register is left alone.
                Mutant::HidesItsToken if value.is_none() => answer.fencing_token = None,
                Mutant::HidesItsName => answer.host = None,
                _ => {}
            }
        }
        self.records.push(record);
    }

    /// What a former leader does in the term of the next one.
    fn meddle(&mut self, term: &Term) {
        let Some(former) = self.former else { return };
        let now = self.now;
        match self.mutant {
            Mutant::AnswersAfterItsTerm => {
                for late in 0..3 {
                    let sent = now - 5 * MS + late * MS;
                    self.answer(&former, None, (sent, sent + WAY));
                }
            }
            Mutant::AnswersLate => self.answer(&former, None, (now, now + MS)),
            Mutant::IsUnfenced | Mutant::WritesAfterDeletion => {
                self.store.register += 1;
                self.answer(&former, Some(self.store.register), (now, now + WAY));
                // And the leader's own next write.
                self.store.register += 1;
                self.answer(term, Some(self.store.register), (now, now + WAY));
            }
            _ => {}
        }
    }

    /// A fault ends the term; when this returns, the next one can begin.
    fn end(&mut self, term: Term, end: End) {
        let at = self.now;
        let injected = match end {
            End::Crash => self.crash(),
            End::Restore => self.restore(&term),
            End::Deletion => self.delete(),
        };
        self.refuse(at);
        let failed =
            if self.mutant == Mutant::IsSilent { vec!["b is silent".into()] } else { Vec::new() };
        self.faults.push(InjectedFault {
            fencing_token: term.fencing_token,
            at,
            since: at,
            healed: self.now,
            steady: self.now + 20 * MS,
            observations: vec![Observation { what: "all report it".into(), failed }],
            ..injected
        });
        self.log(
            term.leader,
            json!({ "event": "stopping", "fencing_token": term.fencing_token, "cause": "x" }),
        );
        let is_of_interest = match self.mutant {
            Mutant::WritesAfterDeletion => end == End::Deletion,
            // Fencing tokens compare within an epoch alone.
            _ => end != End::Restore,
        };
        self.former = is_of_interest.then_some(term);
    }

    fn crash(&mut self) -> InjectedFault {
        if self.mutant == Mutant::Panics {
            self.logs[1].push("thread 'x' panicked at src/lib.rs:1:1:".to_owned());
        }
        if self.mutant == Mutant::ForgetsWrites {
            self.store.register -= 3;
        }
        self.now += match self.mutant {
            Mutant::TakesOverLate => 150 * MS,
            _ => self.random.u64(10 * MS..60 * MS),
        };
        made::fault(Kind::Crash)
    }

    /// All hosts notice, are stopped and started again; the store is what it was in the
    /// midst of the term.
    fn restore(&mut self, term: &Term) -> InjectedFault {
        let (begun, kept) = self.snapshot;
        let held = self.now + 10 * MS;
        let at = held + self.random.u64(10 * MS..50 * MS);
        match self.mutant {
            Mutant::AnswersAfterRestore => self.answer(term, None, (held + MS, held + 2 * MS)),
            Mutant::AnswersUntilRestart => self.answer(term, None, (held - MS, at + MS)),
            _ => {}
        }
        let register = match self.mutant {
            Mutant::ForgetsTheSnapshot => kept.register.saturating_sub(8),
            Mutant::InventsWrites => kept.register + 100,
            _ => kept.register,
        };
        self.store = Store { register, ..kept };
        self.now = at + 5 * MS;
        for log in &mut self.logs {
            log.push(json!({ "event": EPOCH }).to_string());
        }
        let rebased = Rebased::Restored { saved: (begun - WAY, begun + WAY), held, at };
        InjectedFault { rebased: Some(rebased), ..made::fault(Kind::Restore) }
    }

    /// Every key of the cluster is deleted; hosts are notified, and campaign again.
    fn delete(&mut self) -> InjectedFault {
        self.store.revision += 1;
        self.store.register = 0;
        let rebased =
            Rebased::Emptied { revision: self.store.revision, during: (self.now, self.now + MS) };
        self.now += match self.mutant {
            Mutant::NoticesLate => 1200 * MS,
            _ => self.random.u64(10 * MS..200 * MS),
        };
        InjectedFault { rebased: Some(rebased), ..made::fault(Kind::DeletedPrefix) }
    }

    /// Requests while nobody leads have no effect.
    fn refuse(&mut self, since: u64) {
        let sent = since + WAY + self.random.u64(..MS);
        let mut refused = answered(503, 0, sent, sent + MS, "nobody leads");
        self.records.push(refused.clone());
        refused.outcome = Outcome::Unreached;
        self.records.push(refused);
    }

    fn log(&mut self, host: usize, line: impl ToString) {
        self.logs[host].push(line.to_string());
    }

    /// The last request of all is the bench's own.
    fn finish(self) -> Histories {
        let forgotten = if self.mutant == Mutant::ForgetsAtTheEnd { 3 } else { 0 };
        let read = |(host, lines): (&&str, &Vec<String>)| HostLog::read(host, &lines.join("\n"));
        Histories {
            hosts: HOSTS.iter().zip(&self.logs).map(read).collect(),
            records: self.records,
            unreached: 0,
            register: Some(self.store.register + 1 - forgotten),
            faults: self.faults,
        }
    }
}
