//! What the job routes share: it looks up jobs and their runs.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::watch;

use super::job_list::JobEntry;
use crate::{
    action::{Action, JobServices, Programme, history},
    api::api_error::ApiError,
    cluster::PeerClient,
};
use soloist_config::JobConfig;
use soloist_jobs::{JobMark, RunRecord, upcoming_runs};
use soloist_leadership::RosterView;
use soloist_stores::ThisHost;
use soloist_text::{REFUSED_HELP, with_causes};

/// Looks up jobs and their runs.
pub struct JobApi {
    /// The name of this host.
    pub host: ThisHost,
    /// The actions of this host.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// The client for other hosts.
    pub peers: PeerClient,
    /// Who leads which group, and whether that is still known.
    pub roster_view: RosterView,
    /// What jobs need to run.
    pub jobs: JobServices,
    /// Why this host could claim no run at present, as far as recent attempts show.
    pub claim_trouble: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

/// The remark on a job whose schedule lies in the past.
const NEVER_AGAIN: &str = "it never runs again, since the year of its schedule has passed";

impl JobApi {
    /// The action of this name, if it is a job.
    pub(super) fn job(&self, name: &str) -> Result<Arc<Action>, ApiError> {
        let programme = self.programme.borrow();
        let mut jobs = programme.actions.iter().filter(|action| action.job().is_some());
        let found = jobs.find(|action| **action.name() == *name).cloned();
        found.ok_or_else(|| self.no_job(name))
    }

    pub(super) fn no_job(&self, name: &str) -> ApiError {
        let programme = self.programme.borrow();
        if let Some(why) = programme.refusal(name) {
            let error = format!("the action {name} is refused: {why}");
            return ApiError::new(StatusCode::CONFLICT, error, REFUSED_HELP);
        }
        let jobs = programme.actions.iter().filter(|action| action.job().is_some());
        let names: Vec<_> = jobs.map(|action| &**action.name()).collect();
        let help = match &names[..] {
            [] => "no action of this host has a `schedule`: add one to its settings".to_owned(),
            names => format!("the jobs are {}", names.join(", ")),
        };
        ApiError::new(StatusCode::NOT_FOUND, format!("there is no job `{name}`"), help)
    }

    pub(super) async fn entry(
        self: Arc<Self>,
        action: Arc<Action>,
    ) -> Result<Option<JobEntry>, ApiError> {
        let Some(job) = action.job() else { return Ok(None) };
        let entry = match history(&*self.jobs.ledger, action.name(), 1).await {
            Ok((mark, mut records)) => self.described(&action, job, mark.as_ref(), records.pop()),
            Err(error) if error.is_transient() => return Err(error.into()),
            // This concerns one job only; the others are still listed.
            Err(error) => {
                let error = Some(with_causes(&error));
                JobEntry { error, next_run_at: None, ..self.described(&action, job, None, None) }
            }
        };
        Ok(Some(entry))
    }

    pub(super) async fn records(
        &self,
        name: &str,
        most: usize,
    ) -> Result<(Option<JobMark>, Vec<RunRecord>), ApiError> {
        history(&*self.jobs.ledger, name, most).await.map_err(ApiError::from)
    }

    pub(super) fn described(
        &self,
        action: &Action,
        job: &JobConfig,
        mark: Option<&JobMark>,
        last: Option<RunRecord>,
    ) -> JobEntry {
        let now = self.jobs.clock.now();
        let over = || job.schedule.is_over(now).then(|| NEVER_AGAIN.to_owned());
        JobEntry {
            name: action.name().to_string(),
            group: action.group().to_string(),
            schedule: job.schedule.to_string(),
            catch_up: job.catch_up.to_string(),
            next_run_at: upcoming_runs(action.name(), job, mark, now).next().map(|next| next.due),
            last_run: last,
            error: action.status().job_trouble.or_else(over).or_else(|| (self.claim_trouble)()),
        }
    }
}
