//! Running jobs on request: the jobs that can be triggered on this host, because it leads.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, oneshot};

use soloist_jobs::RunRecord;

/// How many requests may wait for a job.
const REQUESTS: usize = 16;

/// The jobs that run on this host now, by name. Clones share them.
#[derive(Clone, Default)]
pub struct JobTriggers(Arc<Mutex<BTreeMap<Arc<str>, mpsc::Sender<TriggerRequest>>>>);

/// A request to run a job now.
#[derive(Debug)]
pub(super) struct TriggerRequest {
    pub(super) answer: oneshot::Sender<Result<TriggeredRun, TriggerRefusal>>,
}

/// A run that was requested and has been claimed.
#[derive(Debug)]
pub struct TriggeredRun {
    /// The record of the run as it started.
    pub record: RunRecord,
    /// Resolves to its record when it has ended. An error means that the term ended first.
    pub end: oneshot::Receiver<RunRecord>,
}

/// Why a job was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerRefusal {
    /// It does not run on this host, or no longer does.
    NotHere,
    /// This run is under way, and the job's settings allow no other in parallel.
    Busy(String),
    /// This many runs are in progress, and no more may.
    Full(usize),
}

impl JobTriggers {
    /// Runs `action` now.
    ///
    /// # Errors
    /// Why not; then nothing was started.
    pub async fn trigger(&self, action: &str) -> Result<TriggeredRun, TriggerRefusal> {
        let requests = self.lock().get(action).cloned().ok_or(TriggerRefusal::NotHere)?;
        let (answer, outcome) = oneshot::channel();
        let gone = |_| TriggerRefusal::NotHere;
        requests.send(TriggerRequest { answer }).await.map_err(gone)?;
        outcome.await.unwrap_or(Err(TriggerRefusal::NotHere))
    }

    /// Receives the requests for `action` until the returned queue is dropped.
    pub(super) fn register(&self, action: &Arc<str>) -> TriggerQueue {
        let (sender, requests) = mpsc::channel(REQUESTS);
        self.lock().insert(Arc::clone(action), sender.clone());
        TriggerQueue { triggers: self.clone(), action: Arc::clone(action), sender, requests }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, mpsc::Sender<TriggerRequest>>> {
        self.0.lock()
    }
}

impl fmt::Debug for JobTriggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

/// The requests for one job.
#[derive(Debug)]
pub(super) struct TriggerQueue {
    triggers: JobTriggers,
    action: Arc<str>,
    sender: mpsc::Sender<TriggerRequest>,
    requests: mpsc::Receiver<TriggerRequest>,
}

impl TriggerQueue {
    /// The next request.
    pub(super) async fn next(&mut self) -> Option<TriggerRequest> {
        self.requests.recv().await
    }
}

impl Drop for TriggerQueue {
    fn drop(&mut self) {
        let mut open = self.triggers.lock();
        // A later version may have registered already.
        if open.get(&self.action).is_some_and(|sender| sender.same_channel(&self.sender)) {
            open.remove(&self.action);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_is_found_while_it_is_there() {
        let (triggers, name) = (JobTriggers::default(), Arc::from("report"));
        assert_eq!(triggers.trigger("report").await.unwrap_err(), TriggerRefusal::NotHere);
        let former = triggers.register(&name);
        let mut requests = triggers.register(&name);
        drop(former);
        let asked = tokio::spawn({
            let triggers = triggers.clone();
            async move { triggers.trigger("report").await.unwrap_err() }
        });
        let busy = TriggerRefusal::Busy("report@x".to_owned());
        requests.next().await.unwrap().answer.send(Err(busy.clone())).unwrap();
        assert_eq!(asked.await.unwrap(), busy);
        drop(requests);
        assert_eq!(triggers.trigger("report").await.unwrap_err(), TriggerRefusal::NotHere);
    }

    #[tokio::test]
    async fn an_order_that_is_never_looked_at_is_declined() {
        let triggers = JobTriggers::default();
        let requests = triggers.register(&Arc::from("report"));
        let (declined, ()) = tokio::join!(triggers.trigger("report"), async { drop(requests) });
        assert_eq!(declined.unwrap_err(), TriggerRefusal::NotHere);
    }
}
