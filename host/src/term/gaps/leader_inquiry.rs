//! Asks hosts whether they lead that head a queue and have not written so.
//!
//! A store that is full lets a host win, since a leader before it may still delete its key, and
//! refuses what the host writes of it afterwards. Then only that host itself knows that it leads.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use futures::future::join_all;

use crate::cluster::{OwnTerms, PeerAddress, PeerClient};
use soloist_heart::{Group, LeaderKey, clock::BootTime};
use soloist_stores::{Candidate, QueuedCandidate, ThisHost};
use soloist_text::with_reason;

/// How many hosts are asked at once, which answer within a second or count as silent.
const ASKED_MAX: usize = 16;

/// A term whose host says that it leads, and has not written so into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnproclaimedTerm {
    /// The host that leads.
    pub host: String,
    /// The key of its term.
    pub key: LeaderKey,
    /// What its calls to the store fail by, if it says so.
    pub store_error: Option<String>,
}

impl fmt::Display for UnproclaimedTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leads = format!("{} says that it leads, and could not write so", self.host);
        f.write_str(&with_reason(&leads, self.store_error.as_deref().unwrap_or_default()))
    }
}

/// Knows which silent heads of queues perform all the same.
pub(super) struct LeaderInquiry {
    host: ThisHost,
    peers: PeerClient,
    /// The time from one question to the next.
    every: Duration,
    asked_at: BootTime,
    terms: BTreeMap<Group, UnproclaimedTerm>,
}

impl LeaderInquiry {
    /// Nobody was asked yet by `host`.
    pub(super) fn new(host: ThisHost, peers: PeerClient, every: Duration) -> Self {
        Self { host, peers, every, asked_at: BootTime::ZERO, terms: BTreeMap::new() }
    }

    /// The term under `key`, if its host has said that it leads.
    pub(super) fn term(&self, key: &LeaderKey) -> Option<&UnproclaimedTerm> {
        self.terms.get(&key.group).filter(|term| term.key == *key)
    }

    /// Asks the hosts of these `silent` heads of queues, unless that was done lately.
    pub(super) async fn ask(&mut self, silent: &[QueuedCandidate]) {
        let now = BootTime::now();
        if silent.is_empty() || now.since(self.asked_at) < self.every {
            return;
        }
        self.asked_at = now;
        let others = silent.iter().map(|head| &head.candidate);
        let others = others.filter(|head| self.host.is_other(*head));
        let urls: BTreeSet<_> = others.map(|head| (&*head.host, &*head.url)).collect();
        let (peers, name) = (&self.peers, self.host.name());
        let asked = urls.into_iter().take(ASKED_MAX).map(|(host, url)| async move {
            Some((host, peers.own_terms(PeerAddress { host, url }, name).await?))
        });
        let answers: BTreeMap<&str, OwnTerms> =
            join_all(asked).await.into_iter().flatten().collect();
        let leads = |head: &&QueuedCandidate| {
            let Candidate { host, .. } = &head.candidate;
            answers.get(&**host).is_some_and(|terms| terms.include(&head.key))
        };
        let term = |head: &QueuedCandidate| {
            let (host, key) = (head.candidate.host.clone(), head.key.clone());
            let store_error = answers.get(&*host).and_then(|terms| terms.store_error.clone());
            (key.group.clone(), UnproclaimedTerm { host, key, store_error })
        };
        self.terms = silent.iter().filter(leads).map(term).collect();
    }
}
