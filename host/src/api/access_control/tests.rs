//! Requests every route as each client that may not use it.

use axum::http::Method;
use reqwest::{Client, RequestBuilder, Response};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::api::{
    ProblemDetails,
    server::{
        all_routes, serve,
        tests::{fake, idle, services},
    },
};

const TOKENS: [(&str, ApiRole); 2] = [("reader", ApiRole::Read), ("operator", ApiRole::Operate)];

/// A control API that requires credentials.
struct Server {
    url: String,
    client: Client,
    _stop: DropGuard,
    _folder: TempDir,
}

impl Server {
    async fn start(access_control: AccessControl) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let services = services(fake(), folder.path(), access_control);
        tokio::spawn(serve(listener, services, stop.clone()));
        Self { url, client: Client::new(), _stop: stop.drop_guard(), _folder: folder }
    }

    fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        self.client.request(method.clone(), format!("{}{path}", self.url))
    }

    async fn as_bearer(&self, method: &Method, path: &str, token: &str) -> Response {
        self.request(method, path).bearer_auth(token).send().await.unwrap()
    }
}

/// Every route, with an example in place of each path parameter.
pub(in crate::api) fn everything() -> Vec<(String, Method, RequiredRole)> {
    let folder = tempfile::tempdir().unwrap();
    let routes = all_routes(services(fake(), folder.path(), AccessControl::open()), idle());
    let filled = |path: &str| {
        let step =
            |step: &str| if step.starts_with('{') { "x".to_owned() } else { step.to_owned() };
        path.split('/').map(step).collect::<Vec<_>>().join("/")
    };
    let rows = routes.listed().map(|(path, method, needs, _)| (filled(path), method, needs));
    let actions = [
        ("/leader/web/x".to_owned(), Method::GET, READ),
        ("/leader/web/x".to_owned(), Method::POST, OPERATE),
        ("/leader/web/x".to_owned(), Method::DELETE, OPERATE),
    ];
    rows.chain(actions).collect()
}

/// Checks that the response refuses, and says how to be let in.
async fn refused(answer: Response, code: u16, challenge: &str, what: &str) {
    assert_eq!(answer.status().as_u16(), code, "{what}");
    let challenges: Vec<_> = answer.headers().get_all("www-authenticate").iter().cloned().collect();
    let [bearer, basic] = &challenges[..] else { panic!("{what}: {challenges:?}") };
    assert_eq!(bearer, &format!("Bearer realm=\"soloist\"{challenge}"), "{what}");
    assert_eq!(basic, "Basic realm=\"soloist\", charset=\"UTF-8\"", "{what}");
    let reason: ProblemDetails = answer.json().await.unwrap();
    assert!(!reason.detail.is_empty() && reason.help.contains("token"), "{what}: {reason:?}");
}

const UNKNOWN: &str = ", error=\"invalid_token\"";
const TOO_LOW: &str = ", error=\"insufficient_scope\"";

#[tokio::test]
async fn nobody_gets_what_is_not_for_them() {
    let server = Server::start(AccessControl::with_tokens(TOKENS)).await;
    let everything = everything();
    assert!(everything.len() >= 30, "{everything:?}");
    for (path, method, needs) in &everything {
        let what = &format!("{method} {path}");
        if *needs == RequiredRole::Nothing {
            let answer = server.request(method, path).send().await.unwrap();
            assert!(answer.status().is_success(), "{what}: {answer:?}");
            continue;
        }
        let ask = || server.request(method, path);
        refused(ask().send().await.unwrap(), 401, "", what).await;
        for wrong in ["", "operato", "operator1", "OPERATOR"] {
            let answer = server.as_bearer(method, path, wrong).await;
            refused(answer, 401, UNKNOWN, what).await;
        }
        let basic = ask().basic_auth("operator", Some("x")).send().await.unwrap();
        refused(basic, 401, UNKNOWN, what).await;
        let other = ask().header("authorization", "Negotiate operator").send().await.unwrap();
        refused(other, 401, UNKNOWN, what).await;
        let reader = server.as_bearer(method, path, "reader").await;
        if *needs == OPERATE {
            refused(reader, 403, TOO_LOW, what).await;
        } else {
            assert!(!matches!(reader.status().as_u16(), 401 | 403), "{what}: {reader:?}");
        }
        let operator = server.as_bearer(method, path, "operator").await;
        assert!(!matches!(operator.status().as_u16(), 401 | 403), "{what}: {operator:?}");
    }
}

/// Whatever changes something requires `operate`, however the route was added.
#[tokio::test]
async fn what_changes_something_is_for_operators() {
    for (path, method, needs) in everything() {
        assert!(method.is_safe() || needs == OPERATE, "{method} {path} takes {needs:?}");
    }
    let table = RoleTable::default();
    assert_eq!(table.required_role(&Method::GET, Some("/v1/new")), OPERATE);
}

#[tokio::test]
async fn there_is_no_way_around() {
    let server = Server::start(AccessControl::with_tokens(TOKENS)).await;
    let get = Method::GET;
    // Paths that do not exist, wrong methods, and paths that only look like a route.
    for (method, path) in [
        (&get, "/v1/nothing"),
        (&get, "//v1/status"),
        (&get, "/v1/status/"),
        (&get, "/livez/../v1/status"),
        (&get, "/livez/v1/status"),
        (&get, "/v1/switchover"),
        (&Method::POST, "/livez"),
        (&Method::PATCH, "/v1/status"),
        (&Method::HEAD, "/v1/status"),
        (&Method::OPTIONS, "/v1/status"),
        (&get, "/leader/"),
        (&get, "/leader"),
    ] {
        let answer = server.request(method, path).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{method} {path}");
    }
    let head = server.as_bearer(&Method::HEAD, "/v1/status", "reader").await;
    assert_eq!(head.status(), 200);
    // An upgraded connection may do anything.
    let upgrade = server.request(&get, "/leader/web/").bearer_auth("reader");
    let upgrade = upgrade.header("connection", "upgrade").header("upgrade", "websocket");
    assert_eq!(upgrade.send().await.unwrap().status(), 403);
    // Of two tokens, the one in the header for hosts counts, even if the other allows more.
    let both = server.request(&get, "/v1/status").bearer_auth("operator");
    let both = both.header("soloist-authorization", "Bearer no").send().await.unwrap();
    assert_eq!(both.status(), 401);
}

#[tokio::test]
async fn a_browser_may_show_a_token_as_a_password_but_not_for_another_site() {
    let server = Server::start(AccessControl::with_tokens(TOKENS)).await;
    let ask = |method| server.request(&method, "/v1/pause").basic_auth("me", Some("operator"));
    // The request is let in; the host just has not seen its cluster yet.
    assert_eq!(ask(Method::POST).send().await.unwrap().status(), 503);
    let own = ask(Method::POST).header("origin", &server.url).send().await.unwrap();
    assert_eq!(own.status(), 503);
    for (header, value) in [("sec-fetch-site", "cross-site"), ("origin", "http://evil.example")] {
        let answer = ask(Method::POST).header(header, value).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{header}");
    }
}

#[tokio::test]
async fn a_name_of_another_site_is_no_name_of_this_host() {
    for access_control in [AccessControl::open(), AccessControl::with_tokens(TOKENS)] {
        let server = Server::start(access_control).await;
        for path in ["/v1/status", "/leader/web/", "/"] {
            let ask = || server.request(&Method::GET, path).bearer_auth("operator");
            let answer = ask().header("host", "evil.example").send().await.unwrap();
            assert_eq!(answer.status(), 421, "{path}");
            let reason: ProblemDetails = answer.json().await.unwrap();
            assert!(reason.detail.contains("evil.example") && reason.help.contains("`names`"));
            assert_ne!(ask().header("host", "localhost").send().await.unwrap().status(), 421);
        }
        let probe = server.request(&Method::GET, "/livez").header("host", "any.example");
        assert_eq!(probe.send().await.unwrap().status(), 200);
    }
}
