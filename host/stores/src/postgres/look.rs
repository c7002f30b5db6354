//! A look at the cluster: what has changed, by one statement, at one moment.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_postgres::{Row, types::Type};

use super::{fault::PostgresFault, pool::PostgresPool, transaction::PostgresTransaction};
use crate::{Roster, foreign_candidate::shell_quote, observed_leases::ObservedLease};
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId};

/// What one look has seen.
pub(super) struct Look {
    /// The roster's revision.
    pub(super) revision: i64,
    /// The revision of the queued calls.
    pub(super) queue_revision: i64,
    /// All leases of the cluster.
    pub(super) leases: Vec<ObservedLease>,
    /// The roster, if it is not the one that was known.
    pub(super) roster: Option<Roster>,
    /// What to compare the next roster with.
    pub(super) mark: RosterMark,
}

/// What tells one roster from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RosterMark {
    /// It rises with every change that soloist makes.
    revision: i64,
    /// The number of candidates, plus their create revisions: another one if people have removed
    /// some by hand. Their successors see that at once, so they must.
    candidates: i64,
}

impl RosterMark {
    /// That of no roster.
    const NONE: Self = Self { revision: -1, candidates: -1 };
}

/// The kinds of rows that a look reads, in the order of the statement below.
const REVISIONS: i32 = 0;
const LEASE: i32 = 1;
const CANDIDATE: i32 = 2;
const MEMBER: i32 = 3;
const NOTE: i32 = 4;
const CANDIDATES: i32 = 5;

/// `$2` and `$3` are the mark of the roster that is known.
const SQL: &str = "
    WITH marked AS (SELECT count(*) + coalesce(sum(create_revision), 0)::bigint AS candidates
                    FROM candidates WHERE cluster = $1),
         roster AS (SELECT revision, candidates, num_nonnulls(grace)::bigint AS grace,
                           revision <> $2 OR candidates <> $3 AS is_new
                    FROM rosters, marked WHERE cluster = $1)
    SELECT 0, roster.revision, queue.revision, grace, NULL::text, NULL::text
        FROM roster, call_queues AS queue WHERE cluster = $1
    UNION ALL
    SELECT 5, candidates, NULL, NULL, NULL, NULL FROM roster
    UNION ALL
    SELECT 1, lease, counter, ttl_ms, NULL, NULL FROM leases WHERE cluster = $1
    UNION ALL
    SELECT 2, create_revision, lease, NULL, grp, value
        FROM roster, candidates WHERE is_new AND cluster = $1
    UNION ALL
    SELECT 3, lease, NULL, NULL, name, value FROM roster, members WHERE is_new AND cluster = $1
    UNION ALL
    SELECT 4, NULL, NULL, NULL, name, value FROM roster, notes WHERE is_new AND cluster = $1";

impl Look {
    /// Looks over a connection of `pool`. `known`: the mark of the roster that is known, if the
    /// roster is to be read only if it has another one.
    pub(super) async fn take(
        pool: &Arc<PostgresPool>,
        known: Option<RosterMark>,
    ) -> Result<Self, PostgresFault> {
        let until = Instant::now() + pool.source().request_timeout;
        let RosterMark { revision, candidates } = known.unwrap_or(RosterMark::NONE);
        let params = [(&revision as _, Type::INT8), (&candidates as _, Type::INT8)];
        let rows = PostgresTransaction::read(pool, until, SQL, &params).await?;
        let mut look = Self {
            revision: 0,
            queue_revision: 0,
            leases: Vec::new(),
            roster: None,
            mark: RosterMark::NONE,
        };
        let mut roster = Roster::default();
        for row in &rows {
            look.add(row, &mut roster, pool)?;
        }
        (roster.revision, look.mark.revision) = (look.revision, look.revision);
        look.roster = Some(roster).filter(|_| Some(look.mark) != known);
        Ok(look)
    }

    /// The leases that exist.
    pub(super) fn lease_ids(&self) -> BTreeSet<LeaseId> {
        self.leases.iter().map(|lease| lease.lease).collect()
    }

    fn add(
        &mut self,
        row: &Row,
        roster: &mut Roster,
        pool: &PostgresPool,
    ) -> Result<(), PostgresFault> {
        match row.try_get::<_, i32>(0)? {
            REVISIONS => {
                (self.revision, self.queue_revision) = (row.try_get(1)?, row.try_get(2)?);
                roster.grace = row.try_get::<_, i64>(3)? > 0;
            }
            CANDIDATES => self.mark.candidates = row.try_get(1)?,
            LEASE => {
                let ttl: i64 = row.try_get(3)?;
                self.leases.push(ObservedLease {
                    lease: LeaseId(row.try_get(1)?),
                    counter: row.try_get(2)?,
                    ttl: Duration::from_millis(ttl.unsigned_abs()),
                });
            }
            CANDIDATE => {
                let (token, lease) = (FencingToken(row.try_get(1)?), LeaseId(row.try_get(2)?));
                let (group, value): (&str, &str) = (row.try_get(4)?, row.try_get(5)?);
                let key = leader_key(&Group::from(group), lease, token);
                roster.put_candidate(key, value.as_bytes(), || removal(pool, token));
            }
            MEMBER => {
                let (name, value): (&str, &str) = (row.try_get(4)?, row.try_get(5)?);
                roster.put_member(name, LeaseId(row.try_get(1)?), value.as_bytes());
            }
            NOTE => {
                let value: &str = row.try_get(5)?;
                roster.set_note(row.try_get(4)?, Some(value.as_bytes()));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The key of a candidate. Its name is only for people; the fencing token identifies it.
pub(super) fn leader_key(group: &Group, lease: LeaseId, fencing_token: FencingToken) -> LeaderKey {
    LeaderKey::new(group.clone(), format!("{group}/{lease}"), lease, fencing_token.0)
}

/// The command that deletes a candidate.
fn removal(pool: &PostgresPool, fencing_token: FencingToken) -> String {
    let source = pool.source();
    let (schema, cluster) = (source.access.schema(), &source.cluster);
    let sql = format!(
        "DELETE FROM {schema}.candidates USING {schema}.clusters \
         WHERE candidates.cluster = clusters.cluster AND name = '{}' \
         AND create_revision = {fencing_token}",
        cluster.replace('\'', "''")
    );
    let url = source.access.url_without_login();
    format!("psql {} -c {}", shell_quote(url.as_bytes()), shell_quote(sql.as_bytes()))
}
