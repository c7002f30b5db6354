//! Reading the content of the file, without judging leases by the clock.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::sqlite_fault::SqliteFault;
use crate::{
    Roster, foreign_candidate::shell_quote, identity::ObservedStore, observed_leases::ObservedLease,
};
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId, clock::BootTime};

/// The position of a candidate in its group's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CandidatePosition {
    /// It is the first and leads.
    First,
    /// Others are ahead of it, or nobody may lead during a grace period.
    Behind,
    /// It is no longer in the queue.
    Gone,
}

/// The position of the candidate of `fencing_token`.
pub(super) fn candidate_position(
    connection: &Connection,
    fencing_token: FencingToken,
) -> Result<CandidatePosition, SqliteFault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM candidates AS other
                              WHERE other.cluster = own.cluster AND other.grp = own.grp
                                AND other.create_revision < own.create_revision)
                   OR EXISTS (SELECT 1 FROM raises WHERE grace IS NOT NULL)
               FROM candidates AS own WHERE create_revision = ?1";
    let behind = connection
        .prepare_cached(sql)?
        .query_row([fencing_token.0], |row| row.get(0))
        .optional()?;
    Ok(match behind {
        None => CandidatePosition::Gone,
        Some(true) => CandidatePosition::Behind,
        Some(false) => CandidatePosition::First,
    })
}

/// Whether `lease` is in the file.
pub(super) fn knows(connection: &Connection, lease: LeaseId) -> Result<bool, SqliteFault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM leases WHERE id = ?1)";
    Ok(connection.prepare_cached(sql)?.query_row([lease.0], |row| row.get(0))?)
}

/// When the first lease of the clock `boot` expires; [`BootTime::NEVER`] if there is none.
pub(super) fn first_expiry(connection: &Connection, boot: &str) -> Result<BootTime, SqliteFault> {
    let sql = "SELECT min(expires) FROM leases WHERE boot = ?1";
    let first: Option<i64> = connection.prepare_cached(sql)?.query_row([boot], |row| row.get(0))?;
    Ok(first.map_or(BootTime::NEVER, |at| BootTime::from_nanos(at.unsigned_abs())))
}

/// The leases of clocks other than `boot`: of an earlier boot, of another time namespace, or of
/// another machine that shares the file. Their expiry means nothing on this clock, but changes with
/// every renewal, so they are observed.
pub(super) fn foreign_leases(
    connection: &Connection,
    boot: &str,
) -> Result<Vec<ObservedLease>, SqliteFault> {
    let sql = "SELECT id, expires, ttl FROM leases WHERE boot <> ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let stranger = |row: &Row<'_>| {
        let ttl = Duration::from_nanos(row.get::<_, i64>(2)?.unsigned_abs());
        Ok(ObservedLease { lease: LeaseId(row.get(0)?), counter: row.get(1)?, ttl })
    };
    Ok(statement.query_map([boot], stranger)?.collect::<Result<_, _>>()?)
}

/// The store's identity, its revision, which counts changes of the roster and of state, and how
/// often its fencing tokens were raised.
pub(super) fn observed_store(connection: &Connection) -> Result<ObservedStore, SqliteFault> {
    let sql = "SELECT revision + version, (SELECT identity FROM identity), count
               FROM counter, versions, raises";
    // The revision itself is raised, so there is no floor.
    let look = |row: &Row<'_>| {
        let (revision, identity, raises) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(ObservedStore { identity, revision, floor: 0, raises })
    };
    Ok(connection.prepare_cached(sql)?.query_row([], look)?)
}

/// The entry of the member `name`, and the lease of its session.
pub(super) fn member(
    tx: &Transaction<'_>,
    cluster: &str,
    name: &str,
) -> Result<Option<(LeaseId, String)>, SqliteFault> {
    let sql = "SELECT lease, value FROM members WHERE cluster = ?1 AND name = ?2";
    let entry = |row: &Row<'_>| Ok((LeaseId(row.get(0)?), row.get(1)?));
    Ok(tx.prepare_cached(sql)?.query_row([cluster, name], entry).optional()?)
}

/// The content of a note.
pub(super) fn note(
    tx: &Transaction<'_>,
    cluster: &str,
    name: &str,
) -> Result<Option<Vec<u8>>, SqliteFault> {
    let sql = "SELECT value FROM notes WHERE cluster = ?1 AND name = ?2";
    Ok(tx.prepare_cached(sql)?.query_row([cluster, name], |row| row.get(0)).optional()?)
}

/// The cluster at one revision; this must be read within one transaction.
pub(super) fn roster(tx: &Transaction<'_>, cluster: &str) -> Result<Roster, SqliteFault> {
    let sql = "SELECT revision, grace IS NOT NULL FROM counter, raises";
    let mut roster = tx.prepare_cached(sql)?.query_row([], |row| {
        Ok(Roster { revision: row.get(0)?, grace: row.get(1)?, ..Roster::default() })
    })?;
    candidates(tx, cluster, &mut roster)?;
    members(tx, cluster, &mut roster)?;
    notes(tx, cluster, &mut roster)?;
    Ok(roster)
}

fn candidates(tx: &Transaction<'_>, cluster: &str, to: &mut Roster) -> Result<(), SqliteFault> {
    // A candidate without a lease was put there by hand.
    let sql = "SELECT grp, coalesce(leases.id, 0), create_revision, value
               FROM candidates LEFT JOIN leases ON leases.id = lease
               WHERE cluster = ?1 ORDER BY create_revision";
    let mut candidates = tx.prepare_cached(sql)?;
    let mut rows = candidates.query([cluster])?;
    while let Some(row) = rows.next()? {
        let (group, value): (String, String) = (row.get(0)?, row.get(3)?);
        let key =
            leader_key(&Group::from(&*group), LeaseId(row.get(1)?), FencingToken(row.get(2)?));
        let fencing_token = key.fencing_token;
        to.put_candidate(key, value.as_bytes(), || removal(tx, fencing_token));
    }
    Ok(())
}

/// The command that deletes a candidate.
fn removal(file: &Connection, fencing_token: FencingToken) -> String {
    let path = shell_quote(file.path().unwrap_or_default().as_bytes());
    format!("sqlite3 {path} 'DELETE FROM candidates WHERE create_revision = {fencing_token}'")
}

/// The key of a candidate. Its name is only for people; the fencing token identifies it.
pub(super) fn leader_key(group: &Group, lease: LeaseId, fencing_token: FencingToken) -> LeaderKey {
    LeaderKey::new(group.clone(), format!("{group}/{lease}"), lease, fencing_token.0)
}

fn members(tx: &Transaction<'_>, cluster: &str, to: &mut Roster) -> Result<(), SqliteFault> {
    let sql = "SELECT name, coalesce(leases.id, 0), value
               FROM members LEFT JOIN leases ON leases.id = lease WHERE cluster = ?1";
    let mut members = tx.prepare_cached(sql)?;
    let mut rows = members.query([cluster])?;
    while let Some(row) = rows.next()? {
        let (name, value): (String, String) = (row.get(0)?, row.get(2)?);
        to.put_member(&name, LeaseId(row.get(1)?), value.as_bytes());
    }
    Ok(())
}

fn notes(tx: &Transaction<'_>, cluster: &str, to: &mut Roster) -> Result<(), SqliteFault> {
    let mut notes = tx.prepare_cached("SELECT name, value FROM notes WHERE cluster = ?1")?;
    let mut rows = notes.query([cluster])?;
    while let Some(row) = rows.next()? {
        let (name, value): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        to.set_note(&name, Some(&value));
    }
    Ok(())
}
