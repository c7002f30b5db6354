//! The JSON of `GET /v1/status`, for the server and for `soloist status`.
//!
//! Times are RFC 3339 in UTC. What is unknown is `null`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// A host and what it knows of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The cluster's name.
    pub cluster: String,
    /// The host that answers.
    pub host: HostEntry,
    /// Its store.
    pub store: StoreEntry,
    /// The groups that have actions here or candidates anywhere, by name.
    pub groups: BTreeMap<String, GroupEntry>,
    /// The present and past hosts, by name.
    pub members: Vec<MemberEntry>,
    /// The hosts that were removed by a person, by name, with who did it and why. None of them
    /// can join before it is admitted again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub removed: BTreeMap<String, String>,
    /// The actions of this host, by name.
    pub actions: Vec<ActionEntry>,
}

/// The host that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEntry {
    /// Its name.
    pub name: String,
    /// The address of its control API.
    pub listen: String,
    /// The version of soloist that it runs.
    pub version: String,
    /// Why it cannot be a member, and so stands for no election.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
    /// A warning that does not keep the host from anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What seems wrong with its wall clock, compared with other hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
}

/// The store, as this host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreEntry {
    /// The address of the store, without secrets.
    pub label: String,
    /// Whether this host has a session in it.
    pub state: StoreState,
    /// The error of the last failed call, until one succeeds; or the error that a campaign would
    /// meet; or how the store turned out to be a different one, while the host waits to be
    /// restarted for that reason.
    pub last_error: Option<String>,
    /// Whether what is shown of the cluster is the store's current state. If not, leaders and
    /// members are unknown.
    #[serde(default = "yes")]
    pub current: bool,
    /// When the store's state was last current, if it is not now.
    #[serde(default)]
    pub seen: Option<String>,
}

/// The default for hosts of a version without this field.
const fn yes() -> bool {
    true
}

/// The relation of a host to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreState {
    /// The session is open, and the store would accept a campaign.
    Ok,
    /// The session is open, but the store would accept no campaign, nor any other write.
    Unwritable,
    /// There is no session, so the host stands for no election.
    Lost,
}

/// A group, as this host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEntry {
    /// The host that leads; `None` if nobody does, or it is unknown (see
    /// [`StoreEntry::current`]).
    pub leader: Option<String>,
    /// The leader when it was last known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_known_leader: Option<String>,
    /// The URL of the leader's control API.
    pub leader_url: Option<String>,
    /// The fencing token of the current term.
    pub token: Option<i64>,
    /// The host that is next in line.
    pub heir: Option<String>,
    /// The hosts on standby in the order in which they would become leader, the heir first.
    #[serde(default)]
    pub standbys: Vec<String>,
    /// The role of this host.
    pub role: GroupRole,
    /// Since when the current leader leads.
    pub since: Option<String>,
    /// How long this host may lead without another renewal, in milliseconds; only the leader
    /// knows.
    pub lease_remaining_ms: Option<u64>,
    /// Why this host does not stand for election here.
    pub obstacle: Option<String>,
    /// The strategy by which this host prefers leaders.
    #[serde(default)]
    pub strategy: String,
    /// Who paused or froze it, and why.
    #[serde(default)]
    pub paused: Option<String>,
    /// The hosts whose settings differ from this host's in whether the group is spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread_differs: Option<String>,
    /// Since when nobody performs, and why; `None` while somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaderless: Option<LeaderlessEntry>,
    /// The keys in its queue that belong to no host, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strangers: Vec<StrangerEntry>,
}

/// A group in which nobody performs, as far as this host knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderlessEntry {
    /// Since when nobody performs.
    pub since: String,
    /// Why, and what to do about it.
    pub why: String,
    /// The key that heads the queue, if there is one.
    pub key: Option<String>,
    /// The lease of this key, as `etcdctl lease list` prints it.
    pub lease: Option<String>,
}

/// A key in a group's queue that soloist did not write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrangerEntry {
    /// Its name in the store.
    pub key: String,
    /// The lease of the key; without one it stays until it is removed.
    pub lease: Option<String>,
    /// When it was seen first.
    pub seen: String,
    /// The command that removes it.
    pub remove: String,
}

/// The role of a host in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupRole {
    /// It leads.
    Leader,
    /// Its term is ending.
    Draining,
    /// It is next in line.
    Heir,
    /// It is waiting in the queue.
    Standby,
    /// It does not stand for election.
    Out,
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberEntry {
    /// Its name.
    pub name: String,
    /// The URL of its control API.
    pub url: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The tasks that it accepts calls of.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tasks: BTreeSet<Arc<str>>,
    /// When it joined.
    pub joined: String,
    /// Whether its session is alive; `None` if unknown.
    pub live: Option<bool>,
    /// When it was first seen, if that was recorded.
    #[serde(default)]
    pub first_seen: Option<String>,
    /// When it was last seen, if its session is not alive.
    #[serde(default)]
    pub last_seen: Option<String>,
    /// Who drained it, and why.
    #[serde(default)]
    pub drained: Option<String>,
    /// The version of soloist that it runs.
    pub version: String,
}

/// An action of this host, or something in its plugins folder that could not become one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionEntry {
    /// Its name.
    pub name: String,
    /// Its kinds, as in `http+service`.
    pub kind: String,
    /// The group whose leader runs it.
    pub group: String,
    /// Its state on this host; `refused` if it could not become an action.
    pub state: String,
    /// The path of the plugin's file.
    pub plugin: String,
    /// The SHA-256 of the plugin's file, in hexadecimal.
    pub sha256: String,
    /// How often it was restarted in this term.
    pub restarts: u64,
    /// The address where it answers requests, if it does.
    pub listen: Option<String>,
    /// Whether that address uses TLS.
    #[serde(default)]
    pub tls: bool,
    /// Its path at that address; the shortest if it has several.
    pub path: Option<String>,
    /// All of its paths at that address.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Its latest error.
    pub last_error: Option<String>,
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// Host `a` of two, which leads; `web` has failed once.
    pub(crate) fn example() -> Status {
        let member = |name: &str| MemberEntry {
            name: name.into(),
            url: format!("http://{name}:4000"),
            labels: BTreeMap::from([("size".into(), "big".into())]),
            tasks: BTreeSet::new(),
            joined: "2023-11-14T22:13:20.000Z".into(),
            live: Some(name == "a"),
            first_seen: Some("2023-11-14T22:13:20.000Z".into()),
            last_seen: (name != "a").then(|| "2023-11-14T22:14:20.000Z".into()),
            drained: None,
            version: "0.1.0".into(),
        };
        let group = GroupEntry {
            leader: Some("a".into()),
            last_known_leader: None,
            leader_url: Some("http://a:4000".into()),
            token: Some(17),
            heir: None,
            standbys: Vec::new(),
            role: GroupRole::Leader,
            since: Some("2023-11-14T22:15:00.250Z".into()),
            lease_remaining_ms: Some(4150),
            obstacle: None,
            strategy: "longest-running".into(),
            paused: None,
            spread_differs: None,
            leaderless: None,
            strangers: Vec::new(),
        };
        let web = ActionEntry {
            name: "web".into(),
            kind: "http".into(),
            group: "main".into(),
            state: "running".into(),
            plugin: "web.wasm".into(),
            sha256: "ab12".into(),
            restarts: 1,
            listen: Some("127.0.0.1:3000".into()),
            tls: false,
            path: Some("/".into()),
            paths: vec!["/".into()],
            last_error: Some("unreachable executed".into()),
        };
        Status {
            cluster: "demo".into(),
            host: HostEntry {
                name: "a".into(),
                listen: "127.0.0.1:4000".into(),
                version: "0.1.0".into(),
                obstacle: None,
                warning: None,
                clock: None,
            },
            store: StoreEntry {
                label: "sqlite soloist.db".into(),
                state: StoreState::Ok,
                last_error: None,
                current: true,
                seen: None,
            },
            groups: BTreeMap::from([("main".into(), group)]),
            members: vec![member("a"), member("b")],
            removed: BTreeMap::new(),
            actions: vec![web],
        }
    }

    #[test]
    fn the_json_is_what_clients_rely_on() {
        let member = |name, url, live: bool| {
            let seen = (!live).then_some("2023-11-14T22:14:20.000Z");
            json!({
                "name": name, "url": url, "labels": { "size": "big" },
                "joined": "2023-11-14T22:13:20.000Z", "live": live, "version": "0.1.0",
                "first_seen": "2023-11-14T22:13:20.000Z", "last_seen": seen, "drained": null,
            })
        };
        let expected = json!({
            "cluster": "demo",
            "host": { "name": "a", "listen": "127.0.0.1:4000", "version": "0.1.0" },
            "store": { "label": "sqlite soloist.db", "state": "ok", "last_error": null,
                "current": true, "seen": null },
            "groups": {
                "main": {
                    "leader": "a", "leader_url": "http://a:4000", "token": 17, "heir": null,
                    "standbys": [], "role": "leader", "since": "2023-11-14T22:15:00.250Z",
                    "lease_remaining_ms": 4150, "obstacle": null,
                    "strategy": "longest-running", "paused": null,
                },
            },
            "members": [member("a", "http://a:4000", true), member("b", "http://b:4000", false)],
            "actions": [{
                "name": "web", "kind": "http", "group": "main", "state": "running",
                "plugin": "web.wasm", "sha256": "ab12", "restarts": 1,
                "listen": "127.0.0.1:3000", "tls": false, "path": "/", "paths": ["/"], "last_error": "unreachable executed",
            }],
        });
        assert_eq!(serde_json::to_value(example()).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Status>(expected).unwrap(), example());
    }
}
