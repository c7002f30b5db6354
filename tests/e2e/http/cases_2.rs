//! Requests of HTTP/2, good and bad: RFC 9113, section 8.

use tokio::time::timeout;

use super::{
    Way,
    frames::{Came, Frames},
};
use crate::harness::PATIENCE;

/// `PROTOCOL_ERROR` (section 7), the reply to malformed requests (section 8.1.1).
const MALFORMED: Came = Came::Error(1);

type Headers = Vec<(&'static str, String)>;

/// A test case.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// In the order in which they are sent. `@` at the beginning of `:path` and other values stands
    /// for the action's path or host.
    headers: Headers,
    body: Vec<String>,
    trailers: Headers,
    comes: Came,
    says: &'static [&'static str],
    hides: &'static [&'static str],
}

impl Case {
    fn body(self, body: &[&str]) -> Self {
        Self { body: body.iter().map(ToString::to_string).collect(), ..self }
    }

    fn trailers(self, trailers: &[(&'static str, &str)]) -> Self {
        Self { trailers: owned(trailers), ..self }
    }

    fn says(self, says: &'static [&'static str]) -> Self {
        Self { says, ..self }
    }

    fn hides(self, hides: &'static [&'static str]) -> Self {
        Self { hides, ..self }
    }

    /// Runs the case over one route; an error describes the difference.
    pub(super) async fn try_at(&self, way: Way) -> Result<(), String> {
        let tried = timeout(PATIENCE, self.talk(way)).await;
        let tried = tried.map_err(|_| "nothing comes".to_owned())?;
        let (came, body) = tried.map_err(|error| format!("it breaks off: {error}"))?;
        if came != self.comes {
            return Err(format!("{came:?} for {:?}: {body}", self.comes));
        }
        if let Some(missing) = self.says.iter().find(|says| !body.contains(**says)) {
            return Err(format!("{missing:?} is missing in {body:?}"));
        }
        match self.hides.iter().find(|hides| body.contains(**hides)) {
            Some(told) => Err(format!("{told:?} is in {body:?}")),
            None => Ok(()),
        }
    }

    async fn talk(&self, way: Way) -> std::io::Result<(Came, String)> {
        let at = |headers: &Headers| -> Vec<_> {
            let value = |value: &str| value.replace("@/", &format!("{}/", way.prefix));
            headers.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect()
        };
        let mut frames = Frames::with(way.to).await?;
        let (no_body, no_trailers) = (self.body.is_empty(), self.trailers.is_empty());
        frames.headers(&at(&self.headers), no_body && no_trailers).await?;
        for (number, piece) in self.body.iter().enumerate() {
            frames.data(piece.as_bytes(), no_trailers && number + 1 == self.body.len()).await?;
        }
        if !no_trailers {
            frames.headers(&at(&self.trailers), true).await?;
        }
        frames.outcome().await
    }
}

fn owned(headers: &[(&'static str, &str)]) -> Headers {
    headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn case(name: &'static str, headers: &[(&'static str, &str)], comes: Came) -> Case {
    let (body, trailers) = (Vec::new(), Vec::new());
    Case { name, headers: owned(headers), body, trailers, comes, says: &[], hides: &[] }
}

/// A good request with additional headers.
fn with(name: &'static str, more: &[(&'static str, &str)], comes: Came) -> Case {
    let good =
        [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "@/all")];
    case(name, &[&good[..], more].concat(), comes)
}

/// All cases.
pub(super) fn all() -> Vec<Case> {
    [pseudo(), headers(), bodies()].concat()
}

/// Sections 8.3 and 8.3.1: pseudo-headers.
fn pseudo() -> Vec<Case> {
    let (method, scheme) = ((":method", "GET"), (":scheme", "http"));
    let (authority, path) = ((":authority", "localhost"), (":path", "@/all"));
    let ok = Came::Status(200);
    vec![
        case("all of them", &[method, scheme, authority, path], ok)
            .says(&["GET /all\n", "host localhost\n"]),
        case("in another order", &[path, authority, scheme, method], ok),
        case("a host and no authority", &[method, scheme, path, ("host", "localhost")], ok)
            .says(&["host localhost\n"]),
        case(
            "a host and the same authority",
            &[method, scheme, authority, path, ("host", "LOCALHOST")],
            ok,
        ),
        case(
            "a host and another authority",
            &[method, scheme, authority, path, ("host", "127.0.0.1")],
            Came::Status(400),
        ),
        case(
            "two hosts",
            &[method, scheme, path, ("host", "localhost"), ("host", "localhost")],
            Came::Status(400),
        ),
        case("neither host nor authority", &[method, scheme, path], Came::Status(400)),
        case(
            "an authority with a user",
            &[method, scheme, (":authority", "u@localhost"), path],
            Came::Status(400),
        ),
        case(
            "a port that is too large",
            &[method, scheme, (":authority", "localhost:99999"), path],
            Came::Status(400),
        ),
        case("TLS's scheme", &[method, (":scheme", "https"), authority, path], ok),
        case("no method", &[scheme, authority, path], MALFORMED),
        case("no scheme", &[method, authority, path], MALFORMED),
        case("no path", &[method, scheme, authority], MALFORMED),
        case("an empty path", &[method, scheme, authority, (":path", "")], MALFORMED),
        case("two methods", &[method, method, scheme, authority, path], MALFORMED),
        case("two paths", &[method, scheme, authority, path, path], MALFORMED),
        case("one that nobody knows", &[method, scheme, authority, path, (":x", "y")], MALFORMED),
        case(
            "one that answers have",
            &[method, scheme, authority, path, (":status", "200")],
            MALFORMED,
        ),
        case("one after the others", &[method, scheme, path, ("x-a", "b"), authority], MALFORMED),
        case(
            "an asterisk",
            &[(":method", "OPTIONS"), scheme, authority, (":path", "*")],
            Came::Status(204),
        ),
        case(
            "an asterisk for no OPTIONS",
            &[method, scheme, authority, (":path", "*")],
            Came::Status(400),
        ),
        case(
            "CONNECT",
            &[(":method", "CONNECT"), (":authority", "localhost:80")],
            Came::Status(501),
        ),
        case(
            "a target that is too long",
            &[method, scheme, authority, (":path", &format!("@/all?{}", "x".repeat(33_000)))],
            Came::Status(414),
        ),
    ]
}

/// Sections 8.2, 8.2.1 and 8.2.2: headers.
fn headers() -> Vec<Case> {
    let ok = Came::Status(200);
    let many: Vec<_> = (0..120).map(|_| ("x-a", "1")).collect();
    vec![
        with("a header", &[("x-a", "b")], ok).says(&["x-a: b\n"]),
        with("a name in capitals", &[("X-A", "b")], MALFORMED),
        with("a name with a space", &[("x a", "b")], MALFORMED),
        with("no name", &[("", "b")], MALFORMED),
        with("an end of line in a value", &[("x-a", "b\r\nx-c: d")], MALFORMED),
        with("a zero in a value", &[("x-a", "b\0")], MALFORMED),
        with("connection", &[("connection", "close")], MALFORMED),
        with("keep-alive", &[("keep-alive", "5")], MALFORMED),
        with("proxy-connection", &[("proxy-connection", "keep-alive")], MALFORMED),
        with("transfer-encoding", &[("transfer-encoding", "chunked")], MALFORMED),
        with("upgrade", &[("upgrade", "websocket")], MALFORMED),
        with("te for what is no trailer", &[("te", "gzip")], MALFORMED),
        with("te for trailers", &[("te", "trailers")], ok),
        with("what hosts say is said by hosts", &[("soloist-fencing-token", "9")], ok)
            .hides(&["soloist-"]),
        with("a body that waits to be asked for", &[("expect", "100-continue")], ok)
            .body(&["hello"]),
        with("an expectation that nobody knows", &[("expect", "a-miracle")], Came::Status(417)),
        with("a hundred and twenty headers", &many, Came::Status(431)),
        with("a header that is too long", &[("x-a", &"x".repeat(30_000))], Came::Status(431)),
        with("one that is much too long", &[("x-a", &"x".repeat(100_000))], Came::Status(431)),
    ]
}

/// Sections 8.1 and 8.1.1: bodies and trailers.
fn bodies() -> Vec<Case> {
    let ok = Came::Status(200);
    // Less than the initial window (section 6.9.2).
    let large = "x".repeat(16_000);
    vec![
        with("a body", &[], ok).body(&["hel", "lo"]).says(&["POST /all\n", "body hello\n"]),
        with("no body", &[], ok).says(&["body \n"]),
        with("a body as long as it says", &[("content-length", "5")], ok)
            .body(&["hello"])
            .says(&["body hello\n"]),
        with("a body that is longer", &[("content-length", "3")], MALFORMED).body(&["hello"]),
        with("a body that is shorter", &[("content-length", "9")], MALFORMED).body(&["hello"]),
        with("no body where one was promised", &[("content-length", "9")], MALFORMED),
        with("a length that is no number", &[("content-length", "five")], MALFORMED)
            .body(&["hello"]),
        with(
            "a body that is too large, as it says",
            &[("content-length", "48000")],
            Came::Status(413),
        )
        .body(&[large.as_str(); 3]),
        with("a body that is too large", &[], Came::Status(413)).body(&[large.as_str(); 3]),
        with("trailers", &[], ok)
            .body(&["hello"])
            .trailers(&[("x-sum", "1")])
            .says(&["body hello\n", "trailer x-sum: 1\n"]),
        with("trailers that say nothing of the message", &[], ok)
            .body(&["hello"])
            .trailers(&[("x-sum", "1"), ("content-type", "a/b"), ("soloist-x", "1")])
            .says(&["trailer x-sum: 1\n"])
            .hides(&["trailer content-type", "soloist-x"]),
        with("trailers in capitals", &[], MALFORMED).body(&["hello"]).trailers(&[("X-Sum", "1")]),
        // They are malformed (section 8.3), but h2 ignores them, so they have no effect.
        with("trailers that ask for something", &[], ok)
            .body(&["hello"])
            .trailers(&[(":path", "/x")])
            .says(&["POST /all\n"])
            .hides(&["/x"]),
    ]
}
