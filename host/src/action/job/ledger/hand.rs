//! The way from a ledger to the store: asked as often as it takes, under the eyes of the gate.

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
use soloist_stores::{Guard, State, StoreError, Write};
use soloist_telemetry::repeats::Repeats;
use soloist_text::with_causes;

/// The term is over, or may be: nothing more is written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over;

/// From one try to the next, while the store does not answer; twice as long each time.
pub(super) const AGAIN: Duration = Duration::from_millis(200);
/// The longest; at once, where it answers with what waiting does not mend: somebody has to.
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// Reads and writes for one job under one term.
pub(super) struct Hand {
    pub(super) action: Arc<str>,
    pub(super) term: TermLink,
    pub(super) store: Arc<dyn State>,
    repeats: Repeats,
    /// How many tries in a row have failed.
    tries: AtomicU32,
    /// Whether it was a write that failed last: what can be read proves nothing then.
    unwritten: AtomicBool,
    tell: Tell,
}

/// Who is told what is in the way, and when nothing is any more.
pub(super) type Tell = Box<dyn Fn(Option<&str>) + Send + Sync>;

/// What came of one write.
pub(super) enum Written {
    Yes,
    Conflict,
    /// It may have been made.
    Unknown,
}

impl Hand {
    pub(super) fn new(action: Arc<str>, term: TermLink, store: Arc<dyn State>) -> Self {
        let (repeats, tries) = (Repeats::default(), AtomicU32::new(0));
        let (unwritten, tell) = (AtomicBool::new(false), Box::new(|_: Option<&str>| {}));
        Self { action, term, store, repeats, tries, unwritten, tell }
    }

    pub(super) fn telling(self, tell: Tell) -> Self {
        Self { tell, ..self }
    }

    /// What the store answers, however often it has to be asked.
    pub(super) async fn sure<T, F>(&self, what: &str, ask: impl Fn() -> F) -> Result<T, Over>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            self.pass()?;
            let answer = ask().await;
            self.pass()?;
            match answer {
                Ok(answer) => {
                    if !self.unwritten.load(Ordering::Relaxed) {
                        self.goes_on();
                    }
                    return Ok(answer);
                }
                Err(error) => self.wait(what, &error).await?,
            }
        }
    }

    /// Makes `writes` as the leader that this host is, once.
    pub(super) async fn write(&self, what: &str, writes: &[Write]) -> Result<Written, Over> {
        self.pass()?;
        let guard = Guard::Leader(&self.term.key);
        match self.store.write(guard, &self.action, writes).await {
            Ok(()) => {
                self.unwritten.store(false, Ordering::Relaxed);
                self.goes_on();
                self.pass().map(|()| Written::Yes)
            }
            Err(StoreError::Conflict) => Ok(Written::Conflict),
            Err(error) => {
                self.unwritten.store(true, Ordering::Relaxed);
                self.wait(what, &error).await.map(|()| Written::Unknown)
            }
        }
    }

    fn pass(&self) -> Result<(), Over> {
        self.term.gate.pass().map_err(|_| Over)
    }

    /// Pauses after an error, unless that ends the term.
    async fn wait(&self, what: &str, error: &StoreError) -> Result<(), Over> {
        if matches!(error, StoreError::NotLeader | StoreError::LeaseGone) {
            self.term.fenced(&self.action);
            return Err(Over);
        }
        let pause = self.troubled(what, error);
        sleep(pause).await;
        self.pass()
    }

    /// Says what is in the way, and how long to leave it alone.
    fn troubled(&self, what: &str, error: &StoreError) -> Duration {
        let (job, text) = (&self.action, with_causes(error));
        self.repeats.said(&text, |told| {
            warn!(
                event = "job-trouble", action = %job, error = text,
                "job {job} cannot {what} and tries again{told}"
            );
        });
        (self.tell)(Some(&text));
        let tries = self.tries.fetch_add(1, Ordering::Relaxed);
        let doubled = AGAIN.saturating_mul(2_u32.saturating_pow(tries));
        if error.is_transient() { doubled.min(AGAIN_MAX) } else { AGAIN_MAX }
    }

    fn goes_on(&self) {
        if self.tries.swap(0, Ordering::Relaxed) > 0 {
            (self.tell)(None);
        }
        let job = &self.action;
        self.repeats.over(|told| {
            info!(
                event = "job-goes-on", action = %job,
                "the ledger of job {job} can be read and written again{told}"
            );
        });
    }
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Hand");
        shown.field("action", &self.action).field("term", &self.term).finish_non_exhaustive()
    }
}
