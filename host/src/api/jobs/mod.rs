//! Jobs, for people.
//!
//! ```text
//! GET    /v1/jobs                        those of this host, each with its next and last firing
//! GET    /v1/jobs/<name>                 what is kept of its firings, the latest first
//! GET    /v1/jobs/<name>/next?count=10&zone=Europe/Berlin
//!                                        what is still to come, and when clocks are set
//! POST   /v1/jobs/<name>/run?wait=true   has it run now, by whichever host leads
//! GET    /v1/clock                       what this host's clock shows, by which they go
//! ```
//!
//! What is said of firings comes from the store, so any host says it. A host that does not
//! lead passes an order on to the one that does; its answer is the leader's.

mod entry;
mod next;
mod order;

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;

pub use self::entry::{JobEntry, JobFirings, JobFuture, JobList, NEXT_MAX, NextFiring};
use super::{
    extract::Path,
    needs::{OPERATE, READ},
    refusal::Refusal,
    routes::Routes,
    state::refusal,
};
use crate::{
    action::{Action, Jobs, Mark, Programme, RECORDS_MAX, Record, history, upcoming},
    cluster::Peers,
};
use soloist_config::JobConfig;
use soloist_heart::clock::ClockFace;
use soloist_stores::Roster;
use soloist_text::{REFUSED_HELP, with_causes};

/// So many jobs are looked up at a time.
const AT_ONCE: usize = 16;

/// What is said of a job whose year has passed.
const NEVER_AGAIN: &str = "it never fires again, since the year of its schedule has passed";

/// What the answers are made of.
pub struct JobSource {
    /// This host.
    pub host: Arc<str>,
    /// The actions of this host.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// The way to other hosts.
    pub peers: Peers,
    /// Who leads.
    pub roster: watch::Receiver<Option<Roster>>,
    /// What jobs share.
    pub jobs: Jobs,
    /// Why this host could claim no firing now, by what it has tried; nothing, if it could.
    pub obstacle: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

type Source = State<Arc<JobSource>>;

pub(super) fn routes(source: Arc<JobSource>) -> Routes {
    Routes::new()
        .get("/v1/jobs", READ, list)
        .get("/v1/jobs/{name}", READ, firings)
        .get("/v1/jobs/{name}/next", READ, next::next)
        .post("/v1/jobs/{name}/run", OPERATE, order::run)
        .get("/v1/clock", READ, clock)
        .with(source)
}

/// For other hosts, which compare it with their own.
async fn clock(State(source): Source) -> impl IntoResponse {
    let shown = ClockFace { shows: source.jobs.clock.now() };
    ([(header::CACHE_CONTROL, "no-store")], Json(shown))
}

async fn list(State(source): Source) -> Result<impl IntoResponse, Refusal> {
    let mut actions = source.programme.borrow().actions.clone();
    actions.retain(|action| action.job().is_some());
    let entries = actions.into_iter().map(|action| Arc::clone(&source).entry(action));
    let found: Vec<_> = stream::iter(entries).buffered(AT_ONCE).try_collect().await?;
    let jobs = found.into_iter().flatten().collect();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(JobList { jobs })))
}

async fn firings(
    State(source): Source,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, Refusal> {
    let action = source.job(&name)?;
    let job = action.job().ok_or_else(|| source.no_job(&name))?;
    let (mark, mut firings) = source.records(&name, RECORDS_MAX as usize).await?;
    firings.reverse();
    let job = source.described(&action, job, mark.as_ref(), firings.first().cloned());
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(JobFirings { job, firings })))
}

impl JobSource {
    /// The action of this name, if it is a job.
    fn job(&self, name: &str) -> Result<Arc<Action>, Refusal> {
        let programme = self.programme.borrow();
        let mut jobs = programme.actions.iter().filter(|action| action.job().is_some());
        let found = jobs.find(|action| **action.name() == *name).cloned();
        found.ok_or_else(|| self.no_job(name))
    }

    fn no_job(&self, name: &str) -> Refusal {
        let programme = self.programme.borrow();
        if let Some(why) = programme.refusal(name) {
            let error = format!("the action {name} is refused: {why}");
            return Refusal::new(StatusCode::CONFLICT, error, REFUSED_HELP);
        }
        let jobs = programme.actions.iter().filter(|action| action.job().is_some());
        let names: Vec<_> = jobs.map(|action| &**action.name()).collect();
        let help = match &names[..] {
            [] => "no action of this host has a `schedule`: add one to its settings".to_owned(),
            names => format!("the jobs are {}", names.join(", ")),
        };
        Refusal::new(StatusCode::NOT_FOUND, format!("there is no job `{name}`"), help)
    }

    async fn entry(self: Arc<Self>, action: Arc<Action>) -> Result<Option<JobEntry>, Refusal> {
        let Some(job) = action.job() else { return Ok(None) };
        let entry = match history(&*self.jobs.ledger, action.name(), 1).await {
            Ok((mark, mut records)) => self.described(&action, job, mark.as_ref(), records.pop()),
            Err(error) if error.is_transient() => return Err(refusal(error)),
            // That is so of one job; the others are as they are.
            Err(error) => {
                let error = Some(with_causes(&error));
                JobEntry { error, next: None, ..self.described(&action, job, None, None) }
            }
        };
        Ok(Some(entry))
    }

    async fn records(
        &self,
        name: &str,
        most: usize,
    ) -> Result<(Option<Mark>, Vec<Record>), Refusal> {
        history(&*self.jobs.ledger, name, most).await.map_err(refusal)
    }

    fn described(
        &self,
        action: &Action,
        job: &JobConfig,
        mark: Option<&Mark>,
        last: Option<Record>,
    ) -> JobEntry {
        let now = self.jobs.clock.now();
        let over = || job.schedule.is_over(now).then(|| NEVER_AGAIN.to_owned());
        JobEntry {
            name: action.name().to_string(),
            group: action.group().to_string(),
            schedule: job.schedule.to_string(),
            missed: job.missed.to_string(),
            next: upcoming(action.name(), job, mark, now).next().map(|next| next.due),
            last,
            error: action.status().job_trouble.or_else(over).or_else(|| (self.obstacle)()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{action::Desk, cluster::Passport, wall_clock::WallClock};
    use soloist_stores::Store;

    /// The jobs of a host without any.
    pub(in crate::api) fn none(store: &dyn Store) -> JobSource {
        let (clock, _) = WallClock::of_this_machine();
        let jobs = Jobs { ledger: store.ledger().unwrap(), desk: Desk::default(), clock };
        let (_, programme) = watch::channel(Arc::default());
        let (_, roster) = watch::channel(None);
        let peers = Peers::new(&Passport::default()).unwrap();
        let obstacle = Box::new(|| None);
        JobSource { host: "a".into(), programme, peers, roster, jobs, obstacle }
    }
}
