//! The stores that hosts are measured on.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use soloist_devtools::etcd;
use soloist_devtools::process::{Running, free_address};

use super::postgres::{self, BenchPostgres};
use super::{BenchContext, web};

/// The store of the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum BenchStore {
    /// The file of hosts on one machine
    Sqlite,
    Etcd,
    Postgres,
    /// PostgreSQL behind PgBouncer in transaction mode
    Pgbouncer,
}

/// A store, which ends when this is dropped.
pub(super) struct RunningStore {
    pub(super) url: String,
    /// The address of etcd, if it is one.
    pub(super) etcd: Option<SocketAddr>,
    _etcd: Option<Running>,
    _postgres: Option<BenchPostgres>,
}

impl RunningStore {
    pub(super) fn start(store: BenchStore, context: &BenchContext) -> Result<Self> {
        let plain = |url| Self { url, etcd: None, _etcd: None, _postgres: None };
        Ok(match store {
            BenchStore::Sqlite => {
                plain(format!("sqlite:{}", context.scratch.join("soloist.db").display()))
            }
            BenchStore::Etcd => {
                let (server, endpoint) = start_etcd(&etcd::ensure()?, context, "etcd")?;
                let url = format!("etcd://{endpoint}");
                Self { etcd: Some(endpoint), _etcd: Some(server), ..plain(url) }
            }
            BenchStore::Postgres | BenchStore::Pgbouncer => {
                let server = postgres::start(store == BenchStore::Pgbouncer)?;
                let url = server.url();
                Self { _postgres: Some(server), ..plain(url) }
            }
        })
    }
}

/// Starts an etcd with its data in the folder `data` of the scratch folder.
pub(super) fn start_etcd(
    program: &Path,
    context: &BenchContext,
    data: &str,
) -> Result<(Running, SocketAddr)> {
    let (client, peer) = (free_address()?, free_address()?);
    let (client_url, peer_url) = (format!("http://{client}"), format!("http://{peer}"));
    let mut command = Command::new(program);
    command
        .arg("--data-dir")
        .arg(context.scratch.join(data))
        .args(["--listen-client-urls", &client_url])
        .args(["--advertise-client-urls", &client_url])
        .args(["--listen-peer-urls", &peer_url])
        .args(["--initial-advertise-peer-urls", &peer_url])
        .args(["--initial-cluster", &format!("default={peer_url}")]);
    let mut etcd = Running::start("etcd", &mut command)?;
    etcd.wait_until("healthy", || web::is_ok(client, "/health"))?;
    Ok((etcd, client))
}
