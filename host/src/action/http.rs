//! The runner of kind `http`: the address, its connections, and their end.

use std::{io, net::SocketAddr, pin::pin, sync::Arc};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use super::{
    limits::{ACCEPT_PAUSE, CONNECTIONS, LAST_WORD, REQUEST_HEAD},
    listen,
    request::Server,
    running::{Doors, Run},
};
use crate::capability::GuestState;

/// Starts to listen and to answer.
pub(super) fn start(run: Arc<Run>, entry: ProxyPre<GuestState>) -> Doors {
    let doors = Doors::default();
    let closed = doors.closed.clone().drop_guard();
    let server = Arc::new(Server::new(run.clone(), entry));
    run.work.spawn(serve(server, run.clone(), doors.closing.clone(), closed));
    doors
}

/// The task that holds the address. Whichever way it ends, `_closed` is dropped
/// after the listener, and tells that the address is free.
async fn serve(server: Arc<Server>, run: Arc<Run>, closing: CancellationToken, _closed: DropGuard) {
    let opened = closing.run_until_cancelled(open(&run)).await;
    match opened {
        Some(Ok(listener)) => {
            run.up();
            accept_all(&listener, &server, &run, &closing).await;
        }
        Some(Err(reason)) => run.fail(&reason),
        None => run.never_up(),
    }
}

/// Opens the address, or says why not.
async fn open(run: &Run) -> Result<TcpListener, String> {
    let address = run.action.config.listen;
    let waiting = || {
        run.trouble(
            "waiting for the address",
            &format!("{address} is still in use, by the former leader on this machine or by another program: it should let go of it"),
        );
    };
    let listener =
        listen::listen(address, waiting).await.map_err(|error| refused(address, &error))?;
    let bound = listener.local_addr().map_err(|error| refused(address, &error))?;
    run.action.board().lock().listen = Some(bound);
    Ok(listener)
}

fn refused(address: SocketAddr, error: &io::Error) -> String {
    format!("cannot listen on {address}: {error}; end what listens there, or set another `listen`")
}

/// Accepts until `closing`; the connections live on.
async fn accept_all(
    listener: &TcpListener,
    server: &Arc<Server>,
    run: &Run,
    closing: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let next = async || {
        let place = places.clone().acquire_owned().await;
        (place, listener.accept().await)
    };
    while let Some((place, accepted)) = closing.run_until_cancelled(next()).await {
        match accepted {
            Ok((stream, _)) => {
                let (server, closing) = (server.clone(), closing.clone());
                run.work.spawn_told(|cut| async move {
                    connection(stream, server, closing, cut).await;
                    drop(place);
                });
            }
            Err(error) => {
                run.trouble("cannot accept a connection", &error.to_string());
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers one client, until it goes, `closing` finds it idle, or it is `cut`. Even
/// then there is time for a last word, and the gate sees to it that it is a refusal:
/// a host that was frozen and wakes does not just hang up on who waited for it.
async fn connection(
    stream: TcpStream,
    server: Arc<Server>,
    closing: CancellationToken,
    cut: CancellationToken,
) {
    // It only fails on a connection that is broken already.
    let _ = stream.set_nodelay(true);
    let mut draining = false;
    let service = service_fn(|request| server.respond(request));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => break ended,
            () = cut.cancelled() => {
                // If it comes to that, the client learns as much from the end.
                let _ = timeout(LAST_WORD, connection.as_mut()).await;
                return;
            }
            () = closing.cancelled(), if !draining => {
                connection.as_mut().graceful_shutdown();
                draining = true;
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
