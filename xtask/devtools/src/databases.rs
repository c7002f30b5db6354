//! PostgreSQL, which is a store and which an example writes to, with its pooler PgBouncer; and Redis,
//! for another example.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::cmd;
use crate::packages::Package;
use anyhow::Result;

const POSTGRES: Package = Package {
    program: "postgres",
    apt: &[&["postgresql"]],
    dnf: &[&["postgresql-server"]],
    brew: &[&["postgresql"]],
};

const PGBOUNCER: Package = Package {
    program: "pgbouncer",
    apt: &[&["pgbouncer"]],
    dnf: &[&["pgbouncer"]],
    brew: &[&["pgbouncer"]],
};

const REDIS: Package = Package {
    program: "redis-server",
    apt: &[&["redis-server"]],
    // Fedora replaced Redis by Valkey.
    dnf: &[&["redis"], &["valkey-compat-redis"]],
    brew: &[&["redis"]],
};

/// Debian installs the versions of PostgreSQL in parallel here, none of them on `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Finds PostgreSQL's server, or installs it. The other programs of its version are in the same
/// folder. `SOLOIST_TEST_POSTGRES` chooses another one.
pub fn postgres() -> Result<PathBuf> {
    match env::var_os("SOLOIST_TEST_POSTGRES") {
        Some(chosen) => Ok(PathBuf::from(chosen)),
        None => POSTGRES.ensure_by(|| debian_postgres().or_else(|| cmd::find("postgres"))),
    }
}

/// Finds PgBouncer, or installs it.
pub fn pgbouncer() -> Result<PathBuf> {
    PGBOUNCER.ensure()
}

/// Finds Redis, or installs it.
pub fn redis() -> Result<PathBuf> {
    REDIS.ensure()
}

fn debian_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.flatten();
    let programs = versions.map(|version| version.path().join("bin/postgres"));
    programs.filter(|program| program.with_file_name("initdb").is_file()).max()
}
