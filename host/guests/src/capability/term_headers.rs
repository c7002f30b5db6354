//! The headers by which a message names its term: `soloist-host`, `soloist-token`.

use ::http::{HeaderMap, HeaderName, HeaderValue};

use soloist_heart::Term;

/// How the names of all headers begin that hosts say things by.
const OWN: &str = "soloist-";
const HOST: HeaderName = HeaderName::from_static("soloist-host");
const TOKEN: HeaderName = HeaderName::from_static("soloist-token");

/// What every response of a term carries, and every request that a guest sends.
#[derive(Clone, Debug)]
pub struct TermHeaders {
    host: HeaderValue,
    token: HeaderValue,
}

impl TermHeaders {
    /// The stamp of `term`.
    pub fn of(term: &Term) -> Self {
        let host = HeaderValue::from_bytes(term.host.as_bytes())
            .unwrap_or_else(|_| HeaderValue::from_static("unprintable"));
        Self { host, token: HeaderValue::from(term.token.0) }
    }

    /// Puts it on, instead of whatever stood there.
    pub fn put(&self, headers: &mut HeaderMap) {
        headers.insert(HOST, self.host.clone());
        headers.insert(TOKEN, self.token.clone());
    }

    /// Whether it is a header that only hosts say.
    pub fn is_reserved(name: &HeaderName) -> bool {
        name.as_str().starts_with(OWN)
    }

    /// Takes off all that is said by hosts alone, which a guest or a client may have put there
    /// itself: nobody else is believed that.
    pub fn strip_reserved(headers: &mut HeaderMap) {
        let own: Vec<_> = headers.keys().filter(|name| Self::is_reserved(name)).cloned().collect();
        for name in own {
            headers.remove(name);
        }
    }

    /// Takes off what a guest has put there itself.
    pub fn strip(headers: &mut HeaderMap) {
        headers.remove(HOST);
        headers.remove(TOKEN);
    }
}
