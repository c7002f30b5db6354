//! The tasks of a host: what it does itself, and what it has others do.

use std::sync::{Arc, Weak};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    action::{Failure, Offers, Programme, Tasks, Workshop},
    api::TaskDesk,
    cluster::Peers,
    tasks::{
        Dispatcher,
        casts::{Desk, Hands, Worker},
    },
};
use soloist_config::Config;
use soloist_guests::capability::Calls;
use soloist_heart::LeaseId;
use soloist_leadership::HostView;
use soloist_stores::{Casts, Roster, Store, StoreError};

/// Tasks that are taken calls of, from the host's start to its end.
pub(super) struct Labour {
    workshop: Arc<Workshop>,
    dispatcher: Arc<Dispatcher>,
    hands: Arc<Hands>,
    casts: Arc<dyn Casts>,
    /// The connections to other hosts.
    connections: Tasks,
    keeping: TaskTracker,
    /// Told when this host is to take no more.
    resting: CancellationToken,
    /// Told when nothing of it is under way any more.
    stop: CancellationToken,
    worker: Option<JoinHandle<()>>,
}

impl Labour {
    pub(super) fn start(
        config: &Config,
        peers: &Peers,
        store: &Arc<dyn Store>,
        programme: &watch::Receiver<Arc<Programme>>,
        failures: UnboundedSender<Failure>,
        roster: &watch::Receiver<Option<Roster>>,
    ) -> Result<Self, StoreError> {
        let (host, connections) = (&config.host.name, Tasks::new());
        let workshop = Arc::new(Workshop::new(Arc::clone(host), config.host.labels.clone()));
        let casts = store.casts()?;
        let hands = Arc::new(Hands::new(Arc::clone(&workshop), programme.clone()));
        let desk = Desk { casts: Arc::clone(&casts), tasks: hands.known() };
        let dispatcher = Arc::new(Dispatcher::new(
            Arc::clone(host),
            peers.clone(),
            Arc::clone(&workshop),
            programme.clone(),
            roster.clone(),
            desk,
            &connections,
        ));
        let calls: Weak<dyn Calls> = Arc::downgrade(&dispatcher) as Weak<dyn Calls>;
        workshop.connect(calls);
        let (resting, stop) = (CancellationToken::new(), CancellationToken::new());
        let (keeping, drain) = (TaskTracker::new(), config.timings.drain);
        let (keeper, told) = (Arc::clone(&workshop), resting.clone());
        let (programme, roster) = (programme.clone(), roster.clone());
        keeping.spawn(async move {
            keeper.keep_up(programme, roster, failures, drain, told).await;
        });
        let (keeper, told) = (Arc::clone(&hands), stop.clone());
        keeping.spawn(async move { keeper.keep_up(told).await });
        let worker = None;
        Ok(Self { workshop, dispatcher, hands, casts, connections, keeping, resting, stop, worker })
    }

    /// Takes casts as well, under the session that `view` shows.
    pub(super) fn take_casts(
        &mut self,
        config: &Config,
        view: watch::Receiver<HostView>,
        roster: watch::Receiver<Option<Roster>>,
    ) {
        let (session_to, session) = watch::channel(None);
        self.keeping.spawn(tell_session(view, session_to, self.stop.clone()));
        let worker = Worker {
            casts: Arc::clone(&self.casts),
            perform: self.hands.clone(),
            host: Arc::clone(&config.host.name),
            session,
            roster,
            retry: config.timings.retry,
        };
        self.worker = Some(tokio::spawn(worker.run(self.resting.clone(), config.timings.drain)));
    }

    /// What this host takes calls of.
    pub(super) fn offers(&self) -> watch::Receiver<Offers> {
        self.workshop.offers()
    }

    /// What this host does itself.
    pub(super) fn workshop(&self) -> Arc<Workshop> {
        Arc::clone(&self.workshop)
    }

    /// Who has the tasks done that guests call.
    pub(super) fn calls(&self) -> Arc<dyn Calls> {
        self.dispatcher.clone()
    }

    /// Who answers what is asked about tasks.
    pub(super) fn desk(&self) -> TaskDesk {
        let (dispatcher, workshop) = (Arc::clone(&self.dispatcher), Arc::clone(&self.workshop));
        TaskDesk { dispatcher, workshop }
    }

    /// Takes no more, and returns when what was begun is finished, or given up. Its casts
    /// need the session until then.
    pub(super) async fn rest(&mut self) {
        self.resting.cancel();
        if let Some(worker) = self.worker.take()
            && let Err(error) = worker.await
        {
            tracing::warn!(%error, "the worker of casts broke down");
        }
        self.stop.cancel();
        self.keeping.close();
        self.keeping.wait().await;
    }

    /// Has others do no more, either.
    pub(super) async fn close(self) {
        self.connections.stop().await;
    }
}

/// Tells which session the host may rely on.
async fn tell_session(
    mut view: watch::Receiver<HostView>,
    to: watch::Sender<Option<LeaseId>>,
    stop: CancellationToken,
) {
    loop {
        let lease = {
            let view = view.borrow_and_update();
            // Who is not among the members does nothing of the cluster's.
            view.session.filter(|_| view.joined).map(|(lease, _)| lease)
        };
        to.send_if_modified(|before| std::mem::replace(before, lease) != lease);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = view.changed() => if changed.is_err() {
                return;
            },
        }
    }
}
