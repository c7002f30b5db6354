//! A ledger's access to the store: calls are repeated until they succeed, while the gate is open.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;
use tracing::{info, warn};

use soloist_guests::capability::TermLink;
use soloist_stores::{StateStore, StateWrite, StoreError, WriteGuard};
use soloist_telemetry::log_throttle::LogThrottle;
use soloist_text::with_causes;

/// The term has ended, or may have: nothing more is written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermOver;

/// The first pause between two tries when the store does not answer; it doubles each time.
pub(super) const AGAIN: Duration = Duration::from_millis(200);
/// The longest pause. It is used at once for errors that do not go away by waiting.
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// Reads and writes for one job under one term.
pub(super) struct LedgerStore {
    pub(super) action: Arc<str>,
    pub(super) term: TermLink,
    pub(super) store: Arc<dyn StateStore>,
    repeats: LogThrottle,
    /// How many tries in a row have failed.
    tries: AtomicU32,
    /// Whether the last write failed: then a successful read does not mean that the trouble is
    /// over.
    write_failed: AtomicBool,
    on_trouble: TroubleCallback,
}

/// Called with what is wrong, and with `None` when that is over.
pub(super) type TroubleCallback = Box<dyn Fn(Option<&str>) + Send + Sync>;

/// The result of one write.
pub(super) enum LedgerWriteOutcome {
    Written,
    Conflict,
    /// The write may or may not have been made.
    Unknown,
}

impl LedgerStore {
    pub(super) fn new(action: Arc<str>, term: TermLink, store: Arc<dyn StateStore>) -> Self {
        let (repeats, tries) = (LogThrottle::default(), AtomicU32::new(0));
        let (write_failed, on_trouble) = (AtomicBool::new(false), Box::new(|_: Option<&str>| {}));
        Self { action, term, store, repeats, tries, write_failed, on_trouble }
    }

    pub(super) fn on_trouble(self, tell: TroubleCallback) -> Self {
        Self { on_trouble: tell, ..self }
    }

    /// The store's answer to `ask`, which is repeated until there is one.
    pub(super) async fn retry<T, F>(&self, what: &str, ask: impl Fn() -> F) -> Result<T, TermOver>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            self.check_gate()?;
            let answer = ask().await;
            self.check_gate()?;
            match answer {
                Ok(answer) => {
                    if !self.write_failed.load(Ordering::Relaxed) {
                        self.report_recovery();
                    }
                    return Ok(answer);
                }
                Err(error) => self.wait(what, &error).await?,
            }
        }
    }

    /// Tries once to make `writes`, under the leader's key.
    pub(super) async fn write(
        &self,
        what: &str,
        writes: &[StateWrite],
    ) -> Result<LedgerWriteOutcome, TermOver> {
        self.check_gate()?;
        let guard = WriteGuard::Leader(&self.term.key);
        match self.store.write(guard, &self.action, writes).await {
            Ok(_) => {
                self.write_failed.store(false, Ordering::Relaxed);
                self.report_recovery();
                self.check_gate().map(|()| LedgerWriteOutcome::Written)
            }
            Err(StoreError::Conflict) => Ok(LedgerWriteOutcome::Conflict),
            Err(error) => {
                self.write_failed.store(true, Ordering::Relaxed);
                self.wait(what, &error).await.map(|()| LedgerWriteOutcome::Unknown)
            }
        }
    }

    fn check_gate(&self) -> Result<(), TermOver> {
        self.term.gate.pass().map_err(|_| TermOver)
    }

    /// Pauses after an error, unless the error ends the term.
    async fn wait(&self, what: &str, error: &StoreError) -> Result<(), TermOver> {
        if matches!(error, StoreError::NotLeader | StoreError::LeaseGone) {
            self.term.fenced(&self.action);
            return Err(TermOver);
        }
        let pause = self.report_trouble(what, error);
        sleep(pause).await;
        self.check_gate()
    }

    /// Reports what is wrong, and returns how long to wait before the next try.
    fn report_trouble(&self, what: &str, error: &StoreError) -> Duration {
        let (job, text) = (&self.action, with_causes(error));
        self.repeats.report_text(&text, |told| {
            warn!(
                event = "job-trouble", action = %job, error = text,
                "job {job} cannot {what} and tries again{told}"
            );
        });
        (self.on_trouble)(Some(&text));
        let tries = self.tries.fetch_add(1, Ordering::Relaxed);
        let doubled = AGAIN.saturating_mul(2_u32.saturating_pow(tries));
        if error.is_transient() { doubled.min(AGAIN_MAX) } else { AGAIN_MAX }
    }

    fn report_recovery(&self) {
        if self.tries.swap(0, Ordering::Relaxed) > 0 {
            (self.on_trouble)(None);
        }
        let job = &self.action;
        self.repeats.recovered(|told| {
            info!(
                event = "job-goes-on", action = %job,
                "the ledger of job {job} can be read and written again{told}"
            );
        });
    }
}

impl fmt::Debug for LedgerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Hand");
        shown.field("action", &self.action).field("term", &self.term).finish_non_exhaustive()
    }
}
