//! What etcd's errors mean to a caller.
//!
//! They are told apart by their text: several share a code of gRPC's (etcd:
//! `api/v3rpc/rpctypes/error.go` has the texts).

use std::{
    error::Error as StdError,
    io::{self, ErrorKind},
};

use etcd_client::Error;

use super::wire::was_over;
use crate::StoreError;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    LeaseGone,
    /// The login has to be done again; then the same call may succeed.
    StaleLogin,
    WrongLogin,
    LoginMissing,
    LoginDisabled,
    Forbidden,
    NotEtcd,
    /// It takes no writes, since it is full.
    Full,
    /// It takes no request as long as this.
    TooLong,
    /// It serves nobody, since its members' data differ.
    Corrupt,
    /// This host does not believe the certificate of the member.
    Untrusted,
    /// That is the one of an authority, which is no server's.
    OfAuthority,
    /// The member does not believe that of this host, or misses it.
    Unknown,
    /// The members that are listed are of several etcds.
    Divided,
    /// This member cannot serve now; another, or a later try, may.
    Unavailable,
}

impl Meaning {
    /// Whether another member may answer otherwise.
    pub(super) const fn is_a_member_s(self) -> bool {
        matches!(self, Self::Unavailable | Self::Untrusted | Self::OfAuthority | Self::Unknown)
    }
}

const TEXTS: &[(&str, Meaning)] = &[
    ("lease not found", Meaning::LeaseGone),
    ("invalid auth token", Meaning::StaleLogin),
    ("revision of auth store is old", Meaning::StaleLogin),
    ("authentication failed", Meaning::WrongLogin),
    ("user name is empty", Meaning::LoginMissing),
    ("authentication is not enabled", Meaning::LoginDisabled),
    ("permission denied", Meaning::Forbidden),
    ("database space exceeded", Meaning::Full),
    ("request is too large", Meaning::TooLong),
    // This one is gRPC's, of what is longer still.
    ("received message larger than max", Meaning::TooLong),
    ("corrupt cluster", Meaning::Corrupt),
    // This one is ours.
    ("belong to several etcds", Meaning::Divided),
    // These are rustls's, of which HTTP/2 keeps nothing but the text.
    (soloist_tls::OF_AUTHORITY, Meaning::OfAuthority),
    ("invalid peer certificate", Meaning::Untrusted),
    ("fatal alert: CertificateRequired", Meaning::Unknown),
    ("fatal alert: BadCertificate", Meaning::Unknown),
    ("fatal alert: UnknownCA", Meaning::Unknown),
    ("fatal alert: CertificateUnknown", Meaning::Unknown),
    ("fatal alert: CertificateExpired", Meaning::Unknown),
    ("fatal alert: CertificateRevoked", Meaning::Unknown),
    ("fatal alert: UnsupportedCertificate", Meaning::Unknown),
    ("fatal alert: AccessDenied", Meaning::Unknown),
];

/// gRPC's code of a method that the server does not have.
const UNIMPLEMENTED: i32 = 12;

pub(super) fn meaning(error: &Error) -> Meaning {
    if let Error::GRpcStatus(status) = error
        && i32::from(status.code()) == UNIMPLEMENTED
    {
        return Meaning::NotEtcd;
    }
    match meaning_of(&error.to_string()) {
        // Of a broken connection, what lies at the bottom says why.
        Meaning::Unavailable => meaning_of(&plainly(error)),
        meaning => meaning,
    }
}

/// What a text of etcd's means.
pub(super) fn meaning_of(text: &str) -> Meaning {
    let known = TEXTS.iter().find(|(part, _)| text.contains(part));
    known.map_or(Meaning::Unavailable, |(_, meaning)| *meaning)
}

/// Whether the request was turned away before anything was done about it: the
/// connection was over, nobody listens there, or the member knows no leader to pass it to (etcd:
/// `newUnaryInterceptor`; nothing after it says this of a write).
pub(super) fn was_refused_at_the_door(error: &Error) -> bool {
    if was_over(error) {
        return true;
    }
    let Error::GRpcStatus(status) = error else { return false };
    let mut cause = status.source();
    while let Some(below) = cause {
        let io = below.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = below.source();
    }
    status.message() == "etcdserver: no leader"
}

/// Whether the connection broke, or did not come about.
pub(super) fn was_broken(error: &Error) -> bool {
    match error {
        Error::GRpcStatus(status) => status.source().is_some(),
        error => matches!(error, Error::TransportError(_) | Error::IoError(_)),
    }
}

/// What happened, in a person's words: what etcd said, or what lies at the
/// bottom of a broken connection. The texts between are the client's own layers.
fn plainly(error: &Error) -> String {
    let top: &dyn StdError = match error {
        Error::GRpcStatus(status) if status.source().is_none() => {
            return status.message().to_owned();
        }
        Error::GRpcStatus(status) => status,
        Error::TransportError(error) => error,
        Error::IoError(error) => error,
        Error::EndpointError(text) | Error::Internal(text) => return text.clone(),
        error => error,
    };
    let mut bottom = top;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    bottom.to_string()
}

/// Who asked, for the texts.
pub(super) struct Asker<'a> {
    pub(super) store: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) root: &'a str,
    /// Whether etcd has never answered it.
    pub(super) strange: bool,
    /// Whether it spoke TLS.
    pub(super) secure: bool,
    /// Whether it showed a certificate.
    pub(super) shows: bool,
}

impl Asker<'_> {
    /// The error as the caller of `attempted` is told.
    pub(super) fn told(&self, attempted: &'static str, error: Error) -> StoreError {
        match meaning(&error) {
            Meaning::LeaseGone => StoreError::LeaseGone,
            Meaning::StaleLogin | Meaning::Unavailable => StoreError::Unavailable {
                attempted,
                store: self.store.to_owned(),
                source: self.trouble(&error).into(),
            },
            meaning => {
                let source = Some(plainly(&error).into());
                StoreError::Refused { problem: self.problem(meaning), source }
            }
        }
    }

    /// What waiting may mend, and what else it could be.
    fn trouble(&self, error: &Error) -> String {
        let text = plainly(error);
        // It hung up on whoever speaks TLS with it, or without.
        let strange = self.strange && was_broken(error) && !was_refused_at_the_door(error);
        match (strange, self.secure) {
            (false, _) => text,
            (true, true) => format!("{text}; if it has no TLS, write `etcd://…`"),
            (true, false) => format!("{text}; if it has TLS, write `etcds://…`"),
        }
    }

    /// What is wrong and what to do next.
    fn problem(&self, meaning: Meaning) -> String {
        let Self { store, root, .. } = self;
        let user = self.user.unwrap_or("the user");
        match meaning {
            Meaning::WrongLogin => format!(
                "{store} does not know user {user:?} with this password: \
                 correct `store = \"etcd://USER:PASSWORD@…\"`, or `etcdctl user passwd {user}`"
            ),
            Meaning::LoginMissing => {
                format!("{store} asks for a login: write `store = \"etcd://USER:PASSWORD@…\"`")
            }
            Meaning::LoginDisabled => format!(
                "{store} has authentication turned off: leave `{user}:…@` out of `store`, \
                 or `etcdctl auth enable`"
            ),
            Meaning::Forbidden => format!(
                "{store} does not let {user} use {root}: \
                 `etcdctl role grant-permission ROLE readwrite --prefix {root}` \
                 for a role of that user"
            ),
            Meaning::Full => format!(
                "{store} is full and takes no writes: make room (`etcdctl compact`, then \
                 `etcdctl defrag`) or raise its --quota-backend-bytes, then `etcdctl alarm \
                 disarm`; `etcdctl alarm list` shows it"
            ),
            Meaning::TooLong => format!(
                "{store} takes no request as long as this: have less written (fewer tasks of \
                 shorter names on one host), or raise its --max-request-bytes"
            ),
            Meaning::Corrupt => format!(
                "{store} has raised the alarm CORRUPT, its members' data differ: see `etcdctl \
                 alarm list`, and replace the member that it names"
            ),
            Meaning::Untrusted => format!(
                "{store} shows a certificate that this host does not trust: name who has signed \
                 it by `ca` in `store_tls`, and the members as their certificates do"
            ),
            Meaning::OfAuthority => format!(
                "{store} shows the certificate of an authority (CA), which is none of a server: \
                 give etcd one by its `--cert-file` that this authority has signed"
            ),
            Meaning::Unknown if self.shows => format!(
                "{store} refuses the certificate of this host: `cert` in `store_tls` has to be \
                 one for clients that etcd's `--trusted-ca-file` has signed"
            ),
            Meaning::Unknown => format!(
                "{store} asks for a certificate: name one and its key by `cert` and `key` in \
                 `store_tls`"
            ),
            Meaning::Divided => format!(
                "{store} names members of several etcds, and nobody can tell which is meant: \
                 name those of one alone in `store`"
            ),
            _ => format!(
                "{store} does not answer as etcd does: soloist needs etcd 3.4 or later there"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_etcd_are_understood() {
        for (text, meaning) in [
            ("etcdserver: requested lease not found", Meaning::LeaseGone),
            ("etcdserver: invalid auth token", Meaning::StaleLogin),
            ("etcdserver: authentication failed, invalid user ID or password", Meaning::WrongLogin),
            ("etcdserver: user name is empty", Meaning::LoginMissing),
            ("etcdserver: permission denied", Meaning::Forbidden),
            ("etcdserver: request timed out", Meaning::Unavailable),
            ("etcdserver: mvcc: database space exceeded", Meaning::Full),
            ("etcdserver: request is too large", Meaning::TooLong),
            ("grpc: received message larger than max (9 vs. 8)", Meaning::TooLong),
            ("etcdserver: corrupt cluster", Meaning::Corrupt),
            ("invalid peer certificate: UnknownIssuer", Meaning::Untrusted),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                Meaning::OfAuthority,
            ),
            ("received fatal alert: BadCertificate", Meaning::Unknown),
            ("received fatal alert: HandshakeFailure", Meaning::Unavailable),
        ] {
            assert_eq!(meaning_of(text), meaning, "{text}");
        }
    }
}
