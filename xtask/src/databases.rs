//! PostgreSQL, which is a store and which an example writes to, with its pooler PgBouncer; and Redis,
//! for another example.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use soloist_devtools::cmd;
use soloist_devtools::packages::Package;

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
/// folder.
pub(crate) fn postgres() -> Result<PathBuf> {
    POSTGRES.ensure_by(|| debian_postgres().or_else(|| cmd::find("postgres")))
}

/// Finds PgBouncer, or installs it.
pub(crate) fn pgbouncer() -> Result<PathBuf> {
    PGBOUNCER.ensure()
}

/// Finds Redis, or installs it.
pub(crate) fn redis() -> Result<PathBuf> {
    REDIS.ensure()
}

fn debian_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.flatten();
    let programs = versions.map(|version| version.path().join("bin/postgres"));
    programs.filter(|program| program.with_file_name("initdb").is_file()).max()
}
