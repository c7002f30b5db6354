//! A webhook, as it is kept: its headers as a line of JSON, then its body.

use kit::client::{Failure, Flight, Outgoing, Url};
use kit::web::{Refusal, Request};
use serde::{Deserialize, Serialize};

/// The longest body, in bytes. The store takes values of 256 KiB, and there are
/// headers as well.
pub(crate) const BODY_MAX: usize = 192 << 10;
/// The headers together, in bytes; in JSON they are some more.
const HEADERS_MAX: usize = 16 << 10;

/// How long a target may take for its answer, in milliseconds.
const PATIENCE: u64 = 10_000;

/// Headers that are about one connection or one request, not about the webhook;
/// and the key, which is ours to give.
const NOT_HANDED_ON: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-prefix",
];

/// A webhook.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    head: Head,
    body: Vec<u8>,
}

#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Head {
    /// Those that are text: HTTP knows no others of use.
    headers: Vec<(String, String)>,
}

impl Delivery {
    /// Takes a webhook in.
    ///
    /// # Errors
    /// It is too large, or broke off.
    pub(crate) fn take(request: &Request) -> Result<Self, Refusal> {
        let headers = handed_on(request.headers());
        let length: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if length > HEADERS_MAX {
            let text = format!("the headers may have {HEADERS_MAX} bytes at most");
            return Err(Refusal::new(431, text));
        }
        Ok(Self { head: Head { headers }, body: request.body(BODY_MAX)? })
    }

    /// As it is kept.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Lists of text always become JSON.
        let mut bytes = serde_json::to_vec(&self.head).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend(&self.body);
        bytes
    }

    /// Reads what was kept.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        // JSON on one line has no line feed in it.
        let end = bytes.iter().position(|&byte| byte == b'\n')?;
        let head = serde_json::from_slice(&bytes[..end]).ok()?;
        Some(Self { head, body: bytes[end + 1..].to_vec() })
    }

    /// Sends it to `target` under its `id`.
    ///
    /// # Errors
    /// It cannot go there at all.
    pub(crate) fn send(&self, target: &str, id: &str) -> Result<Flight, Failure> {
        let key = ("idempotency-key".to_owned(), id.as_bytes().to_vec());
        let headers = self.head.headers.iter();
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name.clone(), value.as_bytes().to_vec())).collect();
        headers.push(key);
        let url = Url::parse(target)?;
        let outgoing = Outgoing { method: "POST", url: &url, headers: &headers, body: &self.body };
        Flight::start(&outgoing, PATIENCE)
    }
}

fn handed_on(headers: &[(String, Vec<u8>)]) -> Vec<(String, String)> {
    let text = headers.iter().filter_map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        Some((name, String::from_utf8(value.clone()).ok()?))
    });
    text.filter(|(name, _)| !NOT_HANDED_ON.contains(&name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_came() {
        let headers = vec![("x-a".to_owned(), "line\nfeed \"ü\"".to_owned())];
        for body in [&b""[..], b"\n", b"{\n}\n", &[0, 255, 10]] {
            let head = Head { headers: headers.clone() };
            let delivery = Delivery { head, body: body.to_vec() };
            assert_eq!(Delivery::of_bytes(&delivery.to_bytes()), Some(delivery));
        }
        assert_eq!(Delivery::of_bytes(b"written by hand"), None);
        assert_eq!(Delivery::of_bytes(b"{}\n"), None);
    }

    #[test]
    fn headers_of_the_connection_stay_here() {
        let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let came = [
            header("Host", b"here"),
            header("X-Hub-Signature-256", b"sha256=1"),
            header("Idempotency-Key", b"mine"),
            header("content-type", b"application/json"),
            header("x-odd", b"\xff"),
        ];
        let names: Vec<_> = handed_on(&came).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["x-hub-signature-256", "content-type"]);
    }
}
