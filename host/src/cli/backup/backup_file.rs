//! The format of a backup file: JSON Lines.
//!
//! ```text
//! {"soloist_backup":1,"cluster":"demo","highest_token":1795941877,…}    the header
//! {"state":{"action":"web","key":"visits","value":"MTI="}}              a record a line
//! …
//! {"end":{"records":1234,"sha256":"…"}}                                 the trailer
//! ```
//!
//! The trailer's SHA-256 is of all bytes before it. So a file that was cut off or changed is noticed
//! before anything of it is believed.

use serde::{Deserialize, Serialize};

use crate::cli::version;
use soloist_config::{Config, StoreUrl};
use soloist_heart::{FencingToken, clock};
use soloist_text::rfc3339;

/// The version of the format. A program reads files of its own version and earlier ones.
pub(super) const FORMAT: u32 = 1;

/// How the last line begins, and no record.
pub(super) const TRAILER_START: &str = "{\"end\":";

/// The longest line, in bytes: the largest payload in base64, and the longest error.
pub(super) const LINE_MAX: u64 = 4 << 20;

/// The part of the header by which any version recognises a file.
#[derive(Deserialize)]
pub(super) struct FormatMark {
    pub(super) soloist_backup: u32,
}

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BackupHeader {
    soloist_backup: u32,
    pub(super) cluster: String,
    /// The version of the program that wrote it.
    program: String,
    /// When it was made (RFC 3339).
    pub(super) time: String,
    /// The kind of its store: `etcd`, `postgres` or `sqlite`.
    store: String,
    identity: Option<String>,
    /// No fencing token that was given out by then is higher.
    pub(super) highest_token: i64,
}

impl BackupHeader {
    /// The header of a backup of the store of `config` that is made now.
    pub(super) fn new(config: &Config, identity: Option<String>, highest: FencingToken) -> Self {
        let store = match config.store {
            StoreUrl::Etcd { .. } => "etcd",
            StoreUrl::Postgres(_) => "postgres",
            StoreUrl::Sqlite(_) => "sqlite",
        };
        Self {
            soloist_backup: FORMAT,
            cluster: config.cluster.clone(),
            program: version::NUMBER.to_owned(),
            time: rfc3339(clock::unix_ms()),
            store: store.to_owned(),
            identity,
            highest_token: highest.0,
        }
    }
}

/// The last line.
#[derive(Serialize, Deserialize)]
pub(super) struct Trailer {
    pub(super) end: TrailerContent,
}

/// What the last line says.
#[derive(Serialize, Deserialize)]
pub(super) struct TrailerContent {
    pub(super) records: u64,
    /// Of all bytes before this line, in hexadecimal.
    pub(super) sha256: String,
}
