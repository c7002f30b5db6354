//! The first contact on each connection: whether the server can be relied on, soloist's tables, and
//! the number of the cluster in them.
//!
//! The store's identity and revision are compared with what is known at the beginning of every
//! transaction (`transaction.rs`), since behind a pooler a connection may lead to another server
//! from one transaction to the next.

use std::time::Duration;

use tokio::{runtime, time::timeout};
use tokio_postgres::{Client, types::Type};

use super::{
    access::PostgresAccess,
    connection::{PostgresConnection, PostgresDriverTask},
    fault::PostgresFault,
    schema,
};
use soloist_text::with_causes;

/// The oldest PostgreSQL that is known to do, as it counts its versions itself.
const OLDEST: i32 = 130_000;

/// Connects to the first server that accepts writes, each within `within`. `notified` is called for
/// each notification.
pub(super) async fn open(
    access: &PostgresAccess,
    cluster: &str,
    within: Duration,
    runtime: &runtime::Handle,
    notified: impl Fn() + Clone + Send + 'static,
) -> Result<PostgresConnection, PostgresFault> {
    let mut faults = Vec::new();
    for (server, host) in access.servers() {
        let open = async {
            let (client, driver) = access.connect(host).await?;
            let driver = PostgresDriverTask::start(runtime, driver, notified.clone());
            let cluster = introduce(&client, access.schema(), cluster).await?;
            Ok(PostgresConnection::new(client, cluster, driver))
        };
        match timeout(within, open).await.unwrap_or(Err(PostgresFault::TimedOut)) {
            Ok(connection) => {
                access.used(server);
                return Ok(connection);
            }
            // As with libpq, a server that refuses this host speaks for all.
            Err(fault) if !fault.is_of_server() => return Err(fault),
            Err(fault) => faults.push((host, fault)),
        }
    }
    match <[_; 1]>::try_from(faults) {
        Ok([(_, fault)]) => Err(fault),
        Err(faults) => {
            let told = |(host, fault)| format!("{host}: {}", with_causes(&fault));
            let told = faults.into_iter().map(told).collect::<Vec<_>>().join("; ");
            Err(PostgresFault::NoServer(told))
        }
    }
}

/// Checks the server and makes what is missing there. Returns the number of the cluster.
async fn introduce(client: &Client, schema: &str, cluster: &str) -> Result<i32, PostgresFault> {
    check_server(client).await?;
    schema::ensure(client, schema).await?;
    let find = format!("SELECT cluster FROM {schema}.clusters WHERE name = $1");
    let make = format!(
        "WITH made AS (INSERT INTO {schema}.clusters (name) VALUES ($1)
                       ON CONFLICT DO NOTHING RETURNING cluster),
              roster AS (INSERT INTO {schema}.rosters (cluster, revision, raises)
                         SELECT cluster, (extract(epoch FROM now()) * 1000)::bigint, 0 FROM made),
              queue AS (INSERT INTO {schema}.call_queues SELECT cluster, 0 FROM made)
         SELECT cluster FROM made"
    );
    let params = [(&cluster as _, Type::TEXT)];
    if let Some(row) = client.query_typed_opt(&find, &params).await? {
        return Ok(row.try_get(0)?);
    }
    // A failure ends the connection, and with it the transaction.
    client.batch_execute(schema::BEGIN).await?;
    client.query_typed_opt(&make, &params).await?;
    client.batch_execute("COMMIT").await?;
    // Perhaps another host has made it.
    match client.query_typed_opt(&find, &params).await? {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(PostgresFault::Told("the cluster's row vanished while it was read".into())),
    }
}

async fn check_server(client: &Client) -> Result<(), PostgresFault> {
    let sql = "SELECT current_setting('server_version_num')::integer,
                      pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean,
                      current_setting('synchronous_commit'),
                      current_setting('fsync'),
                      current_setting('server_encoding')";
    let row = client.query_typed_one(sql, &[]).await?;
    let version: i32 = row.try_get(0)?;
    if version < OLDEST {
        return Err(PostgresFault::refused(format!(
            "this is PostgreSQL {}, and soloist needs {} or later",
            version / 10_000,
            OLDEST / 10_000
        )));
    }
    if row.try_get(1)? {
        return Err(PostgresFault::ReadOnly);
    }
    let settings: [&str; 3] = [row.try_get(2)?, row.try_get(3)?, row.try_get(4)?];
    check_settings(settings)
}

fn check_settings([commit, fsync, encoding]: [&str; 3]) -> Result<(), PostgresFault> {
    let problem = if commit == "off" {
        "`synchronous_commit` is off, so a crash of the server loses what it has confirmed, and \
         fencing tokens are given out twice: `ALTER ROLE … SET synchronous_commit = on`, or \
         wherever it was set (the role, the database, postgresql.conf)"
    } else if fsync == "off" {
        "`fsync` is off, so a crash of the machine destroys the database: turn it on in \
         postgresql.conf"
    } else if encoding != "UTF8" {
        "the database's encoding is not UTF8, so it cannot keep every name: create one with \
         `ENCODING 'UTF8'`, and name it in `store`"
    } else {
        return Ok(());
    };
    Err(PostgresFault::refused(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_lose_what_was_confirmed_are_refused_with_the_mend() {
        check_settings(["on", "on", "UTF8"]).unwrap();
        for commit in ["local", "remote_write", "remote_apply"] {
            check_settings([commit, "on", "UTF8"]).unwrap();
        }
        for (settings, words) in [
            (["off", "on", "UTF8"], "SET synchronous_commit = on"),
            (["on", "off", "UTF8"], "postgresql.conf"),
            (["on", "on", "LATIN1"], "ENCODING 'UTF8'"),
        ] {
            let told = check_settings(settings).unwrap_err().to_string();
            assert!(told.contains(words), "{told}");
        }
    }
}
