//! The only way from an action to the store: through the gate, and guarded by the leader's key.
//!
//! The memory in flight is charged to the action's account: what a guest writes, until it is in the
//! store, and what a guest reads, until it has it. Each value read holds its own charge until
//! wasmtime has copied it into the guest's memory, which runs code of the guest. The length of a
//! value is not known beforehand, so each is first charged at the maximum length, and few are
//! requested at a time ([`Account::read_permit`]). A list of keys is short: [`PAGE`](super::PAGE)
//! keys of `KEY_MAX` bytes at most.
//!
//! [`Account::read_permit`]: soloist_resources::budget::Account::read_permit

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::error::KeyvalueError;
use crate::capability::{ActionAccess, TermLink};
use soloist_leadership::GateShut;
use soloist_resources::budget::OverBudget;
use soloist_stores::{
    BATCH_MAX, StateEntry, StateStore, StateWrite, StoreError, VALUE_MAX, WriteGuard,
};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateError {
    #[error("{0}")]
    GateShut(#[from] GateShut),
    #[error("the term has ended")]
    TermEnded,
    #[error("state is not available outside of a term: only the leader's actions may use it")]
    NoTerm,
    #[error("nothing was written: the leadership has passed to another host, or may have")]
    Fenced,
    #[error("`{0}` holds no counter: increment takes a decimal number from 0 to {max}", max = u64::MAX)]
    NotACounter(String),
    #[error("the counter `{0}` would exceed {max}, so it is unchanged", max = u64::MAX)]
    Overflow(String),
    #[error("{0}")]
    OverBudget(#[from] OverBudget),
    #[error("{0}")]
    Store(StoreError),
    #[error("{0}; it may have been written nevertheless")]
    Uncertain(String),
}

impl From<StateError> for KeyvalueError {
    fn from(error: StateError) -> Self {
        Self::Other(error.to_string())
    }
}

impl ActionAccess {
    /// The term, which owns all state.
    pub(super) fn term(&self) -> Result<&TermLink, StateError> {
        self.term.as_ref().ok_or(StateError::NoTerm)
    }

    /// The entries of `keys`, as one consistent snapshot.
    pub(super) async fn read(
        &self,
        keys: &[String],
    ) -> Result<Vec<Option<StateEntry>>, StateError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (state, action, keys) = (self.state()?, self.action.clone(), keys.to_vec());
        let account = self.account.clone();
        let read = async move {
            // The store refuses larger batches.
            let values = keys.len().min(BATCH_MAX);
            let _turn = account.read_permit(values).await;
            let mut charge = match account.charge((values * VALUE_MAX) as u64) {
                Ok(charge) => charge,
                Err(overdrawn) => return Ok(Err(overdrawn)),
            };
            let mut entries = state.get(&action, &keys).await?;
            for entry in entries.iter_mut().flatten() {
                entry.value = charge.split_onto(std::mem::take(&mut entry.value));
            }
            Ok(Ok(entries))
        };
        Ok(self.call_store(read).await??)
    }

    /// Up to `limit` keys that follow `after`.
    pub(super) async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StateError> {
        let (state, action) = (self.state()?, self.action.clone());
        let after = after.map(ToOwned::to_owned);
        self.call_store(async move { state.list(&action, after.as_deref(), limit).await }).await
    }

    /// Makes all of `writes`, or none. If a key occurs more than once, its last write counts.
    pub(super) async fn write(&self, writes: Vec<StateWrite>) -> Result<(), StateError> {
        let mut last = HashMap::with_capacity(writes.len());
        for write in writes {
            last.insert(write.key.clone(), write);
        }
        if last.is_empty() {
            return Ok(());
        }
        self.write_guarded(last.into_values().collect()).await
    }

    /// Adds `delta` to a counter and returns the sum. A missing key counts as zero.
    ///
    /// Increments of one action wait for each other, so only another write to the key can
    /// interfere. The increment is then tried again, as long as the gate is open.
    pub(super) async fn increment(&self, key: String, delta: u64) -> Result<u64, StateError> {
        let _turn = self.increments.lock().await;
        loop {
            let found = self.read(std::slice::from_ref(&key)).await?.pop().flatten();
            let (count, version) = match &found {
                Some(entry) => (parse_counter(&key, &entry.value)?, entry.version),
                None => (0, 0),
            };
            let count =
                count.checked_add(delta).ok_or_else(|| StateError::Overflow(key.clone()))?;
            let value = Some(count.to_string().into());
            let write = StateWrite { key: key.clone(), value, only_if: Some(version) };
            match self.write_guarded(vec![write]).await {
                Ok(()) => return Ok(count),
                Err(StateError::Store(StoreError::Conflict)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes under the leader key of this term.
    async fn write_guarded(&self, writes: Vec<StateWrite>) -> Result<(), StateError> {
        self.gate().pass()?;
        let (state, action, key) = (self.state()?, self.action.clone(), self.term()?.key.clone());
        let values = writes.iter().map(|it| it.key.len() + it.value.as_ref().map_or(0, Bytes::len));
        let charge = self.account.charge(values.sum::<usize>() as u64)?;
        let write = async move {
            let done = state.write(WriteGuard::Leader(&key), &action, &writes).await;
            drop((writes, charge));
            done
        };
        let done = self.call_store(write).await;
        done.map(drop).map_err(|error| match error {
            StateError::GateShut(shut) => StateError::Uncertain(shut.to_string()),
            StateError::TermEnded => StateError::Uncertain(StateError::TermEnded.to_string()),
            StateError::Store(error @ StoreError::Unavailable { .. }) => {
                StateError::Uncertain(error.to_string())
            }
            error => error,
        })
    }

    fn state(&self) -> Result<Arc<dyn StateStore>, StateError> {
        Ok(Arc::clone(&self.term()?.state))
    }

    /// Calls the store. The gate is passed before the call and after it.
    async fn call_store<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StateError> {
        self.gate().pass()?;
        let answer = self.spawner.run_in_task(call).await.ok_or(StateError::TermEnded)?;
        if matches!(answer, Err(StoreError::NotLeader | StoreError::LeaseGone)) {
            if let Some(term) = &self.term {
                term.fenced(&self.action);
            }
            return Err(StateError::Fenced);
        }
        self.gate().pass()?;
        answer.map_err(StateError::Store)
    }
}

fn parse_counter(key: &str, value: &[u8]) -> Result<u64, StateError> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| StateError::NotACounter(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use async_trait::async_trait;
    use parking_lot::Mutex;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::capability::{ActionPermissions, Spawner, TermLink, TermNotice, test_gate};
    use soloist_config::Limits;
    use soloist_heart::{LeaderKey, LeaseId, clock::BootTime};

    type WriteResult = Result<i64, StoreError>;

    /// Answers writes with the given function; every key holds the number 7.
    struct FakeStore {
        calls: AtomicUsize,
        answer: Mutex<Box<dyn FnMut() -> WriteResult + Send>>,
    }

    #[async_trait]
    impl StateStore for FakeStore {
        async fn get(
            &self,
            _: &str,
            keys: &[String],
        ) -> Result<Vec<Option<StateEntry>>, StoreError> {
            self.calls.fetch_add(1, Relaxed);
            Ok(keys.iter().map(|_| Some(StateEntry { value: "7".into(), version: 3 })).collect())
        }

        async fn list(
            &self,
            _: &str,
            _: Option<&str>,
            _: usize,
        ) -> Result<Vec<String>, StoreError> {
            self.calls.fetch_add(1, Relaxed);
            Ok(Vec::new())
        }

        async fn size(&self, _: &str) -> Result<u64, StoreError> {
            Ok(0)
        }

        async fn write(&self, guard: WriteGuard<'_>, _: &str, _: &[StateWrite]) -> WriteResult {
            assert!(matches!(guard, WriteGuard::Leader(_)));
            self.calls.fetch_add(1, Relaxed);
            self.answer.lock()()
        }
    }

    struct Fixture {
        access: Arc<ActionAccess>,
        fake: Arc<FakeStore>,
        notices: UnboundedReceiver<TermNotice>,
    }

    fn fixture(answer: impl FnMut(&ActionAccess) -> WriteResult + Send + 'static) -> Fixture {
        let (to, notices) = unbounded_channel();
        let (mut answer, cell) = (answer, Arc::new(Mutex::new(None::<Arc<ActionAccess>>)));
        let seen = cell.clone();
        let answer = move || answer(seen.lock().as_ref().unwrap());
        let fake = Arc::new(FakeStore {
            calls: AtomicUsize::new(0),
            answer: Mutex::new(Box::new(answer)),
        });
        let gate = test_gate(BootTime::NEVER);
        let term = gate.term();
        let key = LeaderKey::new(term.group.clone(), "main/1", LeaseId(1), term.fencing_token.0);
        let term = TermLink { gate, key, state: fake.clone(), notices: to, task_caller: None };
        let (limits, spawner) = (Limits::default(), Spawner::new(|task| drop(tokio::spawn(task))));
        let permissions =
            ActionPermissions { action: "web".into(), grants: Arc::default(), limits: &limits };
        let access = Arc::new(ActionAccess::new(permissions, term, spawner));
        *cell.lock() = Some(access.clone());
        Fixture { access, fake, notices }
    }

    fn put() -> Vec<StateWrite> {
        vec![StateWrite { key: "k".into(), value: Some("v".into()), only_if: None }]
    }

    #[tokio::test]
    async fn a_refused_write_shuts_the_gate_and_is_told() {
        let mut fixture = fixture(|_| Err(StoreError::NotLeader));
        let error = fixture.access.write(put()).await.unwrap_err();
        assert!(error.to_string().contains("passed to another host"), "{error}");
        assert!(fixture.access.gate().is_revoked());
        assert_eq!(fixture.notices.try_recv(), Ok(TermNotice::Fenced));
    }

    #[tokio::test]
    async fn a_shut_gate_lets_nothing_reach_the_store() {
        let fixture = fixture(|_| Ok(0));
        fixture.access.gate().close();
        assert!(matches!(
            fixture.access.write(put()).await,
            Err(StateError::GateShut(GateShut::Closed))
        ));
        assert!(fixture.access.read(&["k".into()]).await.is_err());
        assert!(fixture.access.list(None, 1).await.is_err());
        assert!(fixture.access.increment("k".into(), 1).await.is_err());
        assert_eq!(fixture.fake.calls.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_not_asked_for() {
        let fixture = fixture(|_| Ok(0));
        let other = fixture.access.account.charge(256 << 20).unwrap();
        let error = fixture.access.read(&["k".into()]).await.unwrap_err();
        assert!(matches!(error, StateError::OverBudget(_)), "{error}");
        assert!(error.to_string().contains("256 MiB"), "{error}");
        assert!(matches!(fixture.access.write(put()).await, Err(StateError::OverBudget(_))));
        assert_eq!(fixture.fake.calls.load(Relaxed), 0);
        drop(other);
        let found = fixture.access.read(&["k".into(), "l".into()]).await.unwrap();
        // The charge is for the bytes that arrived, and not for the maximum.
        assert!(fixture.access.account.charge((256 << 20) - 2).is_ok());
        assert!(fixture.access.account.charge((256 << 20) - 1).is_err());
        drop(found);
        assert!(fixture.access.account.charge(256 << 20).is_ok());
    }

    #[tokio::test]
    async fn few_values_are_on_their_way_at_a_time() {
        let fixture = fixture(|_| Ok(0));
        let keys: Vec<_> = (0..64).map(|n| n.to_string()).collect();
        let account = &fixture.access.account;
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(account.read_permit(64).await);
        }
        let mut fifth = std::pin::pin!(fixture.access.read(&keys));
        assert!(futures::poll!(&mut fifth).is_pending());
        tokio::task::yield_now().await;
        assert_eq!(fixture.fake.calls.load(Relaxed), 0);
        turns.pop();
        assert_eq!(fifth.await.unwrap().len(), 64);
    }

    #[tokio::test]
    async fn an_answer_that_comes_after_the_end_is_none() {
        let fixture = fixture(|access| {
            access.gate().close();
            Ok(0)
        });
        let error = fixture.access.write(put()).await.unwrap_err();
        assert!(matches!(error, StateError::Uncertain(_)), "{error}");
    }

    #[tokio::test]
    async fn an_increment_that_meets_another_write_begins_anew() {
        let mut conflicts = 3;
        let fixture = fixture(move |_| {
            conflicts -= 1;
            if conflicts >= 0 { Err(StoreError::Conflict) } else { Ok(0) }
        });
        assert_eq!(fixture.access.increment("k".into(), 5).await.unwrap(), 12);
        assert_eq!(fixture.fake.calls.load(Relaxed), 8);
    }

    #[tokio::test]
    async fn an_increment_that_never_gets_through_ends_with_the_term() {
        let mut tries = 0;
        let fixture = fixture(move |access| {
            tries += 1;
            if tries == 100 {
                access.gate().close();
            }
            Err(StoreError::Conflict)
        });
        assert!(fixture.access.increment("k".into(), 5).await.is_err());
    }

    #[tokio::test]
    async fn a_counter_neither_wraps_nor_starts_from_text() {
        let fixture = fixture(|_| Ok(0));
        let error = fixture.access.increment("k".into(), u64::MAX).await.unwrap_err();
        assert!(matches!(error, StateError::Overflow(_)), "{error}");
        assert!(matches!(parse_counter("k", b"x"), Err(StateError::NotACounter(_))));
        assert!(matches!(parse_counter("k", b""), Err(StateError::NotACounter(_))));
    }
}
