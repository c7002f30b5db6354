//! What a command reports when a host refuses, does not answer, or answers something else.

use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::{api::Problem, cli::ExitError, cluster::PeerError};
use soloist_text::with_causes;

/// Parses `text`, a response of the host at `url`.
pub(crate) fn parse<T: DeserializeOwned>(url: &str, text: &[u8]) -> Result<T, ExitError> {
    serde_json::from_slice(text).map_err(|error| unexpected_answer(url, &error))
}

/// The error that a host has answered with.
pub(super) fn refusal(code: StatusCode, Problem { detail, help, .. }: Problem) -> ExitError {
    let exit = match code {
        StatusCode::NOT_FOUND => ExitError::missing,
        StatusCode::BAD_REQUEST
        | StatusCode::MISDIRECTED_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => ExitError::usage,
        StatusCode::CONFLICT | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ExitError::refused
        }
        StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::GATEWAY_TIMEOUT => ExitError::unavailable,
        _ => ExitError::failed,
    };
    exit(detail).help(help)
}

/// The error for a response that no host would give.
pub(super) fn unexpected_answer(url: &str, error: &dyn std::error::Error) -> ExitError {
    ExitError::unavailable(format!("{url} does not answer as a soloist host does"))
        .caused_by(error)
        .help("does another server listen there, or another version of soloist?")
}

/// The error for a host that does not answer.
pub(super) fn no_answer(url: &str, error: &PeerError) -> ExitError {
    let exit = ExitError::unavailable(format!("no answer from {url}")).caused_by(error);
    if with_causes(error).contains(soloist_tls::OF_AUTHORITY) {
        return exit.help(
            "what it shows is the certificate of an authority (CA), as `openssl req -x509` makes \
             them: give the host one by `cert` that this authority has signed",
        );
    }
    if with_causes(error).contains("certificate") {
        return exit.help(
            "--ca FILE names who has signed its certificate, --cert and --key FILE what to show",
        );
    }
    // The messages of rustls and hyper when one side speaks TLS and the other does not.
    let said = with_causes(error);
    if said.contains("InvalidContentType") {
        return exit.help("it speaks no TLS there: write --url http://HOST:PORT");
    }
    if said.contains("invalid HTTP version") {
        return exit.help("it may speak TLS there: write --url https://HOST:PORT");
    }
    exit.help("is soloist running there? Another host: --url http://HOST:PORT, or SOLOIST_URL")
}
