//! The tasks of a host: what it does itself, and what it has others do.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    action::{Failure, Offers, Programme, Tasks, Workshop},
    api::TaskDesk,
    capability::Calls,
    config::Config,
    store::Roster,
    tasks::Dispatcher,
};

/// Tasks that are taken calls of, from the host's start to its end.
pub(super) struct Labour {
    workshop: Arc<Workshop>,
    dispatcher: Arc<Dispatcher>,
    /// The connections to other hosts.
    connections: Tasks,
    keeping: JoinHandle<()>,
    stop: CancellationToken,
}

impl Labour {
    pub(super) fn start(
        config: &Config,
        programme: watch::Receiver<Arc<Programme>>,
        failures: UnboundedSender<Failure>,
        roster: watch::Receiver<Option<Roster>>,
    ) -> Self {
        let (host, connections) = (&config.host.name, Tasks::new());
        let workshop = Arc::new(Workshop::new(Arc::clone(host)));
        let dispatcher = Arc::new(Dispatcher::new(
            Arc::clone(host),
            config.host.labels.clone(),
            Arc::clone(&workshop),
            programme.clone(),
            roster,
            &connections,
        ));
        let calls: Weak<dyn Calls> = Arc::downgrade(&dispatcher) as Weak<dyn Calls>;
        workshop.connect(calls);
        let (stop, drain): (_, Duration) = (CancellationToken::new(), config.timings.drain);
        let (keeper, told) = (Arc::clone(&workshop), stop.clone());
        let keeping = async move { keeper.keep_up(programme, failures, drain, told).await };
        let keeping = tokio::spawn(keeping);
        Self { workshop, dispatcher, connections, keeping, stop }
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

    /// Lets the calls finish that have begun, and ends what is left then.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        if let Err(error) = self.keeping.await {
            tracing::warn!(%error, "the tasks broke down");
        }
        self.connections.stop().await;
    }
}
