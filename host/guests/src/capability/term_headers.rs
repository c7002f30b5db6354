//! The headers that name the term of a message: `soloist-host` and `soloist-fencing-token`.

use ::http::{HeaderMap, HeaderName, HeaderValue};

use soloist_heart::Term;

/// The prefix of all headers that only hosts may set.
const OWN: &str = "soloist-";
const HOST: HeaderName = HeaderName::from_static("soloist-host");
const FENCING_TOKEN: HeaderName = HeaderName::from_static("soloist-fencing-token");

/// The headers of a term, which go on every response, and on requests of guests where the settings
/// ask for it.
#[derive(Clone, Debug)]
pub struct TermHeaders {
    host: HeaderValue,
    fencing_token: HeaderValue,
}

impl TermHeaders {
    /// The headers that name `term`.
    pub fn of(term: &Term) -> Self {
        let host = HeaderValue::from_bytes(term.host.as_bytes())
            .unwrap_or_else(|_| HeaderValue::from_static("unprintable"));
        Self { host, fencing_token: HeaderValue::from(term.fencing_token.0) }
    }

    /// Sets the headers, replacing existing values.
    pub fn insert_into(&self, headers: &mut HeaderMap) {
        headers.insert(HOST, self.host.clone());
        headers.insert(FENCING_TOKEN, self.fencing_token.clone());
    }

    /// Whether only hosts may set this header.
    pub fn is_reserved(name: &HeaderName) -> bool {
        name.as_str().starts_with(OWN)
    }

    /// Removes all headers that only hosts may set. A guest or a client that sets them itself must
    /// not be believed.
    pub fn strip_reserved(headers: &mut HeaderMap) {
        let own: Vec<_> = headers.keys().filter(|name| Self::is_reserved(name)).cloned().collect();
        for name in own {
            headers.remove(name);
        }
    }

    /// Removes the term headers that a guest has set itself.
    pub fn strip(headers: &mut HeaderMap) {
        headers.remove(HOST);
        headers.remove(FENCING_TOKEN);
    }
}
