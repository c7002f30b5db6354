//! Requests between hosts: they need the hosts' token, and no other one will do.

use std::fs;

use reqwest::Client;

use super::*;
use crate::harness::{exit::UNAVAILABLE, guests};

crate::on_all_stores!(
    hosts_let_each_other_in_by_their_token,
    a_host_with_another_token_is_a_stranger,
);

impl Guarded {
    /// The settings of a host: the operators' token, and the hosts' token in this file.
    fn settings(&self, ops: &str, file: &str, more: &str) -> String {
        let work = guests().join("work.wasm");
        format!(
            "[action.work]\nplugin = \"{}\"\n{more}\n[api]\npeer_token = \"file:{file}\"\n\
             [api.tokens]\n{ops}\n",
            work.display()
        )
    }

    /// The answer of the web action at its own address on this host.
    async fn web(&self, host: &str) -> (u16, String) {
        let url = format!("http://{}/", self.addresses[host]);
        told(Client::new().get(url).timeout(PATIENCE)).await
    }
}

async fn hosts_let_each_other_in_by_their_token(kind: Kind) {
    let mut guarded = Guarded::new(kind).await;
    let ops = guarded.token("ops", "operate").await;
    guarded.token("hosts", "operate").await;
    guarded.show("ops.token");
    let settings = guarded.settings(&ops, "hosts.token", "require_label = \"at=a\"");
    guarded.pair(&settings).await;
    // Requests to an action's address need no token.
    for host in ["a", "b"] {
        assert_eq!(guarded.web(host).await, (200, "I am server a\n".to_owned()), "{host}");
    }
    // Calls of tasks, runs of jobs, commands.
    guarded.done("b", &["task", "call", "work", "who"], "a work 1").await;
    guarded.done("b", &["switchover", "--to", "b"], "b leads main now").await;
    guarded.agrees("a", |status| status["groups"]["main"]["leader"] == "b").await;
    assert_eq!(guarded.web("a").await, (200, "I am server b\n".to_owned()));
    // The hosts' token appears in no log.
    let token = fs::read_to_string(guarded.file("hosts.token")).unwrap();
    for host in ["a", "b"] {
        assert!(!guarded.cluster.host(host).log.to_string().contains(token.trim()));
        let status = guarded.ask(host, &["status", "--json"]).await;
        assert!(!status.output.contains(token.trim()), "{}", status.output);
    }
}

async fn a_host_with_another_token_is_a_stranger(kind: Kind) {
    let mut guarded = Guarded::new(kind).await;
    let ops = guarded.token("ops", "operate").await;
    guarded.token("hosts", "operate").await;
    guarded.token("others", "operate").await;
    guarded.show("ops.token");
    let settings = guarded.settings(&ops, "hosts.token", "require_label = \"at=a\"");
    guarded.start("a", &settings);
    guarded.cluster.leading("a").await;
    let settings = guarded.settings(&ops, "others.token", "require_label = \"at=a\"");
    guarded.start("b", &settings);
    guarded.agrees("b", |status| status["groups"]["main"]["leader"] == "a").await;
    let (code, text) = guarded.web("b").await;
    assert!(code == 502 && text.contains("`peer_token`"), "{code} {text}");
    let refused = guarded.ask("b", &["task", "call", "work", "who"]).await;
    assert_eq!(refused.status.code(), Some(UNAVAILABLE), "{}", refused.output);
    assert!(refused.output.contains("`peer_token`"), "{}", refused.output);
    let refused = guarded.ask("b", &["switchover"]).await;
    assert_eq!(refused.status.code(), Some(UNAVAILABLE), "{}", refused.output);
    assert!(refused.output.contains("`peer_token`"), "{}", refused.output);
}
