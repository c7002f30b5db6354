//! What the server's errors mean here, and what to do about them (PostgreSQL 17, appendix A).

use std::error::Error as _;

use tokio_postgres::Error;

/// What helps against an error. PostgreSQL's own text is added as the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Waiting may help, or what somebody does at the server.
    Wait(&'static str),
    /// Nothing helps but what the text says.
    Mend(&'static str),
}

use Remedy::{Mend, Wait};

impl Remedy {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Wait(text) | Mend(text) => text,
        }
    }
}

/// By SQLSTATE, or its first two characters, which are its class. The first that fits counts.
const REMEDIES: [(&str, Remedy); 23] = [
    ("08", Wait("the connection broke")),
    (
        "25006",
        Wait("it accepts no writes: it is a standby, or `default_transaction_read_only` is on"),
    ),
    ("25", Wait("the transaction was ended there: this host took too long in between")),
    (
        "28",
        Mend("the login was refused: check user and password in `store`, and pg_hba.conf there"),
    ),
    ("3D000", Mend("there is no such database: create it, or name another one in `store`")),
    ("3F000", Wait("its schema was removed; it is made again, as another store")),
    ("42P01", Wait("its tables were removed; they are made again, as another store")),
    ("42P06", Wait("somebody else is making its schema")),
    ("42P07", Wait("somebody else is making its tables")),
    (
        "42501",
        Mend(
            "the role may not do this: let it own the schema, as in `ALTER SCHEMA soloist OWNER TO \
         ROLE`, and the tables in it",
        ),
    ),
    (
        "42",
        Mend(
            "its tables are not those that soloist made: drop the schema while no host runs, and it is \
         made again",
        ),
    ),
    ("40P01", Wait("others held what this needed")),
    ("40", Wait("others changed what this needed")),
    ("53100", Wait("its disk is full: make room there")),
    (
        "53300",
        Wait(
            "it has too many connections: raise `max_connections` or the role's limit, or let \
         PgBouncer stand in between",
        ),
    ),
    ("53", Wait("it is out of memory or of another resource: look at its log")),
    ("54", Mend("one of its limits is too low: look at its log")),
    (
        "55P03",
        Wait(
            "others hold a lock on what this needs: pg_stat_activity and pg_locks there show who \
         they are",
        ),
    ),
    ("57014", Wait("it took too long: others hold what this needed, or its disk is slow")),
    ("57P", Wait("it is starting or shutting down, or somebody ended the connection")),
    ("58", Wait("its disk or its system fails: look at its log")),
    ("XX001", Wait("its data is damaged: look at its log, and restore a backup")),
    ("XX002", Wait("an index is damaged: look at its log, and run REINDEX")),
];

/// What helps against `error`.
pub(super) fn remedy(error: &Error) -> Remedy {
    match error.code() {
        Some(code) => of_code(code.code()),
        None => of_connection(error),
    }
}

fn of_code(code: &str) -> Remedy {
    let found = REMEDIES.iter().find(|(prefix, _)| code.starts_with(prefix));
    found.map_or(Wait("PostgreSQL fails"), |(_, remedy)| *remedy)
}

/// What helps where the server has said nothing.
fn of_connection(error: &Error) -> Remedy {
    let mut cause = error.source();
    while let Some(below) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = tls_error(below) {
            return Mend(
                "its certificate is not to be trusted: name the authority that signed it by \
                 `sslrootcert=FILE` and the server as its certificate does",
            );
        }
        // tokio-postgres has no other sign of it (`connect_tls.rs`).
        if below.to_string() == "server does not support TLS" {
            return Mend(
                "it speaks no TLS: set it up there, or write `sslmode=disable` where nobody can be \
                 in between",
            );
        }
        // The same holds for this (`connect_raw.rs`).
        if below.to_string() == "password missing" {
            return Mend(
                "it asks for a password: write it into `store`, or into the password file \
                 (`passfile`)",
            );
        }
        cause = below.source();
    }
    Wait("it does not answer")
}

/// The TLS error in an I/O error, or itself.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let inner = error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref());
    inner.map_or_else(|| error.downcast_ref(), |inner| inner.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_remedy() {
        for (code, waits, words) in [
            ("08006", true, "connection broke"),
            ("25006", true, "standby"),
            ("25P03", true, "took too long"),
            ("28P01", false, "pg_hba.conf"),
            ("3D000", false, "create it"),
            ("42501", false, "OWNER TO"),
            ("42703", false, "drop the schema"),
            ("42P07", true, "somebody else"),
            ("42P01", true, "made again"),
            ("40001", true, "others changed"),
            ("53100", true, "make room"),
            ("53300", true, "max_connections"),
            ("53200", true, "out of memory"),
            ("57P03", true, "starting"),
            ("55P03", true, "pg_stat_activity"),
            ("57014", true, "too long"),
            ("99999", true, "PostgreSQL fails"),
        ] {
            let remedy = of_code(code);
            assert!(remedy.text().contains(words), "{code}: {remedy:?}");
            assert_eq!(matches!(remedy, Wait(_)), waits, "{code}: {remedy:?}");
        }
    }

    #[test]
    fn no_state_hides_behind_its_class() {
        for (at, (code, _)) in REMEDIES.iter().enumerate() {
            let first = REMEDIES.iter().position(|(prefix, _)| code.starts_with(prefix));
            assert_eq!(first, Some(at), "{code}");
        }
    }
}
