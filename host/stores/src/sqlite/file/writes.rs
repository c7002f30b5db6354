//! Writing sessions, candidates, members and notes.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{SqliteFile, next_revision, signed};
use crate::{
    Lease,
    sqlite::{reads, sqlite_fault::SqliteFault},
};
use soloist_heart::{FencingToken, Group, LeaseId, clock::BootTime};

/// The create revision of a rehearsal's candidate.
const REHEARSAL: FencingToken = FencingToken(-1);

impl SqliteFile {
    pub(in super::super) fn grant(&mut self, ttl: Duration) -> Result<Lease, SqliteFault> {
        let boot = self.boot.clone();
        let id = self.write(|tx, _| grant(tx, ttl, &boot))?;
        self.granted.push(id);
        Ok(Lease { id, ttl })
    }

    fn forget_lease(&mut self, lease: LeaseId) {
        self.granted.retain(|granted| *granted != lease);
    }

    /// Whether the session of `lease` was granted through this connection and not given back.
    pub(in super::super) fn has_granted(&self, lease: LeaseId) -> bool {
        self.granted.contains(&lease)
    }

    /// Nobody is notified: a process that finds a lease close to its end looks again by then.
    pub(in super::super) fn renew(&mut self, lease: LeaseId) -> Result<Duration, SqliteFault> {
        let renew = |tx: &Transaction<'_>, now| {
            let sql = "UPDATE leases SET expires = ?2 + ttl WHERE id = ?1 RETURNING ttl";
            let ttl: Option<i64> = tx
                .prepare_cached(sql)?
                .query_row(params![lease.0, signed(now)], |row| row.get(0))
                .optional()?;
            ttl.map(span).ok_or(SqliteFault::LeaseGone)
        };
        let renewed = self.retry_if_full(|file| file.transact(renew));
        if matches!(renewed, Err(SqliteFault::LeaseGone)) {
            self.forget_lease(lease);
        }
        renewed.map(|(ttl, _)| ttl)
    }

    pub(in super::super) fn revoke(&mut self, lease: LeaseId) -> Result<(), SqliteFault> {
        self.forget_lease(lease);
        self.write(|tx, _| {
            if tx.execute("DELETE FROM leases WHERE id = ?1", [lease.0])? > 0 {
                next_revision(tx)?;
            }
            Ok(())
        })
    }

    /// Adds a candidate to the queue, or finds it there. Returns its fencing token.
    pub(in super::super) fn stand(
        &mut self,
        group: &Group,
        lease: LeaseId,
        value: &str,
    ) -> Result<FencingToken, SqliteFault> {
        let cluster = self.cluster.clone();
        self.write(|tx, _| {
            must_live(tx, lease)?;
            let sql = "INSERT INTO candidates (create_revision, cluster, grp, lease, value)
                       VALUES (?1, ?2, ?3, ?4, ?5)
                       ON CONFLICT (cluster, grp, lease) DO UPDATE SET value = ?5
                       RETURNING create_revision";
            let row = params![next_revision(tx)?, cluster, group.as_str(), lease.0, value];
            Ok(FencingToken(tx.prepare_cached(sql)?.query_row(row, |row| row.get(0))?))
        })
    }

    /// Replaces a candidate's entry.
    pub(in super::super) fn proclaim(
        &mut self,
        fencing_token: FencingToken,
        value: &str,
    ) -> Result<(), SqliteFault> {
        self.write(|tx, _| {
            let sql = "UPDATE candidates SET value = ?2 WHERE create_revision = ?1";
            if tx.execute(sql, params![fencing_token.0, value])? == 0 {
                return Err(SqliteFault::NotLeader);
            }
            next_revision(tx).map(drop)
        })
    }

    /// Removes a candidate from the queue, if it is still there.
    pub(in super::super) fn withdraw(
        &mut self,
        fencing_token: FencingToken,
    ) -> Result<(), SqliteFault> {
        self.write(|tx, _| {
            if tx.execute("DELETE FROM candidates WHERE create_revision = ?1", [fencing_token.0])?
                > 0
            {
                next_revision(tx)?;
            }
            Ok(())
        })
    }

    /// Adds a candidate to the queue and removes it again within one transaction, with a create
    /// revision that no other candidate has. It needs the same from the disk as a campaign does,
    /// and nobody sees it.
    pub(in super::super) fn rehearse(
        &mut self,
        group: &Group,
        lease: LeaseId,
    ) -> Result<(), SqliteFault> {
        self.write_silently(|tx, cluster| {
            must_live(tx, lease)?;
            let sql = "INSERT INTO candidates (create_revision, cluster, grp, lease, value)
                       VALUES (?1, ?2, ?3, ?4, ?5)";
            // This host's real candidate may already be in the group's queue, so use another group
            // name.
            let group = format!("\0{group}");
            tx.execute(sql, params![REHEARSAL.0, cluster, group, lease.0, " ".repeat(256)])?;
            tx.execute("UPDATE counter SET revision = revision", [])?;
            tx.execute("DELETE FROM candidates WHERE create_revision = ?1", [REHEARSAL.0])?;
            Ok(())
        })
    }

    /// Writes a member's entry if `may` allows it, which is given the cluster's name, and the lease
    /// and value of the existing entry.
    pub(in super::super) fn join(
        &mut self,
        lease: LeaseId,
        name: &str,
        value: &str,
        may: impl FnOnce(&Transaction<'_>, &str, Option<(LeaseId, String)>) -> Result<(), SqliteFault>,
    ) -> Result<(), SqliteFault> {
        let cluster = self.cluster.clone();
        self.write(|tx, _| {
            must_live(tx, lease)?;
            may(tx, &cluster, reads::member(tx, &cluster, name)?)?;
            let sql = "INSERT INTO members (cluster, name, lease, value) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT (cluster, name) DO UPDATE SET lease = ?3, value = ?4";
            tx.execute(sql, params![cluster, name, lease.0, value])?;
            next_revision(tx).map(drop)
        })
    }

    pub(in super::super) fn note(&mut self, name: &str, value: &[u8]) -> Result<(), SqliteFault> {
        let cluster = self.cluster.clone();
        self.write(|tx, _| {
            let sql = "INSERT INTO notes (cluster, name, value) VALUES (?1, ?2, ?3)
                       ON CONFLICT (cluster, name) DO UPDATE SET value = ?3";
            tx.execute(sql, params![cluster, name, value])?;
            next_revision(tx).map(drop)
        })
    }

    /// Returns whether the note existed.
    pub(in super::super) fn erase(&mut self, name: &str) -> Result<bool, SqliteFault> {
        let cluster = self.cluster.clone();
        self.write(|tx, _| {
            let sql = "DELETE FROM notes WHERE cluster = ?1 AND name = ?2";
            let found = tx.execute(sql, params![cluster, name])? > 0;
            if found {
                next_revision(tx)?;
            }
            Ok(found)
        })
    }
}

/// Grants a lease on the clock `boot`, which is this process's.
pub(in super::super) fn grant(
    tx: &Transaction<'_>,
    ttl: Duration,
    boot: &str,
) -> Result<LeaseId, SqliteFault> {
    // The id is random, so that a lease of a removed file is never mistaken for one of the new
    // file.
    let sql = "INSERT INTO leases (id, ttl, expires, boot)
               VALUES (abs(random() % 9007199254740991) + 1, ?1, ?2, ?3) RETURNING id";
    let row = params![nanos(ttl), signed(BootTime::now() + ttl), boot];
    Ok(LeaseId(tx.prepare_cached(sql)?.query_row(row, |row| row.get(0))?))
}

pub(in super::super) fn must_live(tx: &Transaction<'_>, lease: LeaseId) -> Result<(), SqliteFault> {
    if reads::knows(tx, lease)? { Ok(()) } else { Err(SqliteFault::LeaseGone) }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

fn span(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.unsigned_abs())
}
