//! What the host may hold in its memory for others: for each action a part, and a whole.
//!
//! Whatever a guest or a client makes the host keep (what it hands over in calls, and the
//! answers that are on their way to it) is charged to the account of an action before it is
//! kept, and given back when the last of it is dropped. An action that has used up its part
//! is refused what it asks for next; the others go on.
//!
//! Invariant: bytes are charged for as long as they live, since it is the bytes themselves
//! that hold the charge ([`Account::hold`]).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use metrics::Gauge;

use crate::{measure, repeats::Repeats};

/// What is held for one action, at most.
const OF_ONE: u64 = 256 << 20;
/// What is held for all of them, at most; but for what each may always have.
const OF_ALL: u64 = 1 << 30;
/// What each may have, whatever is held for the others.
const ALWAYS: u64 = 8 << 20;
/// What a call takes beside the bytes that it hands over or gets.
const BESIDE: u64 = 8 << 10;

/// The accounts of all actions. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Budget {
    accounts: Arc<Mutex<BTreeMap<Arc<str>, Account>>>,
    held: Arc<AtomicU64>,
}

/// The account of one action. Clones are the same.
#[derive(Clone)]
pub struct Account(Arc<Inner>);

struct Inner {
    action: Arc<str>,
    held: AtomicU64,
    of_all: Arc<AtomicU64>,
    gauge: Gauge,
    refused: Repeats,
}

/// An account is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this host holds as much for it as it may ({} MiB): hand over less at a time", OF_ONE >> 20)]
pub struct Overdrawn;

/// Why a body could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Missing<E> {
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    #[error("{0}")]
    Overdrawn(#[from] Overdrawn),
    #[error("{0}")]
    Broken(E),
}

impl Budget {
    /// The account of `action`.
    pub(crate) fn of(&self, action: &Arc<str>) -> Account {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = || {
            Account(Arc::new(Inner {
                action: Arc::clone(action),
                held: AtomicU64::new(0),
                of_all: Arc::clone(&self.held),
                gauge: measure::held(action),
                refused: Repeats::default(),
            }))
        };
        accounts.entry(Arc::clone(action)).or_insert_with(opened).clone()
    }
}

impl Account {
    /// The account of an action that shares a budget with no other.
    #[must_use]
    pub fn alone(action: &Arc<str>) -> Self {
        Budget::default().of(action)
    }

    /// The same bytes, which are charged until they are dropped.
    ///
    /// # Errors
    /// The account is used up.
    pub fn hold(&self, bytes: Bytes) -> Result<Bytes, Overdrawn> {
        let mut charge = self.charge();
        charge.grow(BESIDE + bytes.len() as u64)?;
        Ok(charge.over(bytes))
    }

    /// A whole body of `most` bytes at most, each charged before the next is awaited.
    pub(crate) async fn collect<B>(&self, body: B, most: usize) -> Result<Bytes, Missing<B::Error>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (mut body, mut whole, mut charge) = (body, BytesMut::new(), self.charge());
        charge.grow(BESIDE)?;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(Missing::Broken)?.into_data() else { continue };
            if data.len() > most - whole.len() {
                return Err(Missing::TooLong(most));
            }
            charge.grow(data.len() as u64)?;
            whole.extend_from_slice(&data);
        }
        Ok(charge.over(whole.freeze()))
    }

    fn charge(&self) -> Charge {
        Charge { account: self.clone(), bytes: 0 }
    }

    fn take(&self, bytes: u64) -> Result<(), Overdrawn> {
        let Inner { held, of_all, gauge, .. } = &*self.0;
        let own = held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let all = of_all.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        gauge.increment(bytes as f64);
        if own <= ALWAYS || (own <= OF_ONE && all <= OF_ALL) {
            return Ok(());
        }
        self.give_back(bytes);
        self.refuse();
        Err(Overdrawn)
    }

    fn give_back(&self, bytes: u64) {
        let Inner { held, of_all, gauge, .. } = &*self.0;
        held.fetch_sub(bytes, Ordering::Relaxed);
        of_all.fetch_sub(bytes, Ordering::Relaxed);
        gauge.decrement(bytes as f64);
    }

    fn refuse(&self) {
        let (action, held) = (&self.0.action, self.0.held.load(Ordering::Relaxed) >> 20);
        self.0.refused.happened(|told| {
            tracing::warn!(
                event = "overdrawn", %action,
                "a call by or of {action} is refused: this host holds {held} MiB for it{told}",
            );
        });
    }
}

/// What is charged to an account until it is dropped.
struct Charge {
    account: Account,
    bytes: u64,
}

impl Charge {
    fn grow(&mut self, bytes: u64) -> Result<(), Overdrawn> {
        self.account.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Bytes that hold it.
    fn over(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Charged { bytes, _charge: self })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

struct Charged {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.0.held.load(Ordering::Relaxed);
        f.debug_struct("Account").field("action", &self.0.action).field("held", &held).finish()
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("held", &self.held).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    const MIB: usize = 1 << 20;

    /// As many of a mebibyte as there are to be had.
    fn fill(account: &Account) -> Vec<Bytes> {
        let one = || account.hold(Bytes::from(vec![7; MIB])).ok();
        std::iter::from_fn(one).collect()
    }

    #[test]
    fn what_is_held_is_charged_until_the_last_of_it_is_dropped() {
        let budget = Budget::default();
        let account = budget.of(&"web".into());
        let bytes = account.hold(Bytes::from_static(b"seven b")).unwrap();
        let part = bytes.slice(2..4);
        assert_eq!((&*part, account.0.held.load(Ordering::Relaxed)), (&b"ve"[..], BESIDE + 7));
        drop(bytes);
        assert_eq!(account.0.held.load(Ordering::Relaxed), BESIDE + 7);
        drop(part);
        assert_eq!(account.0.held.load(Ordering::Relaxed), 0);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_that_is_used_up_is_refused_and_the_others_are_not() {
        let budget = Budget::default();
        let (web, other) = (budget.of(&"web".into()), budget.of(&"other".into()));
        let held = fill(&web);
        assert_eq!(held.len(), 254, "and a little beside each");
        assert_eq!(web.hold(Bytes::from(vec![7; MIB])), Err(Overdrawn));
        assert!(other.hold(Bytes::from(vec![7; MIB])).is_ok());
        drop(held);
        assert!(web.hold(Bytes::from(vec![7; MIB])).is_ok());
    }

    #[test]
    fn where_all_is_used_up_each_still_has_a_little() {
        let budget = Budget::default();
        let account = |n: usize| budget.of(&format!("action-{n}").into());
        let held: Vec<_> = (0..10).map(|n| fill(&account(n))).collect();
        let counts: Vec<_> = held.iter().map(Vec::len).collect();
        assert_eq!(counts[..5], [254, 254, 254, 254, 7], "{counts:?}");
        assert_eq!(counts[9], 7, "{counts:?}");
    }

    #[tokio::test]
    async fn a_body_is_charged_while_it_comes() {
        let account = Account::alone(&"web".into());
        let body = |bytes: usize| Full::new(Bytes::from(vec![7; bytes]));
        let whole = account.collect(body(MIB), MIB).await.unwrap();
        assert_eq!(account.0.held.load(Ordering::Relaxed), BESIDE + MIB as u64);
        assert!(matches!(account.collect(body(MIB + 1), MIB).await, Err(Missing::TooLong(_))));
        let _rest = fill(&account);
        assert!(matches!(account.collect(body(MIB), MIB).await, Err(Missing::Overdrawn(_))));
        drop(whole);
        assert!(account.collect(body(MIB), MIB).await.is_ok());
    }
}
