//! An example of a status, and its JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;

/// Host `a` of two, which leads; `web` has failed once.
pub(crate) fn example() -> Status {
    let member = |name: &str| KnownHostEntry {
        name: name.into(),
        url: format!("http://{name}:4000"),
        labels: BTreeMap::from([("size".into(), "big".into())]),
        tasks: BTreeSet::new(),
        joined_at: "2023-11-14T22:13:20.000Z".into(),
        live: Some(name == "a"),
        first_seen_at: Some("2023-11-14T22:13:20.000Z".into()),
        last_seen_at: (name != "a").then(|| "2023-11-14T22:14:20.000Z".into()),
        drained: None,
        version: "0.1.0".into(),
    };
    let group = GroupEntry {
        leader: Some("a".into()),
        last_known_leader: None,
        leader_url: Some("http://a:4000".into()),
        fencing_token: Some(17),
        next_leader: None,
        standbys: Vec::new(),
        role: GroupRole::Leader,
        leading_since: Some("2023-11-14T22:15:00.250Z".into()),
        unproclaimed: None,
        deadline_in_ms: Some(4150),
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
            warnings: Vec::new(),
            clock: None,
        },
        store: StoreEntry {
            label: "sqlite soloist.db".into(),
            state: StoreState::Ok,
            last_error: None,
            current: true,
            seen_at: None,
        },
        groups: BTreeMap::from([("main".into(), group)]),
        hosts: vec![member("a"), member("b")],
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
            "joined_at": "2023-11-14T22:13:20.000Z", "live": live, "version": "0.1.0",
            "first_seen_at": "2023-11-14T22:13:20.000Z", "last_seen_at": seen, "drained": null,
        })
    };
    let expected = json!({
        "cluster": "demo",
        "host": { "name": "a", "listen": "127.0.0.1:4000", "version": "0.1.0" },
        "store": { "label": "sqlite soloist.db", "state": "ok", "last_error": null,
            "current": true, "seen_at": null },
        "groups": {
            "main": {
                "leader": "a", "leader_url": "http://a:4000", "fencing_token": 17, "next_leader": null,
                "standbys": [], "role": "leader", "leading_since": "2023-11-14T22:15:00.250Z",
                "deadline_in_ms": 4150, "obstacle": null,
                "strategy": "longest-running", "paused": null,
            },
        },
        "hosts": [member("a", "http://a:4000", true), member("b", "http://b:4000", false)],
        "actions": [{
            "name": "web", "kind": "http", "group": "main", "state": "running",
            "plugin": "web.wasm", "sha256": "ab12", "restarts": 1,
            "listen": "127.0.0.1:3000", "tls": false, "path": "/", "paths": ["/"], "last_error": "unreachable executed",
        }],
    });
    assert_eq!(serde_json::to_value(example()).unwrap(), expected);
    assert_eq!(serde_json::from_value::<Status>(expected).unwrap(), example());
}
