//! Databases: what the examples that write to one are tested against.

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

const REDIS: Package = Package {
    program: "redis-server",
    apt: &[&["redis-server"]],
    // The name of what goes on from it.
    dnf: &[&["redis"], &["valkey-compat-redis"]],
    brew: &[&["redis"]],
};

/// Where Debian has its versions of PostgreSQL beside each other, none of them on `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// PostgreSQL's server, beside the other programs of its version, installed where there was none.
pub(crate) fn postgres() -> Result<PathBuf> {
    POSTGRES.ensure_by(|| debian_postgres().or_else(|| cmd::find("postgres")))
}

/// Redis, installed where there was none.
pub(crate) fn redis() -> Result<PathBuf> {
    REDIS.ensure()
}

fn debian_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.flatten();
    let programs = versions.map(|version| version.path().join("bin/postgres"));
    programs.filter(|program| program.with_file_name("initdb").is_file()).max()
}
