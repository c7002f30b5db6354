//! One outgoing request and its response.

use std::{error::Error as StdError, pin::pin, sync::Arc, time::Duration};

use ::http::{Request, Response};
use http_body_util::BodyExt;
use hyper_util::client::legacy::{self, connect::capture_connection};
use tokio::{sync::oneshot, time::timeout};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::{
    body::{BODY, IncomingBody},
    gate::pass_gate,
};
use crate::capability::{
    ActionAccess,
    outbound::{CLIENT_BUFFER, CONNECT_MAX, ConnectError},
};

/// Default timeouts: for connecting, for the head of the response, and between two frames of its
/// body.
const CONNECT: Duration = Duration::from_secs(10);
const FIRST_BYTE: Duration = Duration::from_secs(60);
const BETWEEN_BYTES: Duration = Duration::from_secs(60);
/// The longest timeout that a guest can ask for.
const PATIENCE_MAX: Duration = Duration::from_secs(600);

/// The most bytes that a request has in flight in its connection: 64 KiB in each direction
/// (`outbound/client.rs`), the same again encrypted, and one frame of the response that nobody has
/// taken.
pub(super) const EXCHANGE: u64 = 4 * CLIENT_BUFFER as u64 + BODY;

/// Sends `request` in a task of the action. The task ends early when nobody waits for the response
/// any more.
pub(super) fn start(
    access: &Arc<ActionAccess>,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> impl Future<Output = Result<Response<WasiBody>, Error>> + Send + use<> {
    let (mut sender, receiver) = oneshot::channel();
    let gate = access.gate().clone();
    let of_task = access.clone();
    access.spawner.spawn(async move {
        let response = {
            let exchange = pin!(exchange(&of_task, request, options));
            tokio::select! {
                response = exchange => response,
                () = sender.closed() => return,
            }
        };
        // The receiver may have been dropped.
        let _ = sender.send(response);
    });
    async move {
        let response = receiver.await.unwrap_or(Err(Error::ConnectionTerminated));
        pass_gate(&gate)?;
        response
    }
}

async fn exchange(
    access: &ActionAccess,
    mut request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let patience = |asked: Option<Duration>, default| asked.unwrap_or(default).min(PATIENCE_MAX);
    let connect = patience(options.connect_timeout, CONNECT).min(CONNECT_MAX);
    let first_byte = patience(options.first_byte_timeout, FIRST_BYTE);
    let between = patience(options.between_bytes_timeout, BETWEEN_BYTES);

    let charge = access.account.charge(EXCHANGE).map_err(|error| internal_error(&error))?;
    let client = access.http_client().map_err(|error| internal_error(&error))?;
    let mut connection = capture_connection(&mut request);
    let mut response = pin!(client.request(request));
    let connected = async {
        connection.wait_for_connection_metadata().await;
    };
    let answered = tokio::select! {
        biased;
        answered = &mut response => answered,
        connected = timeout(connect, connected) => {
            connected.map_err(|_| Error::ConnectionTimeout)?;
            timeout(first_byte, response).await.map_err(|_| Error::ConnectionReadTimeout)?
        }
    };
    pass_gate(access.gate())?;
    let response = answered.map_err(|error| guest_error(&error))?;
    let gate = access.gate().clone();
    Ok(response.map(|body| IncomingBody::new(body, gate, between, charge).boxed_unsync()))
}

/// The error as the guest sees it.
fn guest_error(error: &legacy::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(none) = error.downcast_ref::<ConnectError>() {
            return none.to_guest_error();
        }
        // The guest's own body does not match its content-length, as wasmtime has found.
        match error.downcast_ref() {
            Some(Error::HttpRequestBodySize(size)) => return Error::HttpRequestBodySize(*size),
            Some(Error::HttpProtocolError) => return Error::HttpProtocolError,
            _ => {}
        }
        // The response is not HTTP/1.
        if error.downcast_ref().is_some_and(hyper::Error::is_parse) {
            return Error::HttpProtocolError;
        }
        if error.is::<rustls::Error>() {
            return match error.downcast_ref() {
                Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
                _ => Error::TlsProtocolError,
            };
        }
        // An `io::Error` shows what it wraps only through `get_ref`.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    if error.is_connect() { Error::ConnectionRefused } else { Error::ConnectionTerminated }
}

fn internal_error(error: &dyn StdError) -> Error {
    Error::InternalError(Some(error.to_string()))
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;
    use crate::capability::{ActionPermissions, Spawner, test_gate};
    use soloist_config::Limits;
    use soloist_heart::clock::BootTime;

    #[tokio::test]
    async fn a_request_that_there_is_no_room_for_is_not_sent() {
        let (gate, limits) = (test_gate(BootTime::NEVER), Limits::default());
        let spawner = Spawner::new(|task| drop(tokio::spawn(task)));
        let permissions =
            ActionPermissions { action: "web".into(), grants: Arc::default(), limits: &limits };
        let access = ActionAccess::without_term(permissions, gate, None, spawner);
        let access = Arc::new(access);
        let send = || {
            // Nobody listens at this port.
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let request = Request::get("http://127.0.0.1:1/").body(body).unwrap();
            start(&access, request, RequestOptions::default())
        };
        let other = access.account.charge((256 << 20) - EXCHANGE + 1).unwrap();
        match send().await {
            Err(Error::InternalError(Some(text))) => assert!(text.contains("256 MiB"), "{text}"),
            other => panic!("{:?}", other.err()),
        }
        drop(other);
        assert!(!matches!(send().await, Ok(_) | Err(Error::InternalError(_))));
        assert!(access.account.charge(256 << 20).is_ok(), "it is given back");
    }
}
