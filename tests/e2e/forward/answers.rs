//! The answers of every host while one of them leads.

use std::{net::SocketAddr, time::Duration};

use reqwest::header::LOCATION;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{Forwarding, rest, told};
use crate::harness::{PATIENCE, cluster::Kind, guests, plugins};

crate::on_all_stores!(
    every_host_answers_what_the_leader_says,
    bodies_pass_in_both_directions,
    standbys_redirect_to_where_the_leader_answers,
    by_default_standbys_do_not_listen,
    clients_take_nothing_off_that_hosts_add,
    plugins_say_what_is_an_answer_and_nothing_for_hosts,
);

const FORWARD: &str = "standby = \"forward\"\n";

async fn every_host_answers_what_the_leader_says(kind: Kind) {
    let plugin = plugins().join("i-am-server.wasm");
    let all = Forwarding::of(kind, plugin, FORWARD, &["a", "b", "c"]).await;
    let page = (200, "a".to_owned(), "I am server a\n".to_owned());
    for name in ["a", "b", "c"] {
        assert_eq!(told(all.get(all.web(name, "/")).await).await, page, "{name}");
        let by_control = all.get(all.control(name, "/leader/web/").await).await;
        // A plugin's page does not get the policy of the control API's own pages.
        let policy = by_control.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("sandbox"), "{policy}");
        assert_eq!(told(by_control).await, page, "{name}");
        let status = all.cluster.host(name).status().await;
        assert_eq!(status["actions"][0]["listen"], all.addresses[name].to_string());
    }
    assert!(all.counted("b", "forwarded").await >= 2);
    assert_eq!(all.counted("a", "forwarded").await, 0);

    let unknown = told(all.get(all.control("b", "/leader/wep/").await).await).await;
    assert_eq!(unknown.0, 404);
    assert!(unknown.2.contains("no action wep") && unknown.2.contains("web"), "{}", unknown.2);
    foreign_pages_and_circles(&all).await;
}

/// Requests by other sites' pages, and requests that would be forwarded in a circle.
async fn foreign_pages_and_circles(all: &Forwarding) {
    for name in ["a", "b"] {
        let url = all.control(name, "/leader/web/").await;
        let foreign = all.client.post(url).header("sec-fetch-site", "cross-site");
        assert_eq!(told(foreign.send().await.unwrap()).await.0, 403, "{name}");
    }
    let via = async |name: &str, url: String| {
        let asked = all.client.get(url).header("soloist-via", name);
        told(asked.header("soloist-to", "y 1").send().await.unwrap()).await
    };
    let astray = "host b forwarded this to the leader y at the address that it advertises, which is \
                  b itself";
    let around = via("x, b", all.control("b", "/leader/web/").await).await;
    assert!(around.0 == 508 && around.2.contains(astray), "{around:?}");
    assert!(around.2.contains("set `host.advertise` on y"), "{around:?}");
    let back = via("x, a", all.control("b", "/leader/web/").await).await;
    assert!(
        back.0 == 508 && back.2.contains("host a forwarded this to the leader y at"),
        "{back:?}"
    );
    let far = via("v, w, x, y, z", all.control("b", "/leader/web/").await).await;
    assert!(far.0 == 508 && far.2.contains("passed 5 hosts"), "{far:?}");
    assert_eq!(via("x, y, z", all.control("b", "/leader/web/").await).await.0, 200);
    // At an action's own address, headers of clients are not trusted.
    assert_eq!(via("x, b", all.web("b", "/")).await.0, 200);
}

async fn bodies_pass_in_both_directions(kind: Kind) {
    let settings = "standby = \"forward\"\npath = \"/deep\"\n";
    let all = Forwarding::of(kind, guests().join("spin.wasm"), settings, &["a", "b"]).await;
    for name in ["a", "b"] {
        let seen = told(all.get(all.web(name, "/deep/where?x=1")).await).await;
        assert_eq!(seen.2, "/where?x=1 under /deep", "{name}");
        // More than is buffered of a body, and more than one write.
        let body: String = (0..200_000).map(|n| format!("{n}\n")).collect();
        let echoed = all.client.post(all.web(name, "/deep/echo")).body(body.clone());
        let echoed = echoed.send().await.unwrap();
        assert_eq!(echoed.status(), 200, "{name}");
        assert!(echoed.text().await.unwrap() == body, "{name} changed the body");

        let began = Instant::now();
        let mut slow = all.get(all.web(name, "/deep/slow-body")).await;
        let first = slow.chunk().await.unwrap().unwrap();
        // The whole body takes two seconds.
        assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
        assert!(first.starts_with(b"chunk 1\n") && !first.ends_with(b"chunk 20\n"), "{first:?}");
        let (pieces, whole) = rest(slow).await;
        assert!(whole && pieces.concat().ends_with(b"chunk 20\n"), "{pieces:?}");
        assert!(pieces.len() > 5, "it came at once, in {} pieces", pieces.len());
    }
}

async fn standbys_redirect_to_where_the_leader_answers(kind: Kind) {
    let plugin = plugins().join("i-am-server.wasm");
    let all = Forwarding::of(kind, plugin, "standby = \"redirect\"\n", &["a", "b"]).await;
    assert_eq!(told(all.get(all.web("a", "/x?y=z")).await).await.2, "I am server a\n");
    let away = all.get(all.web("b", "/x?y=z")).await;
    assert_eq!(away.status(), 307);
    let to = away.headers()[LOCATION].to_str().unwrap().to_owned();
    assert_eq!(to, all.control("a", "/leader/web/x?y=z").await);
    assert_eq!(told(all.get(to).await).await.2, "I am server a\n");
}

async fn by_default_standbys_do_not_listen(kind: Kind) {
    let plugin = plugins().join("i-am-server.wasm");
    let all = Forwarding::of(kind, plugin, "", &["a", "b"]).await;
    let nobody = TcpStream::connect(all.addresses["b"]).await;
    assert!(nobody.is_err(), "somebody listens");
    // The control address forwards all the same.
    let by_control = all.get(all.control("b", "/leader/web/").await).await;
    assert_eq!(told(by_control).await.2, "I am server a\n");
}

/// The answer to these lines of a request, up to the end of the connection.
async fn raw(to: SocketAddr, lines: &[&str]) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let mut answer = String::new();
    let asked = timeout(PATIENCE, async {
        stream.write_all((lines.join("\r\n") + "\r\n\r\n").as_bytes()).await?;
        stream.read_to_string(&mut answer).await
    });
    asked.await.expect("an end").unwrap();
    answer
}

async fn clients_take_nothing_off_that_hosts_add(kind: Kind) {
    let all = Forwarding::of(kind, guests().join("reach.wasm"), FORWARD, &["a", "b"]).await;
    let added = "x-forwarded-for, forwarded, x-forwarded-host, x-forwarded-proto";
    for name in ["b", "a"] {
        let to = all.addresses[name];
        for named in [
            format!("connection: close, {added}"),
            format!("Connection: close\r\nconnection: {}", added.to_uppercase()),
            format!("connection: close, {added}, host, Soloist-Asked, soloist-to, soloist-via"),
        ] {
            let lines =
                ["GET /seen HTTP/1.1", "host: example.com", "x-forwarded-for: 9.9.9.9", &named];
            let answer = raw(to, &lines).await;
            let lower = answer.to_ascii_lowercase();
            assert!(answer.contains("\r\n\r\n") && answer.contains("example.com\n"), "{answer}");
            for line in [
                "x-forwarded-host: example.com\n",
                "x-forwarded-proto: http\n",
                "forwarded: for=127.0.0.1;proto=http;host=\"example.com\"\n",
            ] {
                assert!(
                    lower.contains(line) || lower.contains(&line.replace('\n', ",")),
                    "{name} {named}: {answer}"
                );
            }
            let control = all.control("a", "").await;
            assert!(!answer.contains(control.trim_start_matches("http://")), "{name}: {answer}");
        }
        for lines in [
            &["GET /seen HTTP/1.1", "connection: close"][..],
            &["GET /seen HTTP/1.1", "connection: close", "host: a", "host: b"],
        ] {
            let answer = raw(to, lines).await;
            assert!(
                answer.contains(" 400 ") && answer.contains("send one `host` header"),
                "{answer}"
            );
        }
    }
}

async fn plugins_say_what_is_an_answer_and_nothing_for_hosts(kind: Kind) {
    let all = Forwarding::of(kind, guests().join("reach.wasm"), FORWARD, &["a", "b"]).await;
    for name in ["a", "b"] {
        for status in ["101", "100", "103"] {
            let said = format!("GET /say?{status} HTTP/1.1");
            let answer = raw(all.addresses[name], &[&said, "host: a", "connection: close"]).await;
            let refused = answer.starts_with("HTTP/1.1 502 ") && answer.contains(status);
            assert!(refused, "{name} {status}: {answer}");
        }
        let lying = "/say?200&soloist-unserved:not-begun&soloist-fencing-token:999&soloist-x:y";
        for url in [all.web(name, lying), all.control(name, &format!("/leader/web{lying}")).await] {
            let answer = all.get(url).await;
            assert_eq!(answer.status(), 200, "{name}");
            assert_eq!(answer.headers()["soloist-host"], "a", "{name}");
            assert_ne!(answer.headers()["soloist-fencing-token"], "999", "{name}");
            for said in ["soloist-unserved", "soloist-x"] {
                assert!(!answer.headers().contains_key(said), "{name} {said}");
            }
        }
        let page = "/leader/web/say?200&content-type:text/html&clear-site-data:*";
        let page = all.get(all.control(name, page).await).await;
        assert_eq!(page.headers()["x-content-type-options"], "nosniff", "{name}");
        assert!(!page.headers().contains_key("clear-site-data"), "{name}");
    }
}
