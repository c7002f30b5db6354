//! What a host reports about itself, through its control API.

use std::time::Duration;

use serde_json::Value;
use soloist_devtools::http;

use super::host::{Host, PORT};

/// The time-out of a request.
const PATIENCE: Duration = Duration::from_millis(500);

/// The parts of a host's status that the bench checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) leads: bool,
    /// Whether it leads or is a candidate with a session, and may lead again.
    pub(super) stands: bool,
    /// The leader that it knows.
    pub(super) leader: Option<String>,
    pub(super) fencing_token: Option<u64>,
    /// The standbys that it knows, the next leader first.
    pub(super) standbys: Vec<String>,
    /// The hosts that it knows, including those that are stopped.
    pub(super) hosts: Vec<String>,
    /// The reason why it does not stand.
    pub(super) obstacle: Option<String>,
    /// The reason why the store refuses its writes.
    pub(super) store_error: Option<String>,
    /// The reason why no host leads.
    pub(super) leaderless: Option<String>,
    /// For each key in the queue that belongs to no host: the command that removes it.
    pub(super) removals: Vec<String>,
}

impl Host {
    /// The host's status, if it answers.
    pub(super) fn status(&self) -> Option<Status> {
        let answer = http::get(self.node.client(PORT), "/v1/status", PATIENCE)?;
        Status::read(&serde_json::from_str(&answer.body).ok()?)
    }

    /// The reason why it is not ready, if it reports one.
    pub(super) fn why_not_ready(&self) -> Option<String> {
        let answer = http::get(self.node.client(PORT), "/readyz", PATIENCE)?;
        (answer.status != 200).then_some(answer.body)
    }

    /// For how many seconds there has been no leader, by its metrics.
    pub(super) fn leaderless_seconds(&self) -> Option<f64> {
        self.measured("soloist_leaderless_seconds{group=\"main\"}")
    }

    /// How many threads are busy with files of the action `files`.
    pub(super) fn file_threads(&self) -> Option<f64> {
        self.measured("soloist_blocking_threads{action=\"files\"}")
    }

    fn measured(&self, name: &str) -> Option<f64> {
        let answer = http::get(self.node.client(PORT), "/metrics", PATIENCE)?;
        answer.body.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }
}

impl Status {
    fn read(status: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let group = &status["groups"]["main"];
        let store = &status["store"];
        let role = group["role"].as_str()?;
        let obstacle = text(&group["obstacle"]);
        let hosts = list(&status["hosts"]).iter();
        let hosts = hosts.filter(|host| host["live"] == true && !host["first_seen_at"].is_null());
        Some(Self {
            leads: role == "leader",
            stands: matches!(role, "leader" | "standby" | "next")
                && obstacle.is_none()
                && store["state"] == "ok",
            leader: text(&group["leader"]),
            fencing_token: group["fencing_token"].as_u64(),
            standbys: list(&group["standbys"]).iter().filter_map(text).collect(),
            hosts: hosts.filter_map(|host| text(&host["name"])).collect(),
            obstacle,
            store_error: text(&store["last_error"]),
            leaderless: text(&group["leaderless"]["why"]),
            removals: list(&group["strangers"])
                .iter()
                .filter_map(|it| text(&it["remove"]))
                .collect(),
        })
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_read() {
        let host = |name, live| json!({"name": name, "live": live, "first_seen_at": "2026"});
        let status = json!({
            "groups": {"main": {
                "role": "next", "leader": "a", "fencing_token": 7, "standbys": ["b", "c"],
                "strangers": [{"key": "x", "remove": "etcdctl del x"}],
            }},
            "hosts": [host("a", true), host("b", false), {"name": "c", "live": true}],
            "store": {"state": "ok", "last_error": null},
        });
        let read = Status::read(&status).unwrap();
        assert!(read.stands && !read.leads);
        assert_eq!((read.leader.as_deref(), read.fencing_token), (Some("a"), Some(7)));
        assert_eq!((read.standbys, read.hosts), (vec!["b".into(), "c".into()], vec!["a".into()]));
        assert_eq!(read.removals, ["etcdctl del x"]);
        assert_eq!(read.leaderless, None);
    }
}
