//! The token in a request, in the form that programs or that browsers send.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::cluster::CREDENTIAL;

/// The longest token, in bytes.
const LONGEST: usize = 512;

/// A token that a client presents.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) token: String,
    /// Whether it came in `authorization` rather than in the header that hosts use.
    pub(super) by_authorization: bool,
}

impl Credential {
    /// The token in `headers`, if there is one. A client that is known by its certificate may
    /// have meant `authorization` for a plugin, so this header is then ignored.
    pub(super) fn read(headers: &HeaderMap, certified: bool) -> Option<Self> {
        let (value, by_authorization) = match headers.get(CREDENTIAL) {
            Some(value) => (value, false),
            None if certified => return None,
            None => (headers.get(header::AUTHORIZATION)?, true),
        };
        Some(Self { token: token(value).unwrap_or_default(), by_authorization })
    }
}

/// Reads a bearer token (RFC 6750, section 2.1), or basic authentication (RFC 7617) with the
/// token as the password of any user: browsers ask for a password and send it with every request.
fn token(value: &HeaderValue) -> Option<String> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut text = [0; LONGEST];
    let length = BASE64_STANDARD.decode_slice(rest, &mut text).ok()?;
    let (_, password) = std::str::from_utf8(&text[..length]).ok()?.split_once(':')?;
    Some(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_where_it_may_stand() {
        let read = |list: &[(&'static str, &'static str)], certified| {
            let header = |&(name, value): &(&'static str, &'static str)| {
                (name.parse().unwrap(), HeaderValue::from_static(value))
            };
            let headers: HeaderMap = list.iter().map(header).collect();
            Credential::read(&headers, certified).map(|it| (it.token, it.by_authorization))
        };
        let some = |token: &str, own| Some((token.to_owned(), own));
        let bearer = ("authorization", "Bearer t0");
        assert_eq!(read(&[], false), None);
        assert_eq!(read(&[bearer], false), some("t0", true));
        assert_eq!(read(&[bearer], true), None);
        assert_eq!(read(&[("authorization", "bearer  t0")], false), some("t0", true));
        assert_eq!(read(&[("authorization", "Basic bWU6dDA=")], false), some("t0", true));
        let own = ("soloist-authorization", "Bearer t1");
        assert_eq!(read(&[bearer, own], false), some("t1", false));
        // A malformed header allows nothing.
        for odd in ["Digest a", "Bearer", "Basic !", "Basic bWU=", "t0"] {
            assert_eq!(read(&[("authorization", odd)], false), some("", true), "{odd}");
        }
    }
}
