//! Clusters that keep something of every kind.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use soloist_heart::{FencingToken, Group};
use soloist_stores::{
    BackupKind, BackupRecord, BackupStore, BackupSummary, CallRecord, CallStage, Drain,
    EndedQueuedCall, Note, NoteTopic, OperatorOrder, Pause, QueuedCallHeader, QueuedCallKey,
    QueuedCallResult, QueuedCallState, Removal, StateRecord, StateWrite, WriteGuard,
};

use crate::{
    call_queue::rig::CallQueueHost,
    state::{TestState, put},
    world::{World, soon},
};

pub(super) const KEEP: Duration = Duration::from_secs(7200);

pub(super) fn answer() -> QueuedCallResult {
    QueuedCallResult { payload: "an\nanswer".into(), content_type: Some("text/html".into()) }
}

/// The backups of one cluster.
pub(super) struct TestBackup(pub(super) Arc<dyn BackupStore>);

/// An export that was read to its end.
pub(super) struct TestExport {
    pub(super) identity: Option<String>,
    pub(super) highest_token: FencingToken,
    pub(super) records: Vec<BackupRecord>,
}

impl TestBackup {
    pub(super) fn of(world: &World) -> Self {
        Self(world.open().backup().unwrap())
    }

    pub(super) async fn export(&self) -> TestExport {
        let mut export = soon(self.0.export()).await.unwrap();
        let mut records = Vec::new();
        while let Some(batch) = soon(export.records.next()).await {
            records.extend(batch.unwrap());
        }
        let (identity, highest_token) = (export.identity, export.highest_token);
        TestExport { identity, highest_token, records }
    }
}

impl TestExport {
    pub(super) fn summary(&self) -> BackupSummary {
        summary(&self.records)
    }

    pub(super) fn sorted(&self) -> Vec<String> {
        sorted(&self.records)
    }
}

pub(super) fn summary(records: &[BackupRecord]) -> BackupSummary {
    let mut summary = BackupSummary::default();
    records.iter().for_each(|record| summary.add(record));
    summary
}

/// The records as text, in one order for all stores, without for how long answers are kept.
pub(super) fn sorted(records: &[BackupRecord]) -> Vec<String> {
    let text = |record: &BackupRecord| {
        let mut record = record.clone();
        if let BackupRecord::Call(call) = &mut record
            && let CallStage::Done { keep_s, .. } = &mut call.stage
        {
            assert!(*keep_s >= 3600, "{keep_s}");
            *keep_s = 0;
        }
        serde_json::to_string(&record).unwrap()
    };
    let mut texts: Vec<_> = records.iter().map(text).collect();
    texts.sort();
    texts
}

pub(super) async fn import(backup: &TestBackup, records: &[BackupRecord]) {
    for some in records.chunks(500) {
        soon(backup.0.import(some)).await.unwrap();
    }
}

/// The queued calls among `records` that wait, each with its attempts and its last host.
pub(super) fn waiting(records: &[BackupRecord]) -> Vec<(QueuedCallKey, u32, Option<String>)> {
    let waiting = |record: &BackupRecord| {
        let BackupRecord::Call(call) = record else { return None };
        let CallStage::Waiting { head, .. } = &call.stage else { return None };
        Some((call.key(), head.attempts, head.by.clone()))
    };
    records.iter().filter_map(waiting).collect()
}

/// A cluster that keeps something of every kind, put there by the store's own calls.
pub(super) struct Kept {
    pub(super) waiting: Vec<QueuedCallKey>,
    pub(super) claimed: Vec<QueuedCallKey>,
    pub(super) dead: Vec<QueuedCallKey>,
    pub(super) done: Vec<QueuedCallKey>,
    state: BTreeMap<String, Bytes>,
    pub(super) records: Vec<BackupRecord>,
}

impl Kept {
    /// Fills the store, with `times` queued calls in each state.
    pub(super) async fn of(world: &World, times: usize) -> Self {
        let state = state();
        let writes: Vec<StateWrite> =
            state.iter().map(|(key, value)| put(key, value.clone())).collect();
        TestState::of(world).write("web", &writes).await.unwrap();
        TestState::of(world).write("web.b", &[put("k", "another action's")]).await.unwrap();
        let ledger = world.open().ledger().unwrap();
        let runs = [put("mark", "{}"), put("run/1", vec![0, 255])];
        soon(ledger.write(WriteGuard::Person, "web", &runs)).await.unwrap();
        notes(world).await;
        let mut kept = Self {
            waiting: Vec::new(),
            claimed: Vec::new(),
            dead: Vec::new(),
            done: Vec::new(),
            state,
            records: Vec::new(),
        };
        let host = CallQueueHost::of(world, "a").await;
        for _ in 0..times {
            kept.waiting.push(host.put("resize").await);
            let claimed = host.put("resize").await;
            host.take(&claimed).await;
            kept.claimed.push(claimed);
            kept.dead.push(host.kill("resize.b").await);
            let done = host.put("resize").await;
            let claim = host.take(&done).await;
            soon(host.call_queue.complete(&claim, &answer(), KEEP)).await.unwrap();
            kept.done.push(done);
        }
        kept.records = TestBackup::of(world).export().await.records;
        kept
    }

    pub(super) fn summary(&self) -> BackupSummary {
        summary(&self.records)
    }

    /// Whether a summary has all of it.
    pub(super) fn is_in(&self, summary: &BackupSummary) {
        let count = |kind| usize::try_from(summary.count(kind)).unwrap();
        assert_eq!(count(BackupKind::State), self.state.len() + 1);
        assert_eq!(count(BackupKind::Ledger), 2);
        assert_eq!(count(BackupKind::Waiting), self.waiting.len() + self.claimed.len());
        assert_eq!(count(BackupKind::Dead), self.dead.len());
        assert_eq!(count(BackupKind::Answer), self.done.len());
        assert_eq!(count(BackupKind::Note), 4);
    }

    /// Whether a store shows it by its own calls.
    pub(super) async fn is_seen_in(&self, world: &World) {
        let state = TestState::of(world);
        assert_eq!(state.list("web").await, self.state.keys().cloned().collect::<Vec<_>>());
        for (key, value) in &self.state {
            assert_eq!(state.value("web", key).await.as_ref(), Some(value), "{key:?}");
        }
        let ledger = TestState(world.open().ledger().unwrap());
        assert_eq!(ledger.value("web", "run/1").await.unwrap(), vec![0, 255]);
        let host = CallQueueHost::of(world, "b").await;
        let queued: Vec<_> = host.queue().await.queued.into_keys().collect();
        let mut waiting = [&self.waiting[..], &self.claimed[..]].concat();
        waiting.sort();
        assert_eq!(queued, waiting);
        assert_eq!(host.dead("resize.b").await, self.dead);
        for key in &self.done {
            let Some(QueuedCallState::Done(ended, found)) = host.look(key).await else {
                panic!("{key} is not done");
            };
            assert_eq!((found, ended.head.attempts), (answer(), 1));
        }
        let roster = world.host("c").await.roster(|roster| !roster.notes.drained.is_empty()).await;
        assert!(roster.notes.removed.contains_key("removed"));
        assert!(roster.notes.pause.is_some() && roster.notes.pause_of(&"main".into()).is_some());
    }
}

/// Keys and values that are hard to keep apart and to write down.
fn state() -> BTreeMap<String, Bytes> {
    let keys = ["0", "\0", "a\0b", "a/", "a/../b", "a\"b", "ä", "\u{ffff}", "🦀/🦀"];
    let binary: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let values = [binary, Bytes::new(), vec![7; 256 << 10].into()];
    let values = values.into_iter().cycle();
    keys.into_iter().map(str::to_owned).zip(values).collect()
}

async fn notes(world: &World) {
    let store = world.open();
    let order = || OperatorOrder { by: "ada".into(), reason: "new \"disks\"".into(), since: 7 };
    let pause = Note::Pause(Pause { order: order(), keep_failover: true });
    for (topic, note) in [
        (NoteTopic::Drain("drained".into()), Note::Drain(Drain { order: order() })),
        (NoteTopic::Removal("removed".into()), Note::Removal(Removal { order: order() })),
        (NoteTopic::Pause(None), pause.clone()),
        (NoteTopic::Pause(Some(Group::main())), pause),
    ] {
        soon(store.write_note(&topic, &note)).await.unwrap();
    }
}

/// 10,000 keys, 1,000 queued calls with dead letters and answers, and a year of a job that runs
/// every hour.
pub(super) fn large() -> Vec<BackupRecord> {
    let value = |i: usize| Bytes::from(vec![u8::try_from(i % 251).unwrap(); i % 2000]);
    let entry = |action: &str, key: String, i| {
        let action = action.to_owned();
        StateRecord { action, key, value: value(i) }
    };
    let state = (0..10_000).map(|i| BackupRecord::State(entry("web", format!("key-{i:05}"), i)));
    let ledger = (0..365 * 24)
        .map(|hour| BackupRecord::Ledger(entry("report", format!("run/{hour:08}"), hour % 300)));
    let calls = (0..1000).map(|i| {
        let head = QueuedCallHeader {
            queued: 1,
            attempts: 1,
            max_attempts: 3,
            wait: 0,
            by: Some("a".into()),
            error: None,
            content_type: None,
            bytes: i,
        };
        let ended = EndedQueuedCall { head: head.clone(), at: 2 };
        let stage = match i % 3 {
            0 => CallStage::Waiting { head, payload: value(i) },
            1 => CallStage::Dead { ended, payload: value(i) },
            _ => CallStage::Done { ended, answer: value(i), content_type: None, keep_s: 3600 },
        };
        let (task, id) = ("resize".into(), format!("{i:011x}-0"));
        BackupRecord::Call(CallRecord { task, id, stage }.into())
    });
    state.chain(ledger).chain(calls).collect()
}
