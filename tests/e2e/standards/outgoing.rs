//! Requests that plugins send: one check for each of wasmtime's programs.

use super::{
    Stage, client,
    table::{Otherwise, Table, World, not_forbidden},
};

/// A domain whose names are granted, but do not exist.
pub(super) const BELOW: &str = "dnsname:3000";

/// The server that a program gets.
#[derive(Clone, Copy, Debug)]
enum Place {
    Server,
    /// A server that speaks HTTP/2 only.
    Modern,
    /// A server that accepts no connections.
    Full,
    /// No server: the port is not a valid number.
    BadPort,
    /// No server: a label of the name is longer than allowed, so it is not even looked up.
    BadName,
    /// A name that the settings do not grant.
    Ungranted,
}

impl Place {
    fn authority(self, stage: &Stage) -> String {
        match self {
            Self::Server => stage.server.address.to_string(),
            Self::Modern => stage.modern.address.to_string(),
            Self::Full => stage.full.address.to_string(),
            Self::BadPort => "localhost:99999".to_owned(),
            Self::BadName => format!("{}.{BELOW}", "x".repeat(64)),
            Self::Ungranted => "some.invalid:3000".to_owned(),
        }
    }
}

/// A program, one of its checks (by the plugin's name for it), and its server.
type Check = (&'static str, &'static str, Place);

const CHECKS: &[Check] = &[
    ("http_outbound_request_get", "get", Place::Server),
    ("http_outbound_request_post", "post", Place::Server),
    ("http_outbound_request_large_post", "large-post", Place::Server),
    ("http_outbound_request_put", "put", Place::Server),
    ("http_outbound_request_invalid_version", "invalid-version-get", Place::Modern),
    ("http_outbound_request_invalid_header", "invalid-header", Place::Server),
    ("http_outbound_request_unknown_method", "unknown-method", Place::Server),
    ("http_outbound_request_unsupported_scheme", "unsupported-scheme", Place::Server),
    ("http_outbound_request_invalid_port", "invalid-port", Place::BadPort),
    ("http_outbound_request_invalid_dnsname", "invalid-dnsname", Place::BadName),
    ("http_outbound_request_response_build", "response-build", Place::Server),
    ("http_outbound_request_content_length", "content-length-enough", Place::Server),
    ("http_outbound_request_content_length", "content-length-too-little", Place::Server),
    ("http_outbound_request_content_length", "content-length-too-much", Place::Server),
    ("http_outbound_request_missing_path_and_query", "missing-path-and-query", Place::Server),
    ("http_outbound_request_timeout", "timeout", Place::Full),
];

/// The checks that only 0.3 has.
const CHECKS_OF_0_3: &[Check] =
    &[("http_outbound_request_chunk_size", "chunk-size", Place::Server)];

/// The checks with another result here than in wasmtime.
const OTHERWISE: &[(Check, Otherwise)] = &[
    (
        ("http_outbound_request_invalid_version", "invalid-version", Place::Modern),
        Otherwise {
            told: "HttpRequestDenied",
            because: "CONNECT is denied, since a tunnel would reach what no `outbound` names",
        },
    ),
    (
        ("http_outbound_request_invalid_header", "custom-header", Place::Server),
        not_forbidden("custom-forbidden-header"),
    ),
    (
        ("http_outbound_request_invalid_dnsname", "invalid-dnsname", Place::Ungranted),
        Otherwise {
            told: "HttpRequestDenied",
            because: "what no `outbound` names is denied before its name is looked up",
        },
    ),
];

pub(super) async fn check(stage: &Stage, world: World, table: &mut Table) {
    let more = if world == World::ZeroThree { CHECKS_OF_0_3 } else { &[] };
    for &(program, name, place) in CHECKS.iter().chain(more) {
        table.note(world, program, name, ask(stage, world, name, place).await);
    }
    for &((program, name, place), otherwise) in OTHERWISE {
        let told = ask(stage, world, name, place).await;
        table.note_otherwise(world, program, name, told, otherwise);
    }
}

async fn ask(stage: &Stage, world: World, name: &str, place: Place) -> Result<(), String> {
    let target = format!("/{name}?{}", place.authority(stage));
    client::get(stage.plugin(world), &target).await?.told("ok")
}
