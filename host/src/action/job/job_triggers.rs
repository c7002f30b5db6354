//! The desk: where whoever wants a job run now finds the job, on the host that leads.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, oneshot};

use super::firing_record::FiringRecord;

/// So many orders wait for a job to look at them.
const ORDERS: usize = 16;

/// The jobs that run on this host now, by name. Clones are the same.
#[derive(Clone, Default)]
pub struct JobTriggers(Arc<Mutex<BTreeMap<Arc<str>, mpsc::Sender<TriggerRequest>>>>);

/// Somebody wants a job run now.
#[derive(Debug)]
pub(super) struct TriggerRequest {
    pub(super) answer: oneshot::Sender<Result<TriggeredFiring, TriggerRefusal>>,
}

/// A firing that was asked for, and was claimed.
#[derive(Debug)]
pub struct TriggeredFiring {
    /// It, as it began.
    pub record: FiringRecord,
    /// It, when it has ended. An error means that the term has ended before.
    pub end: oneshot::Receiver<FiringRecord>,
}

/// Why a job was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerRefusal {
    /// It does not run on this host, or not any more.
    NotHere,
    /// This firing is under way, and its settings let no other begin beside it.
    Busy(String),
    /// So many firings run side by side, and no more may.
    Full(usize),
}

impl JobTriggers {
    /// Has `action` run now.
    ///
    /// # Errors
    /// Why not; then nothing was begun.
    pub async fn trigger(&self, action: &str) -> Result<TriggeredFiring, TriggerRefusal> {
        let orders = self.lock().get(action).cloned().ok_or(TriggerRefusal::NotHere)?;
        let (answer, outcome) = oneshot::channel();
        let gone = |_| TriggerRefusal::NotHere;
        orders.send(TriggerRequest { answer }).await.map_err(gone)?;
        outcome.await.unwrap_or(Err(TriggerRefusal::NotHere))
    }

    /// The orders for `action`, as long as what is returned lives.
    pub(super) fn register(&self, action: &Arc<str>) -> TriggerQueue {
        let (to, orders) = mpsc::channel(ORDERS);
        self.lock().insert(Arc::clone(action), to.clone());
        TriggerQueue {
            triggers: self.clone(),
            action: Arc::clone(action),
            sender: to,
            requests: orders,
        }
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

/// The orders for one job.
#[derive(Debug)]
pub(super) struct TriggerQueue {
    triggers: JobTriggers,
    action: Arc<str>,
    sender: mpsc::Sender<TriggerRequest>,
    requests: mpsc::Receiver<TriggerRequest>,
}

impl TriggerQueue {
    /// The next order.
    pub(super) async fn next(&mut self) -> Option<TriggerRequest> {
        self.requests.recv().await
    }
}

impl Drop for TriggerQueue {
    fn drop(&mut self) {
        let mut open = self.triggers.lock();
        // A later version may stand there already.
        if open.get(&self.action).is_some_and(|to| to.same_channel(&self.sender)) {
            open.remove(&self.action);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_is_found_while_it_is_there() {
        let (desk, name) = (JobTriggers::default(), Arc::from("report"));
        assert_eq!(desk.trigger("report").await.unwrap_err(), TriggerRefusal::NotHere);
        let former = desk.register(&name);
        let mut orders = desk.register(&name);
        drop(former);
        let asked = tokio::spawn({
            let desk = desk.clone();
            async move { desk.trigger("report").await.unwrap_err() }
        });
        let busy = TriggerRefusal::Busy("report@x".to_owned());
        orders.next().await.unwrap().answer.send(Err(busy.clone())).unwrap();
        assert_eq!(asked.await.unwrap(), busy);
        drop(orders);
        assert_eq!(desk.trigger("report").await.unwrap_err(), TriggerRefusal::NotHere);
    }

    #[tokio::test]
    async fn an_order_that_is_never_looked_at_is_declined() {
        let desk = JobTriggers::default();
        let orders = desk.register(&Arc::from("report"));
        let (declined, ()) = tokio::join!(desk.trigger("report"), async { drop(orders) });
        assert_eq!(declined.unwrap_err(), TriggerRefusal::NotHere);
    }
}
