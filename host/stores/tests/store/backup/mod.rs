//! What is exported from one store is imported by every other one, and nothing is lost on the way.

mod rig;

use std::time::Duration;

use futures::StreamExt;
use soloist_heart::{FencingToken, clock::BootTime};
use soloist_stores::{
    BackupKind, BackupRecord, BackupSummary, NoteRecord, QueuedCallState, StateRecord, StoreError,
};

use self::rig::{Kept, TestBackup};
use crate::{
    call_queue::rig::CallQueueHost,
    state::{TestState, put},
    world::{World, soon},
};

/// Every pair of stores: this one to each other one, which is another store of its kind if it is
/// the same.
pub(crate) async fn every_store_imports_what_it_exports(world: &World) {
    let kept = Kept::of(world, 3).await;
    let export = TestBackup::of(world).export().await;
    kept.is_in(&export.summary());
    for target in [World::sqlite(), World::postgres(), World::etcd().await] {
        let other = TestBackup::of(&target);
        assert_eq!(other.export().await.records, [], "{:?}", target.url);
        soon(other.0.import(&export.records)).await.unwrap();
        let back = other.export().await;
        assert_eq!(back.summary(), export.summary(), "{:?}", target.url);
        assert_eq!(back.sorted(), export.sorted(), "{:?}", target.url);
        kept.is_seen_in(&target).await;
    }
}

pub(crate) async fn an_export_is_of_one_moment(world: &World) {
    let state = TestState::of(world);
    for batch in 0..20 {
        let keys = (0..50).map(|key| put(&format!("{batch}-{key}"), "before"));
        state.write("web", &keys.collect::<Vec<_>>()).await.unwrap();
    }
    let host = CallQueueHost::of(world, "a").await;
    let before = [host.put("resize").await, host.put("resize").await];
    let backup = TestBackup::of(world);
    let mut export = soon(backup.0.export()).await.unwrap();
    let mut summary = BackupSummary::default();
    let mut take_in = |batch: Vec<BackupRecord>| {
        for record in &batch {
            summary.add(record);
            if let BackupRecord::State(entry) = record {
                assert_eq!(entry.value, "before", "{}", entry.key);
            }
        }
    };
    take_in(soon(export.records.next()).await.unwrap().unwrap());
    // While it is read, values change, come and go, and a queued call is done.
    for key in ["0-0", "9-9", "19-49", "new"] {
        state.write("web", &[put(key, "after")]).await.unwrap();
    }
    soon(host.call_queue.complete(&host.take(&before[1]).await, &rig::answer(), rig::KEEP))
        .await
        .unwrap();
    host.put("resize").await;
    while let Some(batch) = soon(export.records.next()).await {
        take_in(batch.unwrap());
    }
    assert_eq!(summary.to_string(), "1000 values of state, 2 queued calls");
}

pub(crate) async fn what_belongs_to_hosts_stays_behind(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    soon(host.store.join(host.lease, &host.member())).await.unwrap();
    let calls = CallQueueHost::of(world, "b").await;
    let claimed = calls.put("resize").await;
    let claim = calls.take(&claimed).await;
    let elsewhere = TestState(world.open_cluster("elsewhere").state().unwrap());
    elsewhere.write("web", &[put("k", "v")]).await.unwrap();
    let export = TestBackup::of(world).export().await;
    // A claim ends with its host, and the attempt was counted when it began.
    assert_eq!(export.summary().to_string(), "1 queued call");
    let call = (claimed, claim.head.attempts, claim.head.by.clone());
    assert_eq!(rig::waiting(&export.records), [call]);
    assert!(export.highest_token >= key.fencing_token, "{:?}", export.highest_token);
    assert_eq!(export.identity, Some(world.identity().await));
}

/// What was given out before an import is below what is given out after it and after a raise.
pub(crate) async fn the_highest_fencing_token_is_no_lower_than_any_that_was_given_out(
    world: &World,
) {
    let host = world.host("a").await;
    let mut last = FencingToken(0);
    for _ in 0..3 {
        let key = host.win().await;
        let export = TestBackup::of(world).export().await;
        assert!(export.highest_token >= key.fencing_token && export.highest_token > last);
        last = export.highest_token;
        soon(host.store.resign(&key)).await.unwrap();
    }
    let above = FencingToken(last.0 + 1000);
    soon(host.store.raise_tokens(above, Duration::from_secs(2))).await.unwrap();
    let next = host.win().await;
    assert!(TestBackup::of(world).export().await.highest_token >= next.fencing_token);
}

pub(crate) async fn an_import_may_be_repeated(world: &World) {
    let kept = Kept::of(&World::sqlite(), 1).await;
    let backup = TestBackup::of(world);
    for _ in 0..2 {
        soon(backup.0.import(&kept.records)).await.unwrap();
        assert_eq!(backup.export().await.summary(), kept.summary());
    }
}

pub(crate) async fn an_import_is_seen_by_those_who_watch(world: &World) {
    let kept = Kept::of(&World::sqlite(), 1).await;
    let host = world.host("a").await;
    let mut queue = CallQueueHost::of(world, "b").await.queue().await;
    soon(TestBackup::of(world).0.import(&kept.records)).await.unwrap();
    host.roster(|roster| roster.notes.drained.contains_key("drained")).await;
    soon(queue.until(|queue| queue.queued.len() == 2)).await;
}

pub(crate) async fn what_is_erased_is_gone_and_its_versions_do_not_come_back(world: &World) {
    let kept = Kept::of(world, 3).await;
    let state = TestState::of(world);
    let before = state.version("web", "0").await;
    let elsewhere = world.open_cluster("elsewhere").backup().unwrap();
    soon(elsewhere.import(&kept.records)).await.unwrap();
    let backup = TestBackup::of(world);
    soon(backup.0.erase()).await.unwrap();
    assert_eq!(backup.export().await.records, []);
    assert_eq!(TestBackup(elsewhere).export().await.summary(), kept.summary());
    let roster = world.host("a").await.roster(|_| true).await;
    assert!(roster.notes.drained.is_empty(), "{roster:?}");
    soon(backup.0.import(&kept.records)).await.unwrap();
    assert!(state.version("web", "0").await != before);
    assert_eq!(backup.export().await.summary(), kept.summary());
}

pub(crate) async fn an_imported_queued_call_goes_on_where_it_was(world: &World) {
    let kept = Kept::of(&World::sqlite(), 1).await;
    soon(TestBackup::of(world).0.import(&kept.records)).await.unwrap();
    let host = CallQueueHost::of(world, "a").await;
    let (claim, payload) = host.claim(&kept.waiting[0]).await.expect("a claim");
    assert_eq!((payload.as_ref(), claim.head.attempts), (&b"payload"[..], 1));
    soon(host.call_queue.complete(&claim, &rig::answer(), rig::KEEP)).await.unwrap();
    // This one was claimed once before.
    let (claim, _) = host.claim(&kept.claimed[0]).await.expect("a claim");
    assert_eq!(claim.head.attempts, 2);
    assert!(soon(host.call_queue.replay(&kept.dead[0])).await.unwrap());
    let (claim, payload) = host.claim(&kept.dead[0]).await.expect("a claim");
    assert_eq!((payload.as_ref(), claim.head.attempts), (&b"payload"[..], 1));
    let done = host.look(&kept.done[0]).await;
    assert!(
        matches!(&done, Some(QueuedCallState::Done(_, it)) if *it == rig::answer()),
        "{done:?}"
    );
}

pub(crate) async fn what_no_store_accepts_is_refused(world: &World) {
    let backup = TestBackup::of(world);
    let entry = StateRecord { action: "../x".into(), key: "k".into(), value: "v".into() };
    let elsewhere = BackupRecord::State(entry.clone());
    let large = StateRecord { action: "web".into(), value: vec![0; 1 << 20].into(), ..entry };
    let note = NoteRecord { name: "members/a".into(), value: "{}".into() };
    for record in [elsewhere, BackupRecord::Ledger(large), BackupRecord::Note(note)] {
        let refused = soon(backup.0.import(&[record])).await.unwrap_err();
        assert!(matches!(refused, StoreError::Refused { .. } | StoreError::Limit(_)), "{refused}");
    }
    assert_eq!(backup.export().await.records, []);
}

/// 10,000 keys, 1,000 queued calls with dead letters and answers, and a year of a job's history,
/// between all pairs of stores.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes: `cargo xtask ci` runs it"]
async fn a_large_cluster_is_copied_byte_for_byte() {
    let large = rig::large();
    let summary = rig::summary(&large);
    assert_eq!(summary.count(BackupKind::State), 10_000);
    for world in [World::sqlite(), World::postgres(), World::etcd().await] {
        let source = TestBackup::of(&world);
        rig::import(&source, &large).await;
        for target in [World::sqlite(), World::postgres(), World::etcd().await] {
            let began = BootTime::now();
            let other = TestBackup::of(&target);
            let mut export = soon(source.0.export()).await.unwrap();
            while let Some(batch) = soon(export.records.next()).await {
                soon(other.0.import(&batch.unwrap())).await.unwrap();
            }
            let took = BootTime::now().since(began);
            let back = other.export().await;
            assert_eq!(back.summary(), summary);
            assert_eq!(back.sorted(), rig::sorted(&large));
            println!("{} to {}: {summary} in {took:?}", world.url, target.url);
        }
    }
}
