//! What etcd's errors mean to a caller.
//!
//! They are distinguished by their text, because several errors share a gRPC code (the texts are in
//! etcd's `api/v3rpc/rpctypes/error.go`).

use std::{
    error::Error as StdError,
    io::{self, ErrorKind},
};

use etcd_client::Error;

use super::once_connector::was_not_sent;
use crate::StoreError;

/// The kind of an error, as far as the reaction to it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorMeaning {
    LeaseGone,
    /// The login must be renewed; then the same call may succeed.
    StaleLogin,
    WrongLogin,
    LoginMissing,
    LoginDisabled,
    Forbidden,
    NotEtcd,
    /// etcd accepts no writes, since it is full.
    Full,
    /// etcd accepts no request of this size.
    TooLong,
    /// etcd serves nobody, since the data of its members differ.
    Corrupt,
    /// This host does not trust the member's certificate.
    Untrusted,
    /// The member's certificate is that of an authority, which is not a server certificate.
    AuthorityCertificate,
    /// The member does not trust this host's certificate, or requires one.
    ClientCertificateRefused,
    /// The listed members belong to several etcd clusters.
    SeveralClusters,
    /// This member cannot serve the call now; another one may, or this one later.
    Unavailable,
}

impl ErrorMeaning {
    /// Whether another member may answer differently.
    pub(super) const fn is_member_specific(self) -> bool {
        matches!(
            self,
            Self::Unavailable
                | Self::Untrusted
                | Self::AuthorityCertificate
                | Self::ClientCertificateRefused
        )
    }
}

const TEXTS: &[(&str, ErrorMeaning)] = &[
    ("lease not found", ErrorMeaning::LeaseGone),
    ("invalid auth token", ErrorMeaning::StaleLogin),
    ("revision of auth store is old", ErrorMeaning::StaleLogin),
    ("authentication failed", ErrorMeaning::WrongLogin),
    ("user name is empty", ErrorMeaning::LoginMissing),
    ("authentication is not enabled", ErrorMeaning::LoginDisabled),
    ("permission denied", ErrorMeaning::Forbidden),
    ("database space exceeded", ErrorMeaning::Full),
    ("request is too large", ErrorMeaning::TooLong),
    // This text is gRPC's, for requests that are even longer.
    ("received message larger than max", ErrorMeaning::TooLong),
    ("corrupt cluster", ErrorMeaning::Corrupt),
    // This text is soloist's own.
    ("belong to several etcds", ErrorMeaning::SeveralClusters),
    // These texts are rustls's; HTTP/2 preserves only the text of its errors.
    (soloist_tls::OF_AUTHORITY, ErrorMeaning::AuthorityCertificate),
    ("invalid peer certificate", ErrorMeaning::Untrusted),
    ("fatal alert: CertificateRequired", ErrorMeaning::ClientCertificateRefused),
    ("fatal alert: BadCertificate", ErrorMeaning::ClientCertificateRefused),
    ("fatal alert: UnknownCA", ErrorMeaning::ClientCertificateRefused),
    ("fatal alert: CertificateUnknown", ErrorMeaning::ClientCertificateRefused),
    ("fatal alert: CertificateExpired", ErrorMeaning::ClientCertificateRefused),
    ("fatal alert: CertificateRevoked", ErrorMeaning::ClientCertificateRefused),
    ("fatal alert: UnsupportedCertificate", ErrorMeaning::ClientCertificateRefused),
    ("fatal alert: AccessDenied", ErrorMeaning::ClientCertificateRefused),
];

/// The gRPC code for a method that the server does not implement.
const UNIMPLEMENTED: i32 = 12;

pub(super) fn meaning(error: &Error) -> ErrorMeaning {
    if let Error::GRpcStatus(status) = error
        && i32::from(status.code()) == UNIMPLEMENTED
    {
        return ErrorMeaning::NotEtcd;
    }
    match meaning_of(&error.to_string()) {
        // For a broken connection, the root cause tells why.
        ErrorMeaning::Unavailable => meaning_of(&root_text(error)),
        meaning => meaning,
    }
}

/// The meaning of an error text.
pub(super) fn meaning_of(text: &str) -> ErrorMeaning {
    let known = TEXTS.iter().find(|(part, _)| text.contains(part));
    known.map_or(ErrorMeaning::Unavailable, |(_, meaning)| *meaning)
}

/// Whether the request was certainly not carried out: the connection had already ended, nobody
/// listens at the address, or the member knows no leader to forward it to (etcd:
/// `newUnaryInterceptor`; after that, nothing answers a write this way).
pub(super) fn was_not_processed(error: &Error) -> bool {
    if was_not_sent(error) {
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

/// Whether the connection broke or could not be established.
pub(super) fn is_connection_error(error: &Error) -> bool {
    match error {
        Error::GRpcStatus(status) => status.source().is_some(),
        error => matches!(error, Error::TransportError(_) | Error::IoError(_)),
    }
}

/// A readable text: what etcd said, or the root cause of a broken connection. The texts in between
/// come from the client's own layers.
fn root_text(error: &Error) -> String {
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

/// The context of a call, for the error texts.
pub(super) struct ErrorContext<'a> {
    pub(super) store: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) root: &'a str,
    /// Whether etcd has never answered this host.
    pub(super) never_answered: bool,
    /// Whether the connection uses TLS.
    pub(super) uses_tls: bool,
    /// Whether this host presented a certificate.
    pub(super) shows_certificate: bool,
}

impl ErrorContext<'_> {
    /// The error for the caller that attempted `attempted`.
    pub(super) fn store_error(&self, attempted: &'static str, error: Error) -> StoreError {
        match meaning(&error) {
            ErrorMeaning::LeaseGone => StoreError::LeaseGone,
            ErrorMeaning::StaleLogin | ErrorMeaning::Unavailable => StoreError::Unavailable {
                attempted,
                store: self.store.to_owned(),
                source: self.unavailable_text(&error).into(),
            },
            meaning => {
                let source = Some(root_text(&error).into());
                StoreError::Refused { problem: self.refusal_text(meaning), source }
            }
        }
    }

    /// The text for an error that may go away, with a hint at another possible reason.
    fn unavailable_text(&self, error: &Error) -> String {
        let text = root_text(error);
        // A server with TLS hangs up on clients without, and the other way round.
        let strange =
            self.never_answered && is_connection_error(error) && !was_not_processed(error);
        match (strange, self.uses_tls) {
            (false, _) => text,
            (true, true) => format!("{text}; if it has no TLS, write `etcd://…`"),
            (true, false) => format!("{text}; if it has TLS, write `etcds://…`"),
        }
    }

    /// What is wrong and what to do about it.
    fn refusal_text(&self, meaning: ErrorMeaning) -> String {
        let Self { store, root, .. } = self;
        let user = self.user.unwrap_or("the user");
        match meaning {
            ErrorMeaning::WrongLogin => format!(
                "{store} does not know user {user:?} with this password: \
                 correct `store = \"etcd://USER:PASSWORD@…\"`, or `etcdctl user passwd {user}`"
            ),
            ErrorMeaning::LoginMissing => {
                format!("{store} asks for a login: write `store = \"etcd://USER:PASSWORD@…\"`")
            }
            ErrorMeaning::LoginDisabled => format!(
                "{store} has authentication turned off: leave `{user}:…@` out of `store`, \
                 or `etcdctl auth enable`"
            ),
            ErrorMeaning::Forbidden => format!(
                "{store} does not let {user} use {root}: \
                 `etcdctl role grant-permission ROLE readwrite --prefix {root}` \
                 for a role of that user"
            ),
            ErrorMeaning::Full => format!(
                "{store} is full and takes no writes: make room (`etcdctl compact`, then \
                 `etcdctl defrag`) or raise its --quota-backend-bytes, then `etcdctl alarm \
                 disarm`; `etcdctl alarm list` shows it"
            ),
            ErrorMeaning::TooLong => format!(
                "{store} refuses a request of this size: give this host fewer tasks, or shorter \
                 names, or raise etcd's --max-request-bytes"
            ),
            ErrorMeaning::Corrupt => format!(
                "{store} has raised the alarm CORRUPT, its members' data differ: see `etcdctl \
                 alarm list`, and replace the member that it names"
            ),
            ErrorMeaning::Untrusted => format!(
                "{store} shows a certificate that this host does not trust: name the authority \
                 that signed it with `ca` in `store_tls`, and write the members in `store` as \
                 their certificates name them"
            ),
            ErrorMeaning::AuthorityCertificate => format!(
                "{store} shows a CA certificate instead of a server's: give etcd a certificate \
                 that this authority has signed (`--cert-file`)"
            ),
            ErrorMeaning::ClientCertificateRefused if self.shows_certificate => format!(
                "{store} refuses the certificate of this host: `cert` in `store_tls` has to be \
                 one for clients that etcd's `--trusted-ca-file` has signed"
            ),
            ErrorMeaning::ClientCertificateRefused => format!(
                "{store} asks for a client certificate: set `cert` and `key` in `store_tls`"
            ),
            ErrorMeaning::SeveralClusters => format!(
                "{store} names members of different etcd clusters: name only those of one cluster \
                 in `store`"
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
            ("etcdserver: requested lease not found", ErrorMeaning::LeaseGone),
            ("etcdserver: invalid auth token", ErrorMeaning::StaleLogin),
            (
                "etcdserver: authentication failed, invalid user ID or password",
                ErrorMeaning::WrongLogin,
            ),
            ("etcdserver: user name is empty", ErrorMeaning::LoginMissing),
            ("etcdserver: permission denied", ErrorMeaning::Forbidden),
            ("etcdserver: request timed out", ErrorMeaning::Unavailable),
            ("etcdserver: mvcc: database space exceeded", ErrorMeaning::Full),
            ("etcdserver: request is too large", ErrorMeaning::TooLong),
            ("grpc: received message larger than max (9 vs. 8)", ErrorMeaning::TooLong),
            ("etcdserver: corrupt cluster", ErrorMeaning::Corrupt),
            ("invalid peer certificate: UnknownIssuer", ErrorMeaning::Untrusted),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                ErrorMeaning::AuthorityCertificate,
            ),
            ("received fatal alert: BadCertificate", ErrorMeaning::ClientCertificateRefused),
            ("received fatal alert: HandshakeFailure", ErrorMeaning::Unavailable),
        ] {
            assert_eq!(meaning_of(text), meaning, "{text}");
        }
    }
}
