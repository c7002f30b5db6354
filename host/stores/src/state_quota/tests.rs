use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use soloist_heart::{LeaderKey, LeaseId};
use tokio::time::advance;

use super::*;

/// What a quota of 100 bytes leaves room for, with a key of one byte.
const FITS: usize = 99;

/// A store in memory, which counts how often it was measured.
#[derive(Default)]
struct Memory {
    kept: Mutex<BTreeMap<String, Bytes>>,
    measured: AtomicUsize,
    /// Whether writes are made without an answer.
    is_lossy: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl StateStore for Memory {
    async fn get(&self, _: &str, keys: &[String]) -> Result<Vec<Option<StateEntry>>, StoreError> {
        let kept = self.kept.lock();
        let entry = |key| Some(StateEntry { value: kept.get(key)?.clone(), version: 1 });
        Ok(keys.iter().map(entry).collect())
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<String>, StoreError> {
        Ok(self.kept.lock().keys().cloned().collect())
    }

    async fn size(&self, _: &str) -> Result<u64, StoreError> {
        self.measured.fetch_add(1, Relaxed);
        Ok(self.kept.lock().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }

    async fn write(
        &self,
        _: WriteGuard<'_>,
        _: &str,
        writes: &[StateWrite],
    ) -> Result<i64, StoreError> {
        let mut growth = StateGrowth::default();
        let mut kept = self.kept.lock();
        for write in writes {
            let before = match &write.value {
                Some(value) => kept.insert(write.key.clone(), value.clone()),
                None => kept.remove(&write.key),
            };
            growth.count(write, before.map(|before| before.len()));
        }
        if self.is_lossy.load(Relaxed) {
            let (attempted, store) = ("write state", "memory".to_owned());
            return Err(StoreError::Unavailable { attempted, store, source: "no answer".into() });
        }
        Ok(growth.bytes())
    }
}

fn quota() -> (StateQuota, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    (StateQuota::new(memory.clone(), Box::new(|_| 100)), memory)
}

fn term(number: i64) -> LeaderKey {
    LeaderKey::new("main".into(), "main/1", LeaseId(1), number)
}

async fn put(
    quota: &StateQuota,
    term: &LeaderKey,
    key: &str,
    length: usize,
) -> Result<i64, String> {
    let value = Some(vec![0; length].into());
    let write = StateWrite { key: key.into(), value, only_if: None };
    let done = quota.write(WriteGuard::Leader(term), "a", &[write]).await;
    done.map_err(|error| error.to_string())
}

async fn delete(quota: &StateQuota, term: &LeaderKey, key: &str) -> Result<i64, StoreError> {
    let write = StateWrite { key: key.into(), value: None, only_if: None };
    quota.write(WriteGuard::Leader(term), "a", &[write]).await
}

#[tokio::test(start_paused = true)]
async fn what_is_full_can_be_changed_and_deleted_and_nothing_added() {
    let (quota, memory) = quota();
    let term = term(1);
    put(&quota, &term, "k", FITS).await.unwrap();
    let told = put(&quota, &term, "l", 0).await.unwrap_err();
    let wanted = "a may keep 100 bytes of state, it has 100, and this would add 1: delete some, or \
                  raise `max_state_size` in its settings";
    assert_eq!(told, wanted);
    // Another value of the same length, and a shorter one.
    put(&quota, &term, "k", FITS).await.unwrap();
    put(&quota, &term, "k", FITS - 2).await.unwrap();
    put(&quota, &term, "l", 1).await.unwrap();
    put(&quota, &term, "m", 0).await.unwrap_err();
    delete(&quota, &term, "l").await.unwrap();
    put(&quota, &term, "m", 1).await.unwrap();
    assert_eq!(memory.measured.load(Relaxed), 1, "everything else was counted");
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_too_large_already_may_shrink() {
    let (quota, memory) = quota();
    memory.kept.lock().insert("k".into(), vec![0; 500].into());
    let term = term(1);
    put(&quota, &term, "k", 501).await.unwrap_err();
    put(&quota, &term, "k", 499).await.unwrap();
    delete(&quota, &term, "k").await.unwrap();
    put(&quota, &term, "k", FITS).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_term_measures_again() {
    let (quota, memory) = quota();
    put(&quota, &term(1), "k", 1).await.unwrap();
    // Another host has written under a term of its own.
    memory.kept.lock().insert("k".into(), vec![0; FITS].into());
    put(&quota, &term(3), "l", 0).await.unwrap_err();
}

/// What a person asks for is measured anew, and the leader's count goes on from that.
#[tokio::test(start_paused = true)]
async fn a_person_who_asks_costs_the_leader_nothing() {
    let (quota, memory) = quota();
    let term = term(1);
    put(&quota, &term, "k", FITS - 1).await.unwrap();
    advance(FRESH).await;
    assert_eq!(quota.kept("a").await.unwrap(), 99);
    put(&quota, &term, "l", 0).await.unwrap();
    assert_eq!(memory.measured.load(Relaxed), 2);
    assert_eq!(quota.kept("a").await.unwrap(), 100);
}

#[tokio::test(start_paused = true)]
async fn it_is_measured_again_before_a_refusal_but_not_each_time() {
    let (quota, memory) = quota();
    let term = term(1);
    put(&quota, &term, "k", FITS).await.unwrap();
    for _ in 0..10 {
        put(&quota, &term, "l", 0).await.unwrap_err();
    }
    assert_eq!(memory.measured.load(Relaxed), 1);
    // A person has deleted it through another host.
    memory.kept.lock().clear();
    put(&quota, &term, "l", 0).await.unwrap_err();
    advance(FRESH).await;
    put(&quota, &term, "l", 0).await.unwrap();
    assert_eq!(memory.measured.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_is_measured() {
    let (quota, memory) = quota();
    let term = term(1);
    memory.is_lossy.store(true, Relaxed);
    put(&quota, &term, "k", FITS).await.unwrap_err();
    memory.is_lossy.store(false, Relaxed);
    put(&quota, &term, "l", 0).await.unwrap_err();
    assert_eq!(memory.measured.load(Relaxed), 2);
    assert_eq!(quota.kept("a").await.unwrap(), 100);
}
