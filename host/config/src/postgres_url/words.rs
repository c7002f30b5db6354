//! The words behind the question mark: libpq's, and `schema`.

use std::{path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;

use super::{PostgresTls, SslMode};
use crate::{TlsFiles, problem::Problem, spelling::did_you_mean};

/// All words that are known here.
const KNOWN: [&str; 12] = [
    "application_name",
    "connect_timeout",
    "host",
    "options",
    "passfile",
    "port",
    "schema",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
];

/// The words for which others have a place of their own in the address.
const PLACED: [&str; 3] = ["dbname", "password", "user"];

/// The longest time that opening a connection may take, in seconds.
const CONNECT_MAX: u64 = 600;

/// The longest name of a schema. PostgreSQL cuts names at 63 bytes, and the channels of
/// notifications begin with the schema's.
const SCHEMA_MAX: usize = 40;

/// The words of one address.
#[derive(Default)]
pub(super) struct Words {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) options: Option<String>,
    pub(super) passfile: Option<PathBuf>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) application_name: Option<String>,
    pub(super) schema: Option<String>,
    mode: Option<SslMode>,
    authorities: Option<String>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// Reads `WORD=VALUE&…`.
pub(super) fn read(text: &str) -> Result<Words, Problem> {
    let mut words = Words::default();
    let mut said = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (word, value) = pair.split_once('=').unwrap_or((pair, ""));
        if said.contains(&word) {
            return Err(Problem::new(format!("`{word}` is said twice"), "say it once"));
        }
        said.push(word);
        words.take(word, value)?;
    }
    Ok(words)
}

impl Words {
    fn take(&mut self, word: &str, value: &str) -> Result<(), Problem> {
        if PLACED.contains(&word) {
            return Err(Problem::new(
                format!("`{word}` has a place of its own in the address"),
                "write `postgres://USER:PASSWORD@HOST:PORT/DATABASE`",
            ));
        }
        if !KNOWN.contains(&word) {
            return Err(unknown(word));
        }
        let value = decode(&format!("`{word}`"), value)?;
        if value.is_empty() {
            return Err(Problem::new(
                format!("`{word}` says nothing"),
                format!("write `{word}=VALUE`, or leave it out"),
            ));
        }
        match word {
            "application_name" => self.application_name = Some(value),
            "connect_timeout" => self.connect_timeout = Some(seconds(&value)?),
            "host" => self.host = Some(value),
            "options" => self.options = Some(value),
            "passfile" => self.passfile = Some(value.into()),
            "port" => self.port = Some(port(&value)?),
            "schema" => self.schema = Some(schema(value)?),
            "sslcert" => self.cert = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            "sslmode" => self.mode = Some(mode(&value)?),
            "sslrootcert" => self.authorities = Some(value),
            _ => session_attrs(&value)?,
        }
        Ok(())
    }

    /// What the words say of TLS. `local`: all servers are on this machine.
    pub(super) fn tls(&self, local: bool) -> Result<PostgresTls, Problem> {
        let default =
            if local && !self.speaks_of_tls() { SslMode::Disable } else { SslMode::VerifyFull };
        let mode = self.mode.unwrap_or(default);
        let authorities = self.authorities.as_deref().filter(|it| *it != "system");
        let by_system = self.authorities.is_some() && authorities.is_none();
        let mode = match mode {
            SslMode::Disable if self.speaks_of_tls() => {
                return Err(Problem::new(
                    "this says how the store is reached by TLS, but `sslmode=disable`",
                    "write `sslmode=verify-full`, or leave out `sslrootcert`, `sslcert` and `sslkey`",
                ));
            }
            // As libpq does.
            SslMode::Require if authorities.is_some() => SslMode::VerifyCa,
            SslMode::VerifyCa if authorities.is_none() => {
                return Err(Problem::new(
                    "`sslmode=verify-ca` names no authority, and anybody may have a certificate \
                     of the public ones",
                    "name your own by `sslrootcert=FILE`, or write `sslmode=verify-full`",
                ));
            }
            SslMode::Require if by_system => {
                return Err(Problem::new(
                    "`sslrootcert=system` with `sslmode=require` lets anybody in who has a \
                     certificate of a public authority",
                    "write `sslmode=verify-full`",
                ));
            }
            mode => mode,
        };
        let own = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                Some(TlsFiles { cert: cert.clone(), key: key.clone() }.into())
            }
            (None, None) => None,
            (Some(_), None) => return Err(alone("certificate", "sslkey")),
            (None, Some(_)) => return Err(alone("key", "sslcert")),
        };
        Ok(PostgresTls { mode, authorities: authorities.map(Into::into), own })
    }

    fn speaks_of_tls(&self) -> bool {
        self.authorities.is_some() || self.cert.is_some() || self.key.is_some()
    }
}

fn unknown(word: &str) -> Problem {
    let guess = did_you_mean(word, KNOWN).map(|guess| guess + " ").unwrap_or_default();
    Problem::new(
        format!("unknown word `{word}` in the address of the store"),
        format!("{guess}known here: {}", KNOWN.join(", ")),
    )
}

fn mode(value: &str) -> Result<SslMode, Problem> {
    Ok(match value {
        "disable" => SslMode::Disable,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        "allow" | "prefer" => {
            return Err(Problem::new(
                format!(
                    "`sslmode={value}` speaks without TLS as soon as somebody in between says that \
                     the server has none"
                ),
                "write `sslmode=verify-full`, or `disable` where nobody can be in between",
            ));
        }
        _ => {
            let known = ["disable", "require", "verify-ca", "verify-full"];
            let guess = did_you_mean(value, known).map(|guess| guess + " ").unwrap_or_default();
            return Err(Problem::new(
                format!("there is no `sslmode={value}`"),
                format!("{guess}known here: {}", known.join(", ")),
            ));
        }
    })
}

fn session_attrs(value: &str) -> Result<(), Problem> {
    if value == "read-write" {
        return Ok(());
    }
    Err(Problem::new(
        format!("`target_session_attrs={value}` may lead to a server that accepts no writes"),
        "leave it out: the first server that accepts writes is used",
    ))
}

fn seconds(value: &str) -> Result<Duration, Problem> {
    let seconds = value.parse().ok().filter(|seconds| (1..=CONNECT_MAX).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        Problem::new(
            format!("`connect_timeout={value}` is no time"),
            format!("write a whole number of seconds, 1 to {CONNECT_MAX}"),
        )
    })
}

fn port(value: &str) -> Result<u16, Problem> {
    value.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        Problem::new(format!("`port={value}` is no port"), "write one number, 1 to 65535")
    })
}

/// A name that needs no quotes, so that people can type it.
fn schema(name: String) -> Result<String, Problem> {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if begins && name.chars().all(plain) && name.len() <= SCHEMA_MAX && !name.starts_with("pg_") {
        return Ok(name);
    }
    Err(Problem::new(
        format!("`schema={name}` is no name for a schema"),
        format!(
            "write up to {SCHEMA_MAX} lower-case letters, digits and `_`, without `pg_` in front"
        ),
    ))
}

fn alone(what: &str, other: &str) -> Problem {
    Problem::new(
        format!("the {what} for the store comes alone"),
        format!("name the other half as well, by `{other}=FILE`; or neither"),
    )
}

/// The text that `text` encodes; `what` it is, for an error.
pub(super) fn decode(what: &str, text: &str) -> Result<String, Problem> {
    let decoded = percent_decode_str(text).decode_utf8();
    match decoded {
        Ok(decoded) if !decoded.contains('\0') => Ok(decoded.into_owned()),
        _ => Err(Problem::new(
            format!("{what} is not UTF-8"),
            "percent-encode what it says as UTF-8",
        )),
    }
}
