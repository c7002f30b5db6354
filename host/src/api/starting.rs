//! The control API of a host that starts: it lives, and is not ready.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode},
    response::Response,
};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    entrance::Entrance,
    inert,
    refusal::Refusal,
    server::{close, hall},
};
use crate::action::{Answers, Caller, Outright, Tasks, accept_all};

/// When it may be asked again, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("1");

/// Answers whoever asks until `starting` is over, and returns what that returns. Nothing is told
/// that takes a token to know.
pub async fn while_starting<T>(
    listener: &TcpListener,
    entrance: &Entrance,
    starting: impl Future<Output = T>,
) -> T {
    let started = CancellationToken::new();
    let hall = hall(Starting, entrance.tls.clone(), Tasks::new(), started.clone());
    let starting = async {
        let outcome = starting.await;
        started.cancel();
        outcome
    };
    let (outcome, ()) = tokio::join!(starting, accept_all(listener, &hall));
    close(&hall).await;
    outcome
}

struct Starting;

impl Answers for Starting {
    type Body = Body;

    async fn respond(
        &self,
        request: Request<Incoming>,
        _caller: Caller,
    ) -> Result<Response, Infallible> {
        Ok(match request.uri().path() {
            "/livez" => inert::data("ok\n"),
            _ => inert::data(refusal()),
        })
    }

    fn turn_away(&self, why: Outright) -> Response {
        inert::data(why.response(Body::from))
    }
}

fn refusal() -> Refusal {
    let error = "this host starts: it compiles its plugins, or waits for the store";
    let help = "ask again in a moment; its log says what it does";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error, help).after(AGAIN)
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, sync::oneshot};

    use super::*;

    #[tokio::test]
    async fn a_host_that_starts_lives_and_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (started, starts) = oneshot::channel();
        let entrance = Entrance::open();
        let asking = async {
            let client = reqwest::Client::new();
            let ask = async |path: &str| client.get(format!("{url}{path}")).send().await.unwrap();
            assert_eq!(ask("/livez").await.status(), 200);
            for path in ["/readyz", "/v1/status", "/leader/web/", "/"] {
                let answer = ask(path).await;
                let again = answer.headers()["retry-after"].clone();
                assert_eq!((answer.status().as_u16(), again), (503, AGAIN), "{path}");
                assert!(answer.text().await.unwrap().contains("this host starts"), "{path}");
            }
            started.send("prepared").unwrap();
        };
        let (outcome, ()) = tokio::join!(while_starting(&listener, &entrance, starts), asking);
        assert_eq!(outcome, Ok("prepared"));
        // The address is still its own, for the host that has started.
        let next = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        let (next, accepted) = tokio::join!(next, listener.accept());
        assert!(next.is_ok() && accepted.is_ok());
    }
}
