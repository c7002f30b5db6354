//! The ledger of a job: each run is claimed once, whichever other host tries as well.

mod lossy_state;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use soloist::action::{Ledger, LedgerOpening, NumberedRecord, RECORDS_MAX, TermOver, history};
use soloist_guests::capability::{TermLink, TermNotice};
use soloist_heart::{Group, LeaderKey, Term, clock::BootTime};
use soloist_jobs::{JobMark, JobRun, RunOutcome, RunRecord};
use soloist_leadership::{Deadline, Gate};
use soloist_stores::StateStore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use self::lossy_state::LossyState;
use crate::{
    state::{TestState, put},
    world::{TestHost, World, soon},
};

const JOB: &str = "report";
const SCHEDULE: &str = "every 1s";

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn run(second: i64) -> JobRun {
    JobRun::scheduled(JOB, at(second))
}

/// A leader that keeps a ledger.
struct LedgerLeader {
    ledger: Ledger,
    gate: Arc<Gate>,
    notices: UnboundedReceiver<TermNotice>,
}

impl LedgerLeader {
    fn of(host: &TestHost, key: &LeaderKey) -> Self {
        Self::by(host, key, host.store.ledger().unwrap())
    }

    fn by(host: &TestHost, key: &LeaderKey, store: Arc<dyn StateStore>) -> Self {
        let term = Term {
            group: Group::main(),
            host: host.name.as_str().into(),
            fencing_token: key.fencing_token,
        };
        let gate = Arc::new(Gate::new(term, Arc::new(Deadline::new(BootTime::NEVER))));
        let (told, notices) = unbounded_channel();
        let state = host.store.state().unwrap();
        let term = TermLink {
            gate: gate.clone(),
            key: key.clone(),
            state,
            notices: told,
            task_caller: None,
        };
        Self { ledger: Ledger::new(JOB.into(), term, store), gate, notices }
    }

    async fn open(&self, second: i64) -> (JobMark, Vec<RunRecord>) {
        self.open_as(LedgerOpening::First, second).await
    }

    async fn open_as(&self, it: LedgerOpening, second: i64) -> (JobMark, Vec<RunRecord>) {
        soon(self.ledger.open(at(second), SCHEDULE, it)).await.unwrap()
    }

    async fn claims(&self, mark: &JobMark, second: i64) -> (JobMark, NumberedRecord) {
        match soon(self.ledger.claim(mark, &run(second), 0, at(second), || true)).await.unwrap() {
            Some(claim) => claim,
            None => panic!("the mark is not {mark:?} any more"),
        }
    }
}

async fn kept_records(world: &World) -> Vec<RunRecord> {
    let ledger = world.open().ledger().unwrap();
    soon(history(&*ledger, JOB, RECORDS_MAX as usize)).await.unwrap().1
}

fn ids(records: &[RunRecord]) -> Vec<&str> {
    records.iter().map(|record| &*record.id).collect()
}

pub(crate) async fn a_run_is_claimed_kept_and_ended(world: &World) {
    let host = world.host("a").await;
    let leader = LedgerLeader::of(&host, &host.win().await);
    let (mark, records) = leader.open(10).await;
    assert_eq!((mark.settled, mark.count, records.len()), (at(10), 0, 0));
    let (mark, mut page) = leader.claims(&mark, 11).await;
    assert_eq!((mark.settled, mark.count), (at(11), 1));
    assert_eq!((page.record.outcome, page.record.missed_runs), (RunOutcome::Running, 0));
    page.record.outcome = RunOutcome::Done;
    page.record.output = "hello".to_owned();
    soon(leader.ledger.update(&page)).await.unwrap();
    assert_eq!(kept_records(world).await, [page.record.clone()]);
    // A run that has ended does not change any more.
    page.record.outcome = RunOutcome::Failed;
    soon(leader.ledger.update(&page)).await.unwrap();
    assert_eq!(kept_records(world).await[0].outcome, RunOutcome::Done);
    // A run by hand settles nothing of the schedule.
    let by_hand = JobRun::by_hand(JOB, at(12));
    let claim = soon(leader.ledger.claim(&mark, &by_hand, 0, at(12), || true)).await.unwrap();
    let Some((mark, _)) = claim else { panic!("it was not made") };
    assert_eq!((mark.settled, mark.count), (at(11), 2));
}

pub(crate) async fn a_claim_goes_by_the_mark_that_is(world: &World) {
    let host = world.host("a").await;
    let leader = LedgerLeader::of(&host, &host.win().await);
    let (mark, _) = leader.open(10).await;
    leader.claims(&mark, 11).await;
    // Not even by the leader itself with an outdated mark, nor for another run.
    for second in [11, 12] {
        let claim =
            soon(leader.ledger.claim(&mark, &run(second), 7, at(12), || true)).await.unwrap();
        assert!(claim.is_none(), "{claim:?}");
    }
    assert_eq!(ids(&kept_records(world).await), ["report@1970-01-01T00:00:11Z"]);
}

pub(crate) async fn what_is_late_when_the_store_answers_is_not_claimed(world: &World) {
    let host = world.host("a").await;
    let leader = LedgerLeader::of(&host, &host.win().await);
    let (mark, _) = leader.open(10).await;
    let claim = soon(leader.ledger.claim(&mark, &run(11), 0, at(11), || false)).await.unwrap();
    assert!(claim.is_none(), "{claim:?}");
    assert_eq!((leader.open(12).await.0.settled, kept_records(world).await.len()), (at(10), 0));
}

pub(crate) async fn who_leads_no_more_claims_nothing(world: &World) {
    let (former, next) = (world.host("a").await, world.host("b").await);
    let key = former.win().await;
    let mut stale = LedgerLeader::of(&former, &key);
    let (mark, _) = stale.open(10).await;
    let (mark, page) = stale.claims(&mark, 11).await;
    soon(former.store.resign(&key)).await.unwrap();
    // Before any other host has read the ledger.
    let claim = soon(stale.ledger.claim(&mark, &run(12), 0, at(12), || true)).await;
    assert_eq!(claim.unwrap_err(), TermOver);
    assert!(stale.gate.is_revoked(), "nothing else of the term may leave");
    assert_eq!(stale.notices.try_recv(), Ok(TermNotice::Fenced));
    assert_eq!(kept_records(world).await, [page.record]);

    let leader = LedgerLeader::of(&next, &next.win().await);
    let (mark, records) = leader.open(20).await;
    assert_eq!((mark.settled, records.len()), (at(11), 1));
    leader.claims(&mark, 12).await;
    assert_eq!(kept_records(world).await.len(), 2);
}

pub(crate) async fn what_was_under_way_is_interrupted(world: &World) {
    let (former, next) = (world.host("a").await, world.host("b").await);
    let key = former.win().await;
    let leader = LedgerLeader::of(&former, &key);
    let (mark, _) = leader.open(10).await;
    let (mark, mut done) = leader.claims(&mark, 11).await;
    done.record.outcome = RunOutcome::Done;
    soon(leader.ledger.update(&done)).await.unwrap();
    leader.claims(&mark, 12).await;
    // Not when the same leader opens the ledger again.
    for again in [LedgerOpening::Again, LedgerOpening::Reset] {
        let (_, records) = leader.open_as(again, 13).await;
        assert_eq!(records[1].outcome, RunOutcome::Running, "{again:?}");
    }
    soon(former.store.revoke(former.lease)).await.unwrap();

    let leader = LedgerLeader::of(&next, &next.win().await);
    let (mark, records) = leader.open(30).await;
    assert_eq!(mark.settled, at(13));
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [RunOutcome::Done, RunOutcome::Interrupted]);
    assert_eq!(records[1].ended_at, Some(at(30)));
    assert_eq!(kept_records(world).await, records);
    // The outcome is written for good.
    assert_eq!(leader.open(40).await.1, records);
}

pub(crate) async fn the_latest_are_kept(world: &World) {
    let host = world.host("a").await;
    let leader = LedgerLeader::of(&host, &host.win().await);
    let (mut mark, _) = leader.open(10).await;
    for second in 11..71 {
        mark = leader.claims(&mark, second).await.0;
    }
    let records = kept_records(world).await;
    assert_eq!(records.len() as u64, RECORDS_MAX);
    assert_eq!((records[0].scheduled_at, records[49].scheduled_at), (at(21), at(70)));
    let ledger = TestState(world.open().ledger().unwrap());
    assert_eq!(ledger.list(JOB).await.len() as u64, RECORDS_MAX + 1);
}

pub(crate) async fn another_schedule_begins_now(world: &World) {
    let host = world.host("a").await;
    let leader = LedgerLeader::of(&host, &host.win().await);
    let (mark, _) = leader.open(10).await;
    let (mark, _) = leader.claims(&mark, 11).await;
    let opened = |schedule| leader.ledger.open(at(500), schedule, LedgerOpening::First);
    assert_eq!(soon(opened(SCHEDULE)).await.unwrap().0, mark);
    let (other, _) = soon(opened("@daily")).await.unwrap();
    assert_eq!((other.settled, other.count), (at(500), 1));
    // Also if the clock was ahead before; a claimed run stays claimed.
    let (earlier, _) =
        soon(leader.ledger.open(at(400), SCHEDULE, LedgerOpening::First)).await.unwrap();
    assert_eq!((earlier.settled, &earlier.claimed), (at(400), &mark.claimed));
    assert_eq!(earlier.claimed.end_around(at(11)), Some(at(11)));
}

/// A leader whose clock was ahead settles only the runs that it claimed.
pub(crate) async fn a_clock_that_was_ahead_settles_what_it_claimed_and_no_more(world: &World) {
    const AHEAD: i64 = 20 * 3600;
    let host = world.host("a").await;
    let leader = LedgerLeader::of(&host, &host.win().await);
    let (mark, _) = leader.open(10).await;
    let (mark, _) = leader.claims(&mark, 11).await;
    // The runs in between were skipped, as the job's keeper does it.
    let dropped = JobMark { settled: at(AHEAD), ..mark };
    let (ahead, _) = leader.claims(&dropped, AHEAD + 1).await;
    let (mark, _) = leader.open(13).await;
    assert_eq!((&mark, mark.settled_by(at(13))), (&ahead, at(11)));
    let (mark, _) = leader.claims(&mark, 13).await;
    assert_eq!(mark.settled_by(at(14)), at(13));
    for (second, claimed) in [(11, true), (13, true), (14, false), (AHEAD, false)] {
        assert_eq!(mark.claimed.end_around(at(second)).is_some(), claimed, "{second}");
    }
    assert_eq!(mark.claimed.end_around(at(AHEAD + 1)), Some(at(AHEAD + 1)));
}

/// A ledger entry that soloist has not written is reported once, and left to people.
pub(crate) async fn a_foreign_ledger_is_named(world: &World) {
    let host = world.host("a").await;
    let state = TestState(world.open().ledger().unwrap());
    state.write(JOB, &[put("mark", "no mark")]).await.unwrap();
    let error = soon(history(&*state.0, JOB, 1)).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert!(error.to_string().contains("the job report") && error.to_string().contains("`mark`"));
    let leader = LedgerLeader::of(&host, &host.win().await);
    let (tell, mut told) = unbounded_channel();
    let ledger =
        leader.ledger.on_trouble(move |trouble| assert!(tell.send(trouble.is_some()).is_ok()));
    let opening = ledger.open(at(10), SCHEDULE, LedgerOpening::First);
    let first = tokio::select! {
        _ = opening => panic!("it was opened"),
        first = soon(told.recv()) => first,
    };
    assert_eq!((first, told.try_recv().is_err()), (Some(true), true));
}

pub(crate) async fn state_and_ledgers_keep_apart(world: &World) {
    let (state, ledger) = (TestState::of(world), TestState(world.open().ledger().unwrap()));
    state.write(JOB, &[put("mark", "an action's")]).await.unwrap();
    ledger.write(JOB, &[put("mark", "a host's")]).await.unwrap();
    assert_eq!(state.value(JOB, "mark").await.unwrap(), "an action's");
    assert_eq!(ledger.value(JOB, "mark").await.unwrap(), "a host's");
    assert_eq!(ledger.list("other").await, [""; 0]);
    // No name leads from the state to the ledger or back.
    for name in ["runs/report", "../runs/report", "state/report"] {
        assert!(soon(state.0.get(name, &["mark".into()])).await.is_err());
        assert!(soon(ledger.0.get(name, &["mark".into()])).await.is_err());
    }
}

/// Two hosts lead in turn, and each goes on claiming for as long as the store lets it.
pub(crate) async fn no_run_is_claimed_under_two_tokens(world: &World) {
    let hosts = [world.host("a").await, world.host("b").await];
    let mut claimed = Vec::new();
    let mut former: Option<tokio::task::JoinHandle<Vec<String>>> = None;
    for round in 0..12 {
        let host = hosts[round % 2].clone();
        let key = host.win().await;
        let leader = LedgerLeader::of(&host, &key);
        let (mut mark, _) = leader.open(0).await;
        let (begun, goes_on) = tokio::sync::oneshot::channel();
        let claims = tokio::spawn(async move {
            let (mut made, mut begun) = (Vec::new(), Some(begun));
            for _ in 0..10_000 {
                let run = JobRun::scheduled(JOB, mark.settled + TimeDelta::seconds(1));
                match leader.ledger.claim(&mark, &run, 0, run.scheduled, || true).await {
                    Ok(Some((new, page))) => {
                        (mark, _) = (new, made.push(page.record.id));
                        begun.take().map(|begun| begun.send(()));
                    }
                    Ok(None) => panic!("only a leader moves the mark"),
                    Err(TermOver) => return made,
                }
            }
            panic!("it goes on for ever")
        });
        if let Some(former) = former.replace(claims) {
            claimed.extend(soon(former).await.unwrap());
        }
        soon(goes_on).await.unwrap();
        soon(host.store.resign(&key)).await.unwrap();
    }
    claimed.extend(soon(former.unwrap()).await.unwrap());
    assert!(claimed.len() >= 12, "{claimed:?}");
    let count = claimed.len();
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!(claimed.len(), count, "something was claimed twice");
}

pub(crate) async fn a_claim_whose_answer_was_lost_is_known_in_the_end(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let store = Arc::new(LossyState::new(host.store.ledger().unwrap()));
    let leader = LedgerLeader::by(&host, &key, store);
    let (mut mark, _) = leader.open(10).await;
    for second in 11..17 {
        let (moved, mut page) = leader.claims(&mark, second).await;
        mark = moved;
        page.record.outcome = RunOutcome::Done;
        soon(leader.ledger.update(&page)).await.unwrap();
    }
    let records = kept_records(world).await;
    assert_eq!(records.len(), 6);
    assert!(records.iter().all(|record| record.outcome == RunOutcome::Done), "{records:?}");
}
