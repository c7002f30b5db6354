//! The control API of a host that is starting: it is alive but not ready.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode},
    response::Response,
};
use hyper::body::Incoming;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    access_control::AccessControl,
    api_error::ApiError,
    browser_policy,
    server::{close, connection_context},
};
use crate::{
    action::StartupProgress,
    http::{ConnectionInfo, EarlyResponse, RequestHandler, accept_all},
    task_scope::TaskScope,
};

/// When to try again, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("1");

/// Serves until `starting` is done, and returns its result. Clients with the role `read` see the
/// progress in `preparing`.
pub async fn serve_while_starting<T>(
    listener: &TcpListener,
    access_control: &Arc<AccessControl>,
    preparing: watch::Receiver<StartupProgress>,
    starting: impl Future<Output = T>,
) -> T {
    let started = CancellationToken::new();
    let answers = StartingServer { access_control: Arc::clone(access_control), preparing };
    let context =
        connection_context(answers, access_control.tls.clone(), TaskScope::new(), started.clone());
    let starting = async {
        let outcome = starting.await;
        started.cancel();
        outcome
    };
    let (outcome, ()) = tokio::join!(starting, accept_all(listener, &context));
    close(&context).await;
    outcome
}

struct StartingServer {
    access_control: Arc<AccessControl>,
    preparing: watch::Receiver<StartupProgress>,
}

impl StartingServer {
    /// The response to `caller`. Names of actions are only shown to clients that may read them.
    async fn refusal(&self, request: &Request<Incoming>, caller: ConnectionInfo) -> ApiError {
        let known = self.access_control.may_read(caller, request.uri(), request.headers()).await;
        let preparing =
            if known { self.preparing.borrow().clone() } else { StartupProgress::Starting };
        let help = "ask again in a moment; its log says what it does";
        let error = format!("this host starts: {preparing}");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error, help).retry_after(AGAIN)
    }
}

impl RequestHandler for StartingServer {
    type Body = Body;

    async fn respond(
        &self,
        request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> Result<Response, Infallible> {
        Ok(match request.uri().path() {
            "/livez" => browser_policy::api_response("ok\n"),
            _ => browser_policy::api_response(self.refusal(&request, caller).await),
        })
    }

    fn respond_early(&self, why: EarlyResponse) -> Response {
        browser_policy::api_response(why.response(Body::from))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, sync::oneshot};

    use super::*;
    use soloist_config::ApiRole;

    #[tokio::test]
    async fn a_host_that_starts_lives_and_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (started, starts) = oneshot::channel();
        let (access_control, (preparing, told)) =
            (Arc::new(AccessControl::open()), watch::channel(StartupProgress::default()));
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
            let action = "web".into();
            preparing.send_replace(StartupProgress::Compiling { action, number: 2, of: 7 });
            let text = ask("/v1/status").await.text().await.unwrap();
            assert!(text.contains("now that of web (2 of 7)"), "{text}");
            started.send("prepared").unwrap();
        };
        let starting = serve_while_starting(&listener, &access_control, told, starts);
        let (outcome, ()) = tokio::join!(starting, asking);
        assert_eq!(outcome, Ok("prepared"));
        // The address stays bound, for the host once it has started.
        let next = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        let (next, accepted) = tokio::join!(next, listener.accept());
        assert!(next.is_ok() && accepted.is_ok());
    }

    #[tokio::test]
    async fn the_names_of_plugins_are_for_those_who_may_look() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/status", listener.local_addr().unwrap());
        let access_control = Arc::new(AccessControl::with_tokens([("t0", ApiRole::Read)]));
        let action = "web".into();
        let (_to, told) = watch::channel(StartupProgress::Compiling { action, number: 1, of: 1 });
        let asking = async {
            for (token, knows) in [(None, false), (Some("t1"), false), (Some("t0"), true)] {
                let mut question = reqwest::Client::new().get(&url);
                if let Some(token) = token {
                    question = question.bearer_auth(token);
                }
                let answer = question.send().await.unwrap();
                assert_eq!(answer.status(), 503, "{token:?}");
                let text = answer.text().await.unwrap();
                assert_eq!(text.contains("web"), knows, "{token:?}: {text}");
            }
        };
        serve_while_starting(&listener, &access_control, told, asking).await;
    }
}
