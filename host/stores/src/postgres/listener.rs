//! Listens for notifications, which tell of changes sooner than the next look.
//!
//! A pooler that hands connections from one client to the next passes no notifications on, and
//! says nothing of it. So they count only once one has arrived that this host has sent itself, over
//! another connection.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::{
    connection::PostgresConnection, fault::PostgresFault, first_contact,
    observer_state::ObserverState, transaction::PostgresTransaction,
};

/// The time after which it is tried again, if the connection has ended.
const RETRY: Duration = Duration::from_secs(5);
/// The same if nothing arrives: a pooler does not go away every day.
const RETRY_POOLED: Duration = Duration::from_secs(600);

/// Listens for as long as it is polled.
pub(super) async fn listen(observer: Arc<ObserverState>) {
    loop {
        let heard = Arc::new(Notify::new());
        let listened = match open(&observer, &heard).await {
            Ok(connection) => follow(&observer, &connection, &heard).await,
            Err(fault) => Err(fault),
        };
        let rest = match listened {
            Ok(true) => RETRY,
            Ok(false) => RETRY_POOLED,
            Err(fault) => {
                tracing::debug!(%fault, "cannot listen for notifications");
                RETRY
            }
        };
        sleep(rest).await;
    }
}

async fn open(
    observer: &ObserverState,
    heard: &Arc<Notify>,
) -> Result<PostgresConnection, PostgresFault> {
    let source = observer.pool().source();
    let (within, runtime) = (source.opening_timeout(), observer.pool().runtime());
    let notified = {
        let heard = Arc::clone(heard);
        move || heard.notify_one()
    };
    let connection =
        first_contact::open(&source.access, &source.cluster, within, runtime, notified).await?;
    let listen = format!("LISTEN {}_{}", source.access.schema(), connection.cluster);
    let listens = timeout(within, connection.client.batch_execute(&listen)).await;
    listens.map_err(|_| PostgresFault::TimedOut)??;
    Ok(connection)
}

/// Passes notifications on until the connection ends. Returns whether any arrive.
async fn follow(
    observer: &ObserverState,
    connection: &PostgresConnection,
    heard: &Notify,
) -> Result<bool, PostgresFault> {
    let within = observer.pool().source().opening_timeout();
    notify(observer).await?;
    if timeout(within, heard.notified()).await.is_err() {
        tracing::debug!("no notifications arrive: a pooler is in between");
        return Ok(false);
    }
    observer.set_notified(true);
    let pass_on = async {
        loop {
            observer.wake();
            heard.notified().await;
        }
    };
    tokio::select! {
        () = pass_on => pending::<()>().await,
        () = connection.closed() => {}
    }
    observer.set_notified(false);
    observer.wake();
    Ok(true)
}

/// Sends a notification to everybody who listens, this host among them.
async fn notify(observer: &ObserverState) -> Result<(), PostgresFault> {
    let until = Instant::now() + observer.pool().source().request_timeout;
    let tx = PostgresTransaction::begin(observer.pool(), until).await?;
    tx.finish("SELECT pg_notify(current_schema() || '_' || $1::text, '')", &[]).await.map(drop)
}
