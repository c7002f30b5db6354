//! The desk: where whoever wants a job run now finds the job, on the host that leads.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, oneshot};

use super::record::Record;

/// So many orders wait for a job to look at them.
const ORDERS: usize = 16;

/// The jobs that run on this host now, by name. Clones are the same.
#[derive(Clone, Default)]
pub struct Desk(Arc<Mutex<BTreeMap<Arc<str>, mpsc::Sender<Order>>>>);

/// Somebody wants a job run now.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) answer: oneshot::Sender<Result<Begun, Declined>>,
}

/// A firing that was asked for, and was claimed.
#[derive(Debug)]
pub struct Begun {
    /// It, as it began.
    pub record: Record,
    /// It, when it has ended. An error means that the term has ended before.
    pub end: oneshot::Receiver<Record>,
}

/// Why a job was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declined {
    /// It does not run on this host, or not any more.
    NotHere,
    /// This firing is under way, and its settings let no other begin beside it.
    Busy(String),
    /// So many firings run side by side, and no more may.
    Full(usize),
}

impl Desk {
    /// Has `action` run now.
    ///
    /// # Errors
    /// Why not; then nothing was begun.
    pub async fn order(&self, action: &str) -> Result<Begun, Declined> {
        let orders = self.lock().get(action).cloned().ok_or(Declined::NotHere)?;
        let (answer, outcome) = oneshot::channel();
        let gone = |_| Declined::NotHere;
        orders.send(Order { answer }).await.map_err(gone)?;
        outcome.await.unwrap_or(Err(Declined::NotHere))
    }

    /// The orders for `action`, as long as what is returned lives.
    pub(super) fn open(&self, action: &Arc<str>) -> Orders {
        let (to, orders) = mpsc::channel(ORDERS);
        self.lock().insert(Arc::clone(action), to.clone());
        Orders { desk: self.clone(), action: Arc::clone(action), to, orders }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, mpsc::Sender<Order>>> {
        self.0.lock()
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

/// The orders for one job.
#[derive(Debug)]
pub(super) struct Orders {
    desk: Desk,
    action: Arc<str>,
    to: mpsc::Sender<Order>,
    orders: mpsc::Receiver<Order>,
}

impl Orders {
    /// The next order.
    pub(super) async fn next(&mut self) -> Option<Order> {
        self.orders.recv().await
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        let mut open = self.desk.lock();
        // A later version may stand there already.
        if open.get(&self.action).is_some_and(|to| to.same_channel(&self.to)) {
            open.remove(&self.action);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_is_found_while_it_is_there() {
        let (desk, name) = (Desk::default(), Arc::from("report"));
        assert_eq!(desk.order("report").await.unwrap_err(), Declined::NotHere);
        let former = desk.open(&name);
        let mut orders = desk.open(&name);
        drop(former);
        let asked = tokio::spawn({
            let desk = desk.clone();
            async move { desk.order("report").await.unwrap_err() }
        });
        let busy = Declined::Busy("report@x".to_owned());
        orders.next().await.unwrap().answer.send(Err(busy.clone())).unwrap();
        assert_eq!(asked.await.unwrap(), busy);
        drop(orders);
        assert_eq!(desk.order("report").await.unwrap_err(), Declined::NotHere);
    }

    #[tokio::test]
    async fn an_order_that_is_never_looked_at_is_declined() {
        let desk = Desk::default();
        let orders = desk.open(&Arc::from("report"));
        let (declined, ()) = tokio::join!(desk.order("report"), async { drop(orders) });
        assert_eq!(declined.unwrap_err(), Declined::NotHere);
    }
}
