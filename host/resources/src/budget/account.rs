//! Memory accounts: each action has one, and all of them share a total.
//!
//! Invariant: bytes are charged for as long as they exist, because the bytes themselves hold the
//! charge ([`Account::hold`]), or their owner holds a [`Charge`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use soloist_telemetry::log_throttle::LogThrottle;

/// The most bytes held for one action, or for all clients of the control API.
pub(super) const ACCOUNT_MAX: u64 = 256 << 20;
/// The most bytes held for everybody together, apart from [`ALWAYS_ALLOWED`].
const TOTAL_MAX: u64 = 1 << 30;
/// The bytes that each account may have, no matter how much the others hold.
const ALWAYS_ALLOWED: u64 = 8 << 20;
/// What a call costs in addition to its payload or result, in bytes.
pub(super) const CALL_OVERHEAD: u64 = 8 << 10;

/// The most values of state that an action reads at a time: 64 MiB if all have the maximum length.
/// Further reads wait.
const READS_MAX: usize = 256;

/// The account of one action. Clones share it.
#[derive(Clone)]
pub struct Account(Arc<AccountState>);

struct AccountState {
    /// Whose account it is.
    holder: AccountHolder,
    held: AtomicU64,
    total: BudgetTotal,
    gauge: Gauge,
    throttle: LogThrottle,
    reads: Arc<Semaphore>,
}

/// The owner of an account.
#[derive(Clone, Debug)]
pub(super) enum AccountHolder {
    Action(Arc<str>),
    Clients,
}

/// The bytes held for all accounts together.
#[derive(Clone)]
pub(super) struct BudgetTotal {
    pub(super) held: Arc<AtomicU64>,
    pub(super) gauge: Gauge,
}

/// The account has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this host already holds the maximum for it ({} MiB): send less at a time", ACCOUNT_MAX >> 20)]
pub struct OverBudget;

/// Why a body could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError<E> {
    /// It is longer than this many bytes.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// The account has no room for it.
    #[error("{0}")]
    OverBudget(#[from] OverBudget),
    /// It ended with an error.
    #[error("{0}")]
    Broken(E),
}

impl Account {
    pub(super) fn open(holder: AccountHolder, gauge: Gauge, whole: &BudgetTotal) -> Self {
        let (whole, reads) = (whole.clone(), Arc::new(Semaphore::new(READS_MAX)));
        let (held, refused) = (AtomicU64::new(0), LogThrottle::default());
        Self(Arc::new(AccountState { holder, held, total: whole, gauge, throttle: refused, reads }))
    }

    /// Charges `bytes` until they are dropped.
    ///
    /// # Errors
    /// The account has no room.
    pub fn hold(&self, bytes: Bytes) -> Result<Bytes, OverBudget> {
        Ok(self.charge(CALL_OVERHEAD + bytes.len() as u64)?.attach_to(bytes))
    }

    /// Charges `bytes` bytes until the charge is dropped.
    pub fn charge(&self, bytes: u64) -> Result<Charge, OverBudget> {
        let mut charge = self.empty_charge();
        charge.grow(bytes).map(|()| charge)
    }

    /// An empty charge, which can grow.
    pub fn empty_charge(&self) -> Charge {
        Charge { account: self.clone(), bytes: 0 }
    }

    /// Waits until this many more values of state may be read. The caller must not be one that can
    /// be kept from the processor while it holds the permit: others wait for it.
    pub async fn read_permit(&self, values: usize) -> Option<OwnedSemaphorePermit> {
        let values = u32::try_from(values.min(READS_MAX)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Arc::clone(&self.0.reads).acquire_many_owned(values).await.ok()
    }

    /// Collects a body of at most `most` bytes. Each frame is charged before the next is awaited.
    pub async fn collect<B>(&self, body: B, most: usize) -> Result<Bytes, CollectError<B::Error>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (mut body, mut whole, mut charge) = (body, BytesMut::new(), self.empty_charge());
        charge.grow(CALL_OVERHEAD)?;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(CollectError::Broken)?.into_data() else { continue };
            if data.len() > most - whole.len() {
                return Err(CollectError::TooLong(most));
            }
            charge.grow(data.len() as u64)?;
            whole.extend_from_slice(&data);
        }
        Ok(charge.attach_to(whole.freeze()))
    }

    /// Charges `bytes` if there is room; returns whether there was.
    fn take(&self, bytes: u64) -> bool {
        let AccountState { held, total: whole, gauge, .. } = &*self.0;
        let own = held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let all = whole.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        gauge.increment(bytes as f64);
        whole.gauge.increment(bytes as f64);
        let fits = own <= ALWAYS_ALLOWED || (own <= ACCOUNT_MAX && all <= TOTAL_MAX);
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    fn give_back(&self, bytes: u64) {
        let AccountState { held, total: whole, gauge, .. } = &*self.0;
        held.fetch_sub(bytes, Ordering::Relaxed);
        whole.held.fetch_sub(bytes, Ordering::Relaxed);
        gauge.decrement(bytes as f64);
        whole.gauge.decrement(bytes as f64);
    }

    fn warn_refused(&self) {
        let (holder, held) = (&self.0.holder, self.0.held.load(Ordering::Relaxed) >> 20);
        self.0.throttle.report(|repeats| match holder {
            AccountHolder::Action(action) => tracing::warn!(
                event = "overdrawn", %action,
                "{action} is refused more memory: this host already holds {held} MiB for \
                 it{repeats}",
            ),
            AccountHolder::Clients => tracing::warn!(
                event = "overdrawn",
                "a body is refused: this host holds {held} MiB for the clients of its control API{repeats}",
            ),
        });
    }
}

/// An amount that is charged to an account until it is dropped.
#[derive(Debug)]
pub struct Charge {
    account: Account,
    bytes: u64,
}

impl Charge {
    /// Charges `bytes` more.
    pub fn grow(&mut self, bytes: u64) -> Result<(), OverBudget> {
        if self.try_grow(bytes) {
            return Ok(());
        }
        self.account.warn_refused();
        Err(OverBudget)
    }

    /// Like [`grow`](Self::grow), for callers that can do without: refusals are not logged.
    pub fn try_grow(&mut self, bytes: u64) -> bool {
        let grows = self.account.take(bytes);
        if grows {
            self.bytes += bytes;
        }
        grows
    }

    /// Returns all but `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.account.give_back(less);
        self.bytes -= less;
    }

    /// Splits off a charge as large as `bytes`, which holds them from now on.
    pub fn split_onto(&mut self, bytes: Bytes) -> Bytes {
        let own = self.bytes.min(bytes.len() as u64);
        self.bytes -= own;
        Self { account: self.account.clone(), bytes: own }.attach_to(bytes)
    }

    /// Bytes that hold this charge.
    fn attach_to(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(ChargedBytes { bytes, _charge: self })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

struct ChargedBytes {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for ChargedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.0.held.load(Ordering::Relaxed);
        f.debug_struct("Account").field("holder", &self.0.holder).field("held", &held).finish()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;
    use crate::budget::Budget;

    const MIB: usize = 1 << 20;

    /// As many blocks of 1 MiB as there is room for.
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
        assert_eq!(
            (&*part, account.0.held.load(Ordering::Relaxed)),
            (&b"ve"[..], CALL_OVERHEAD + 7)
        );
        drop(bytes);
        assert_eq!(account.0.held.load(Ordering::Relaxed), CALL_OVERHEAD + 7);
        drop(part);
        assert_eq!(account.0.held.load(Ordering::Relaxed), 0);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn one_that_is_used_up_is_refused_and_the_others_are_not() {
        let budget = Budget::default();
        let (web, other) = (budget.of(&"web".into()), budget.of(&"other".into()));
        let held = fill(&web);
        assert_eq!(held.len(), 254, "and a little more for each");
        assert_eq!(web.hold(Bytes::from(vec![7; MIB])), Err(OverBudget));
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
        assert_eq!(account.0.held.load(Ordering::Relaxed), CALL_OVERHEAD + MIB as u64);
        assert!(matches!(account.collect(body(MIB + 1), MIB).await, Err(CollectError::TooLong(_))));
        let _rest = fill(&account);
        assert!(matches!(account.collect(body(MIB), MIB).await, Err(CollectError::OverBudget(_))));
        drop(whole);
        assert!(account.collect(body(MIB), MIB).await.is_ok());
    }
}
