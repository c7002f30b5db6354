//! What a command reports when a host refuses, does not answer, or answers something else.

use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::{api::ProblemDetails, cli::ExitError, cluster::PeerError};
use soloist_text::with_causes;

/// Parses `text`, a response of the host at `url`.
pub(crate) fn parse<T: DeserializeOwned>(url: &str, text: &[u8]) -> Result<T, ExitError> {
    serde_json::from_slice(text).map_err(|error| unexpected_answer(url, &error))
}

/// The error that a host has answered with.
pub(super) fn refusal(
    code: StatusCode,
    ProblemDetails { detail, help, .. }: ProblemDetails,
) -> ExitError {
    let exit = match code {
        StatusCode::NOT_FOUND => ExitError::missing,
        StatusCode::BAD_REQUEST | StatusCode::MISDIRECTED_REQUEST => ExitError::usage,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => ExitError::data,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ExitError::denied,
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => ExitError::refused,
        StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::BAD_GATEWAY
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::GATEWAY_TIMEOUT => ExitError::unavailable,
        _ => ExitError::broken,
    };
    exit(detail).help(help)
}

/// The error for a response that no host would give.
pub(super) fn unexpected_answer(url: &str, error: &dyn std::error::Error) -> ExitError {
    ExitError::unavailable(format!("{url} does not answer as a soloist host does"))
        .caused_by(error)
        .help("does another server listen there, or another version of soloist?")
}

/// The help when the response to a change was lost.
pub(super) const MAY_BE_DONE: &str = "it may have been done nevertheless: check `soloist status`, \
                                      or the object of the command, before you repeat it";

/// The error for a host that does not answer.
pub(super) fn no_answer(url: &str, error: &PeerError) -> ExitError {
    match Protocol::of_failed(error) {
        Some(spoken) if url.starts_with("http://") && spoken == Protocol::Tls => {
            let right = url.replacen("http://", "https://", 1);
            return ExitError::unavailable(format!("the host at {url} speaks TLS"))
                .help(format!("write {right}"));
        }
        Some(spoken) if url.starts_with("https://") && spoken == Protocol::Plain => {
            let right = url.replacen("https://", "http://", 1);
            return ExitError::unavailable(format!("the host at {url} speaks no TLS"))
                .help(format!("write {right}"));
        }
        _ => {}
    }
    let exit = ExitError::unavailable(format!("no answer from {url}")).caused_by(error);
    if let Some(alert) = with_causes(error).split_once(ALERT).map(|(_, alert)| alert.to_owned()) {
        return exit.help(help_for_alert(&alert));
    }
    if with_causes(error).contains(soloist_tls::OF_AUTHORITY) {
        return exit.help(
            "it shows a CA certificate, as `openssl req -x509` makes them: give the host a \
             certificate (`cert`) that this authority has signed",
        );
    }
    if with_causes(error).contains("certificate") {
        return exit.help(
            "--ca FILE names the authorities that sign its certificate, --cert and --key FILE are \
             this client's own certificate",
        );
    }
    exit.help(NOT_RUNNING)
}

/// The help for a host that just does not answer.
pub(super) const NOT_RUNNING: &str = "is soloist running there? Other hosts: --url \
     http://HOST:PORT,http://HOST:PORT, or SOLOIST_URL";

/// How rustls words that the other side has ended a handshake, before the name of its reason
/// (RFC 8446, section 6.2).
const ALERT: &str = "received fatal alert: ";

/// What to do when a host has ended the handshake for the reason called `alert`.
fn help_for_alert(alert: &str) -> &'static str {
    if alert.starts_with("CertificateRequired") {
        return "the host wants to see a certificate: --cert and --key FILE name it";
    }
    let of_certificate = ["Certificate", "UnknownCA", "BadCertificate", "UnsupportedCertificate"];
    if of_certificate.iter().any(|name| alert.starts_with(name)) {
        return "the host refuses the certificate shown: `--cert` must be valid now, and signed by \
                its `client_ca`";
    }
    "the host ended the handshake: its log says more"
}

/// Whether the host speaks TLS where the URL says that it does not, or the other way round: then
/// it has not understood the request.
pub(super) fn is_other_protocol(error: &PeerError) -> bool {
    Protocol::of_failed(error).is_some()
}

/// The protocol that a host turned out to speak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Plain,
    Tls,
}

impl Protocol {
    /// By the messages of rustls and hyper when one side speaks TLS and the other does not.
    fn of_failed(error: &PeerError) -> Option<Self> {
        let said = with_causes(error);
        if said.contains("InvalidContentType") {
            return Some(Self::Plain);
        }
        said.contains("invalid HTTP version").then_some(Self::Tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names are those of rustls, which stand in its messages.
    #[test]
    fn a_host_that_refuses_a_certificate_is_not_taken_for_none() {
        use rustls::AlertDescription::{
            BadCertificate, CertificateExpired, CertificateRequired, CertificateUnknown,
            DecryptError, UnknownCA,
        };
        let told = |alert| {
            let said = rustls::Error::AlertReceived(alert).to_string();
            said.strip_prefix(ALERT).map(help_for_alert).unwrap_or_default()
        };
        for alert in [BadCertificate, CertificateExpired, CertificateUnknown, UnknownCA] {
            assert!(told(alert).contains("signed by its `client_ca`"), "{alert:?}");
        }
        assert!(told(CertificateRequired).contains("--cert and --key"));
        assert!(told(DecryptError).contains("its log says more"));
    }
}
