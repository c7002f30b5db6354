//! What is kept of a job in the store, from one leader to the next.
//!
//! ```text
//! mark             which firings were claimed, how far they are settled, and how many
//!                  records were made
//! run/<number>     the records; of those, the latest 50
//! ```
//!
//! Invariants:
//! - A firing is claimed before it is begun, by one transaction that is guarded by the
//!   leader's key: it moves the mark, which must be the one that the claim goes by, and
//!   makes the record, which must not exist. So no firing is begun under two tokens.
//! - Whether a claim was made is known before anything is begun. One whose answer was
//!   lost is read again; sending it twice does no harm, since the mark has moved.
//! - What a lost leader had begun is recorded as interrupted, and never begun again.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::sleep;
use tracing::{info, warn};

use super::{
    claimed::Claimed,
    firing::Firing,
    record::{Mark, Outcome, Record},
};
use crate::{
    capability::TermLink,
    repeats::Repeats,
    store::{Entry, Guard, State, StoreError, Write},
    words::with_causes,
};

/// How many records are kept.
pub const RECORDS_MAX: u64 = 50;
/// From one try to the next, while the store does not answer; twice as long each time.
const AGAIN: Duration = Duration::from_millis(200);
const AGAIN_MAX: Duration = Duration::from_secs(5);
/// The same where it answers with what waiting does not mend: somebody has to.
const UNMENDED: Duration = Duration::from_secs(30);

const MARK: &str = "mark";
const RUN: &str = "run/";
/// More than there ever are.
const KEYS_MAX: usize = 1000;

/// The ledger of one job under one term.
pub struct Ledger {
    action: Arc<str>,
    term: TermLink,
    store: Arc<dyn State>,
    repeats: Repeats,
    trouble: Mutex<Trouble>,
    tell: Tell,
}

/// Who is told what is in the way, and when nothing is any more.
type Tell = Box<dyn Fn(Option<&str>) + Send + Sync>;

/// What is in the way, and for how many tries in a row it was.
#[derive(Debug, Default)]
struct Trouble {
    said: String,
    tries: u32,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Ledger");
        shown.field("action", &self.action).field("term", &self.term).finish_non_exhaustive()
    }
}

/// The term is over, or may be: nothing more is written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over;

/// A record, and where it stands.
#[derive(Clone, Debug)]
pub struct Page {
    number: u64,
    /// What is kept.
    pub record: Record,
}

/// What there is of a job at one moment.
#[derive(Debug, Default)]
struct Book {
    mark: Option<(Mark, i64)>,
    pages: Vec<(Page, i64)>,
}

/// What came of one write.
enum Written {
    Yes,
    Conflict,
    /// It may have been made.
    Unknown,
}

impl Ledger {
    /// The ledger of `action` in `store`, written to under `term`.
    #[must_use]
    pub fn new(action: Arc<str>, term: TermLink, store: Arc<dyn State>) -> Self {
        let (repeats, trouble) = (Repeats::default(), Mutex::default());
        Self { action, term, store, repeats, trouble, tell: Box::new(|_| {}) }
    }

    /// Tells by `tell` what keeps it from being read or written, and when nothing does any
    /// more.
    #[must_use]
    pub fn telling(self, tell: impl Fn(Option<&str>) + Send + Sync + 'static) -> Self {
        Self { tell: Box::new(tell), ..self }
    }

    /// Begins a term: what was running under an earlier one is over, and without a mark
    /// for `schedule`, or where `anew` is wanted, all firings up to `now` are settled.
    /// Returns the mark, and the records, the latest last.
    ///
    /// # Errors
    /// The term is over.
    pub async fn open(
        &self,
        now: DateTime<Utc>,
        schedule: &str,
        anew: bool,
    ) -> Result<(Mark, Vec<Record>), Over> {
        loop {
            let mut book =
                self.sure("open its ledger", || read(&*self.store, &self.action)).await?;
            let mut writes = Vec::new();
            for (page, version) in &mut book.pages {
                if !page.record.is_over() {
                    interrupt(&mut page.record, now);
                    writes.push(self.put(&page.key(), &page.record, *version)?);
                }
            }
            let records: Vec<_> = book.pages.iter().map(|(page, _)| page.record.clone()).collect();
            if let Some((mark, _)) = &mut book.mark
                && mark.claimed.is_empty()
            {
                mark.claimed = claimed_of(&records);
            }
            let mark = match &book.mark {
                Some((mark, _)) if mark.schedule == schedule && !anew => mark.clone(),
                found => {
                    let ask = || self.store.list(&self.action, None, KEYS_MAX);
                    let keys = self.sure("open its ledger", ask).await?;
                    let (mark, version) = begin(found.as_ref(), &keys, now, schedule, anew);
                    writes.push(self.put(MARK, &mark, version)?);
                    mark
                }
            };
            if writes.is_empty() {
                return Ok((mark, records));
            }
            if matches!(self.write("open its ledger", &writes).await?, Written::Yes) {
                return Ok((mark, records));
            }
        }
    }

    /// Claims `firing`, before which `missed` were dropped, where firings are settled as
    /// `mark` says. Returns the new mark and the record; nothing, if the claim was not made
    /// and never will be: the mark is another than it goes by.
    ///
    /// # Errors
    /// The term is over. Then the claim may have been made.
    pub async fn claim(
        &self,
        mark: &Mark,
        firing: &Firing,
        missed: usize,
        now: DateTime<Utc>,
    ) -> Result<Option<(Mark, Page)>, Over> {
        let (new, page) = self.drawn_up(mark, firing, missed, now);
        let keys = [MARK.to_owned()];
        // Whether the answer to a write of this claim was lost.
        let mut doubtful = false;
        loop {
            let get = || self.store.get(&self.action, &keys);
            let found = self.sure("claim a firing", get).await?.pop().flatten();
            let version = match found.map(|entry| parse::<Mark>(&self.action, MARK, &entry)) {
                Some(Ok((found, _))) if doubtful && found == new => {
                    return Ok(Some((new, page)));
                }
                Some(Ok((found, version))) if found.count == mark.count => version,
                _ => return Ok(None),
            };
            let mut writes =
                vec![self.put(MARK, &new, version)?, self.put(&page.key(), &page.record, 0)?];
            if let Some(oldest) = page.number.checked_sub(RECORDS_MAX).filter(|it| *it > 0) {
                writes.push(Write { key: key(oldest), value: None, only_if: None });
            }
            match self.write("claim a firing", &writes).await? {
                Written::Yes => return Ok(Some((new, page))),
                // If it was not this claim that moved the mark, the next look tells.
                Written::Conflict => sleep(AGAIN).await,
                Written::Unknown => doubtful = true,
            }
        }
    }

    /// The mark and the record that claim `firing`.
    fn drawn_up(
        &self,
        mark: &Mark,
        firing: &Firing,
        missed: usize,
        now: DateTime<Utc>,
    ) -> (Mark, Page) {
        let term = self.term.gate.term();
        let (token, number) = (term.token.0, mark.count + 1);
        let settled = if firing.by_hand { mark.settled } else { firing.scheduled };
        let latest = Some((firing.id.clone(), token));
        let claimed = if firing.by_hand {
            mark.claimed.clone()
        } else {
            mark.claimed.with(mark.settled_by(now), firing.scheduled)
        };
        let new = Mark { settled, claimed, schedule: mark.schedule.clone(), count: number, latest };
        let record = Record {
            id: firing.id.clone(),
            scheduled: firing.scheduled,
            by_hand: firing.by_hand,
            missed,
            host: term.host.to_string(),
            token,
            started: now,
            ended: None,
            attempt: 1,
            outcome: Outcome::Running,
            exit: None,
            error: None,
            output: String::new(),
        };
        (new, Page { number, record })
    }

    /// Replaces what is kept of a firing, unless that has ended or was forgotten.
    ///
    /// # Errors
    /// The term is over.
    pub async fn keep(&self, page: &Page) -> Result<(), Over> {
        let keys = [page.key()];
        loop {
            let get = || self.store.get(&self.action, &keys);
            let found = self.sure("keep a record", get).await?.pop().flatten();
            let Some(Ok((found, version))) =
                found.map(|entry| parse::<Record>(&self.action, &page.key(), &entry))
            else {
                return Ok(());
            };
            if found.is_over() || found.id != page.record.id || found == page.record {
                return Ok(());
            }
            let write = self.put(&page.key(), &page.record, version)?;
            if matches!(self.write("keep a record", &[write]).await?, Written::Yes) {
                return Ok(());
            }
        }
    }

    fn put(&self, key: &str, value: &impl serde::Serialize, version: i64) -> Result<Write, Over> {
        // What is derived here for texts and numbers does not fail.
        let value = serde_json::to_vec(value).map_err(|_| Over)?;
        Ok(Write { key: key.to_owned(), value: Some(value.into()), only_if: Some(version) })
    }

    /// What the store answers, however often it has to be asked.
    async fn sure<T, F>(&self, what: &str, ask: impl Fn() -> F) -> Result<T, Over>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            self.pass()?;
            let answer = ask().await;
            self.pass()?;
            match answer {
                Ok(answer) => {
                    self.goes_on();
                    return Ok(answer);
                }
                Err(error) => self.wait(what, &error).await?,
            }
        }
    }

    /// Makes `writes` as the leader that this host is, once.
    async fn write(&self, what: &str, writes: &[Write]) -> Result<Written, Over> {
        self.pass()?;
        let guard = Guard::Leader(&self.term.key);
        match self.store.write(guard, &self.action, writes).await {
            Ok(()) => {
                self.goes_on();
                self.pass().map(|()| Written::Yes)
            }
            Err(StoreError::Conflict) => Ok(Written::Conflict),
            Err(error) => self.wait(what, &error).await.map(|()| Written::Unknown),
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
        self.repeats.happened(|told| {
            warn!(
                event = "job-trouble", action = %job, error = text,
                "job {job} cannot {what} and tries again{told}"
            );
        });
        let mut trouble = self.trouble();
        if trouble.said != text {
            (self.tell)(Some(&text));
            trouble.said = text;
        }
        let doubled = AGAIN.saturating_mul(2_u32.saturating_pow(trouble.tries));
        trouble.tries += 1;
        if error.is_transient() { doubled.min(AGAIN_MAX) } else { UNMENDED }
    }

    fn goes_on(&self) {
        if mem::take(&mut *self.trouble()).tries > 0 {
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

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    fn key(&self) -> String {
        key(self.number)
    }
}

/// In the order of their bytes as well.
fn key(number: u64) -> String {
    format!("{RUN}{number:020}")
}

/// The mark of a job that begins now, in the place of the one that was found.
fn begin(
    found: Option<&(Mark, i64)>,
    keys: &[String],
    now: DateTime<Utc>,
    schedule: &str,
    anew: bool,
) -> (Mark, i64) {
    let schedule = schedule.to_owned();
    match found {
        Some((mark, version)) => {
            // Under another schedule, too, nothing that was claimed comes again.
            let mut claimed = mark.claimed.clone();
            if anew {
                claimed.cut(now);
            }
            (Mark { settled: now, claimed, schedule, ..mark.clone() }, *version)
        }
        None => {
            // None, unless somebody took the mark away: their numbers are not given again.
            let numbers = keys.iter().filter_map(|key| key.strip_prefix(RUN)?.parse().ok());
            let count = numbers.max().unwrap_or(0);
            let claimed = Claimed::default();
            (Mark { settled: now, claimed, schedule, count, latest: None }, 0)
        }
    }
}

/// What is known of a mark that does not say itself what was claimed: hosts of former
/// versions wrote such.
fn claimed_of(records: &[Record]) -> Claimed {
    let scheduled = || records.iter().filter(|record| !record.by_hand).map(|it| it.scheduled);
    let bounds = scheduled().min().zip(scheduled().max());
    bounds.map_or_else(Claimed::default, |(from, to)| Claimed::all(from, to))
}

fn interrupt(record: &mut Record, now: DateTime<Utc>) {
    record.outcome = Outcome::Interrupted;
    record.ended = Some(now);
    let why = format!("{} lost its leadership, or stopped, while this ran", record.host);
    record.error = Some(why);
}

/// How far the firings of `action` are settled, and the latest of what is kept of them:
/// the latest last.
///
/// # Errors
/// What the store says.
pub async fn history(
    store: &dyn State,
    action: &str,
    most: usize,
) -> Result<(Option<Mark>, Vec<Record>), StoreError> {
    let Book { mark, pages } = read_latest(store, action, most as u64).await?;
    Ok((mark.map(|(mark, _)| mark), pages.into_iter().map(|(page, _)| page.record).collect()))
}

async fn read(store: &dyn State, action: &str) -> Result<Book, StoreError> {
    read_latest(store, action, RECORDS_MAX).await
}

async fn read_latest(store: &dyn State, action: &str, most: u64) -> Result<Book, StoreError> {
    let found = store.get(action, &[MARK.to_owned()]).await?.pop().flatten();
    let mark = found.map(|entry| parse::<Mark>(action, MARK, &entry)).transpose()?;
    let Some((mark, version)) = mark else {
        return Ok(Book::default());
    };
    let first = (mark.count + 1).saturating_sub(most.min(RECORDS_MAX)).max(1);
    let numbers: Vec<_> = (first..=mark.count).collect();
    let keys: Vec<_> = numbers.iter().map(|number| key(*number)).collect();
    let found = if keys.is_empty() { Vec::new() } else { store.get(action, &keys).await? };
    let pages = numbers.into_iter().zip(found).filter_map(|(number, entry)| {
        let (record, version) = parse(action, &key(number), &entry?).ok()?;
        Some((Page { number, record }, version))
    });
    Ok(Book { mark: Some((mark, version)), pages: pages.collect() })
}

/// What an entry says, and its version.
fn parse<T: serde::de::DeserializeOwned>(
    action: &str,
    key: &str,
    entry: &Entry,
) -> Result<(T, i64), StoreError> {
    let parsed = serde_json::from_slice(&entry.value);
    let value = parsed.map_err(|error| StoreError::Refused {
        problem: format!(
            "the ledger of the job {action} holds what soloist has not written, under its key \
             `{key}`: delete that from the store, and the job goes on from then"
        ),
        source: Some(error.into()),
    })?;
    Ok((value, entry.version))
}
