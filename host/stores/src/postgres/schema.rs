//! soloist's tables: in a schema of their own, made and brought up to date by the first host that
//! needs them.

use tokio_postgres::{Client, Error, error::SqlState, types::Type};

use super::fault::PostgresFault;
use crate::identity::new_identity;

/// The number of the lock that a host holds while it makes tables: "SOLO". It ends with the
/// transaction, so a pooler cannot strand it.
const LOCK: i64 = 0x534f_4c4f;

/// The beginning of a transaction that makes tables, or a cluster's first rows. Whatever the role or
/// the database sets, each of its statements and each pause between them has this long; so a host
/// that freezes in the middle holds others up no longer.
pub(super) const BEGIN: &str = "
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL lock_timeout = '10s';
    SET LOCAL statement_timeout = '10s';
    SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// `rosters.revision` counts every change of what a roster shows. Whoever changes something raises
/// it first, and its row's lock puts all changes in order. It is never reset, so no fencing token
/// is assigned twice, and starts with the milliseconds of Unix time, so that even a schema that
/// was dropped is not followed by lower ones, unless the clock was set back. `call_queues.revision`
/// is the same for queued calls. `rosters.raises` is how often the fencing tokens were raised;
/// `grace` is the lease of the grace period that followed the last time, until it ends.
///
/// Rows that change with every renewal or step are few and narrow, on pages that are mostly empty,
/// and no index covers what changes. So PostgreSQL replaces their versions within the page
/// (heap-only tuples) and the tables do not grow.
const TABLES: &str = "
    CREATE TABLE clusters (
        cluster integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name    text NOT NULL UNIQUE
    );

    CREATE TABLE rosters (
        cluster  integer PRIMARY KEY REFERENCES clusters,
        revision bigint NOT NULL,
        raises   bigint NOT NULL,
        grace    bigint
    ) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

    CREATE TABLE leases (
        lease   bigint PRIMARY KEY,
        cluster integer NOT NULL REFERENCES clusters,
        ttl_ms  bigint NOT NULL,
        counter bigint NOT NULL
    ) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    CREATE INDEX leases_cluster ON leases (cluster);
    ALTER TABLE rosters ADD FOREIGN KEY (grace) REFERENCES leases ON DELETE SET NULL;

    CREATE TABLE candidates (
        cluster         integer NOT NULL REFERENCES clusters,
        create_revision bigint NOT NULL,
        grp             text COLLATE \"C\" NOT NULL,
        lease           bigint NOT NULL REFERENCES leases ON DELETE CASCADE,
        value           text NOT NULL,
        PRIMARY KEY (cluster, create_revision),
        UNIQUE (cluster, grp, lease)
    ) WITH (fillfactor = 50);
    CREATE INDEX candidates_lease ON candidates (lease);

    CREATE TABLE members (
        cluster integer NOT NULL REFERENCES clusters,
        name    text COLLATE \"C\" NOT NULL,
        lease   bigint NOT NULL REFERENCES leases ON DELETE CASCADE,
        value   text NOT NULL,
        PRIMARY KEY (cluster, name)
    ) WITH (fillfactor = 50);
    CREATE INDEX members_lease ON members (lease);

    CREATE TABLE notes (
        cluster integer NOT NULL REFERENCES clusters,
        name    text COLLATE \"C\" NOT NULL,
        value   text NOT NULL,
        PRIMARY KEY (cluster, name)
    );

    CREATE TABLE state_versions (
        cluster integer NOT NULL REFERENCES clusters,
        action  text COLLATE \"C\" NOT NULL,
        version bigint NOT NULL,
        PRIMARY KEY (cluster, action)
    ) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

    CREATE TABLE state (
        cluster integer NOT NULL REFERENCES clusters,
        action  text COLLATE \"C\" NOT NULL,
        key     bytea NOT NULL,
        value   bytea NOT NULL,
        version bigint NOT NULL,
        PRIMARY KEY (cluster, action, key)
    );

    CREATE TABLE call_queues (
        cluster  integer PRIMARY KEY REFERENCES clusters,
        revision bigint NOT NULL
    ) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

    CREATE TABLE queued_calls (
        cluster     integer NOT NULL REFERENCES clusters,
        task        text COLLATE \"C\" NOT NULL,
        id          text COLLATE \"C\" NOT NULL,
        state       text NOT NULL CHECK (state IN ('queued', 'done', 'dead')),
        version     bigint NOT NULL,
        at          bigint NOT NULL,
        lease       bigint REFERENCES leases ON DELETE CASCADE,
        head        text NOT NULL,
        answer_type text,
        payload     bytea,
        answer      bytea,
        PRIMARY KEY (cluster, task, id)
    );
    CREATE INDEX queued_calls_version ON queued_calls (cluster, version);
    CREATE INDEX queued_calls_state ON queued_calls (cluster, state, task, id);
    CREATE INDEX queued_calls_lease ON queued_calls (lease);

    CREATE TABLE claims (
        cluster integer NOT NULL REFERENCES clusters,
        task    text COLLATE \"C\" NOT NULL,
        id      text COLLATE \"C\" NOT NULL,
        lease   bigint NOT NULL REFERENCES leases ON DELETE CASCADE,
        version bigint NOT NULL,
        ticket  bigint NOT NULL,
        PRIMARY KEY (cluster, task, id)
    );
    CREATE INDEX claims_lease ON claims (lease);
";

/// What brings the tables of each earlier version up to date, beginning with none.
const STEPS: [&str; 1] = [TABLES];
/// The version of the tables that this soloist knows.
const VERSION: i32 = 1;
const _: () = assert!(STEPS.len() == VERSION as usize, "a step for each version");

/// Makes the tables in `schema`, or brings them up to date.
pub(super) async fn ensure(client: &Client, schema: &str) -> Result<(), PostgresFault> {
    match version(client, schema).await? {
        Some(VERSION) => Ok(()),
        Some(newer) if newer > VERSION => Err(PostgresFault::refused(format!(
            "the schema `{schema}` was made by a newer soloist (version {newer}, this one knows \
             {VERSION}): run that version, or name another schema by `schema=NAME` in `store`"
        ))),
        _ => make(client, schema).await.map_err(|error| explain(schema, error)),
    }
}

/// The version of the tables; `None` if there are none.
async fn version(client: &Client, schema: &str) -> Result<Option<i32>, PostgresFault> {
    // `to_regclass` may remember that there was none.
    let there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables
                                WHERE schemaname = $1 AND tablename = 'store')";
    let there = client.query_typed_one(there, &[(&schema, Type::TEXT)]).await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let version = format!("SELECT version FROM {schema}.store");
    let version = client.query_typed_opt(&version, &[]).await?;
    Ok(version.map(|row| row.try_get(0)).transpose()?)
}

async fn make(client: &Client, schema: &str) -> Result<(), PostgresFault> {
    client.batch_execute(&format!("{BEGIN}; SELECT pg_advisory_xact_lock({LOCK})")).await?;
    let made = make_locked(client, schema).await;
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    // The first error is the one that counts.
    let ended = client.batch_execute(end).await;
    made.and_then(|()| Ok(ended?))
}

async fn make_locked(client: &Client, schema: &str) -> Result<(), PostgresFault> {
    // Another host may have made them while this one waited for the lock.
    let found = version(client, schema).await?.unwrap_or(0);
    let first = usize::try_from(found).unwrap_or_default().min(STEPS.len());
    if first == STEPS.len() {
        return Ok(());
    }
    // Whoever may not make a schema may still own one.
    let there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)";
    let there = client.query_typed_one(there, &[(&schema, Type::TEXT)]).await?;
    if !there.try_get::<_, bool>(0)? {
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
    }
    client.batch_execute(&format!("SET LOCAL search_path = {schema}")).await?;
    if found == 0 {
        client.batch_execute(&first_row()).await?;
    }
    for step in &STEPS[first..] {
        client.batch_execute(step).await?;
    }
    client.batch_execute(&format!("UPDATE store SET version = {VERSION}")).await?;
    Ok(())
}

/// The table that says what this is. The identity is made once, at random.
fn first_row() -> String {
    let identity = new_identity();
    format!(
        "CREATE TABLE store (
             id       integer PRIMARY KEY CHECK (id = 1),
             version  integer NOT NULL,
             identity text NOT NULL
         );
         INSERT INTO store VALUES (1, 0, '{identity}')"
    )
}

/// Says what a role needs that may not make the tables.
fn explain(schema: &str, fault: PostgresFault) -> PostgresFault {
    let denied = |error: &Error| error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
    match fault {
        PostgresFault::Server(error) if denied(&error) => PostgresFault::Refused {
            problem: format!(
                "the role may not make the schema `{schema}` and its tables: have somebody who \
                 may run `CREATE SCHEMA {schema} AUTHORIZATION ROLE`, with the role of `store`"
            ),
            source: Some(error.into()),
        },
        fault => fault,
    }
}
