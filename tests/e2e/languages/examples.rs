//! The plugins in `examples/plugins`: what they answer, and that their state outlives the leader.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::json;

use super::{Caller, Cluster, Kind, answers, projects::variable, stands};

/// The component of an example.
pub(super) fn example(name: &str) -> PathBuf {
    PathBuf::from(variable("SOLOIST_TEST_EXAMPLES")).join(name).with_extension("wasm")
}

/// An example with state that host `a` serves.
async fn running(name: &str) -> Cluster {
    let mut cluster = Cluster::with_plugin(Kind::Sqlite, example(name)).await;
    cluster.start_with("a", "state = true\n");
    answers(&cluster, "a").await;
    cluster
}

/// Makes `b` the leader, and waits until it answers.
async fn change_leader(cluster: &mut Cluster) {
    cluster.start_with("b", "state = true\n");
    stands(cluster, "b").await;
    cluster.terminate("a").await;
    answers(cluster, "b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_on_under_the_next_leader() {
    let mut cluster = running("links").await;
    let web = Caller::of(&cluster);
    let made = web.call(Method::POST, "/", "https://example.com/a?b=c\n").await;
    assert_eq!((made.status.as_u16(), made.body.as_str()), (201, "/1\n"));
    assert_eq!(web.call(Method::POST, "/", "https://example.org/").await.location, "/2");
    for bad in ["", "example.com", "ftp://example.com", "https://a b", &"https://x".repeat(300)] {
        assert_eq!(web.call(Method::POST, "/", bad).await.status, 400, "{bad}");
    }
    assert_eq!(web.call(Method::PUT, "/1", "").await.status, 405);
    change_leader(&mut cluster).await;
    let link = web.get("/1").await;
    assert_eq!((link.status.as_u16(), &*link.location), (302, "https://example.com/a?b=c"));
    assert_eq!(web.get("/2?x").await.location, "https://example.org/");
    assert_eq!(web.get("/3").await.status, 404);
    assert_eq!(web.call(Method::POST, "/", "http://c").await.location, "/3", "it counts on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badge_counts_on_under_the_next_leader() {
    let mut cluster = running("badge").await;
    let web = Caller::of(&cluster);
    for views in ["1", "2"] {
        let badge = web.get("/my-page.svg").await;
        assert_eq!(badge.status, 200, "{}", badge.body);
        assert!(badge.body.contains(&format!("<title>my-page: {views}</title>")), "{}", badge.body);
    }
    for bad in
        ["/", "/my-page", "/.svg", "/<b>.svg", "/a.svgx", &format!("/{}.svg", "a".repeat(41))]
    {
        assert_eq!(web.get(bad).await.status, 404, "{bad}");
    }
    assert_eq!(web.call(Method::POST, "/my-page.svg", "").await.status, 405);
    change_leader(&mut cluster).await;
    let badge = web.get("/my-page.svg?now").await;
    assert!(badge.body.contains("<title>my-page: 3</title>"), "{}", badge.body);
    assert!(web.get("/other.svg").await.body.contains("<title>other: 1</title>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_take_in_what_both_leaders_were_told() {
    let mut cluster = running("stats").await;
    let web = Caller::of(&cluster);
    assert_eq!(web.get("/latency").await.status, 404);
    let added = web.call(Method::POST, "/latency", "12.5 13.1\n99").await;
    assert_eq!(added.json()["added"], 3, "{}", added.body);
    for bad in ["", "one two", "nan", "1e400"] {
        assert_eq!(web.call(Method::POST, "/latency", bad).await.status, 400, "{bad}");
    }
    assert_eq!(web.call(Method::POST, "/latency", &"1 ".repeat(10_001)).await.status, 413);
    let first = added.json()["fencing_token"].as_i64().expect("a fencing token");
    change_leader(&mut cluster).await;
    let added = web.call(Method::POST, "/latency", "12.8").await;
    assert!(added.json()["fencing_token"].as_i64() > Some(first), "{}", added.body);
    let expected = json!({
        "count": 4, "min": 12.5, "max": 99.0, "mean": 34.35, "median": 12.95, "p95": 86.115,
        "last": 12.8,
    });
    assert_eq!(web.get("/latency").await.json(), expected);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "its compiler is not at hand but in `cargo xtask ci`"]
async fn things_to_do_are_still_to_do_under_the_next_leader() {
    let mut cluster = running("todo").await;
    let web = Caller::of(&cluster);
    assert_eq!(web.get("/").await.json(), json!([]));
    let water = web.call(Method::POST, "/", "water the plants\n").await.json();
    assert_eq!((&water["id"], &water["text"]), (&json!(1), &json!("water the plants")));
    web.call(Method::POST, "/", "sing").await;
    for (method, path, body, status) in [
        (Method::POST, "/", " ", 400),
        (Method::PUT, "/x", "", 400),
        (Method::PUT, "/9", "", 404),
        (Method::DELETE, "/9", "", 404),
        (Method::PATCH, "/1", "", 405),
    ] {
        assert_eq!(web.call(method, path, body).await.status, status, "{path} {body}");
    }
    change_leader(&mut cluster).await;
    let ticked = web.call(Method::PUT, "/1", "").await.json();
    assert!(ticked["fencing_token"].as_i64() > water["fencing_token"].as_i64(), "{ticked}");
    assert_eq!(web.call(Method::DELETE, "/2", "").await.json()["text"], "sing");
    assert_eq!(web.get("/").await.json(), json!([ticked]));
    assert_eq!(web.call(Method::POST, "/", "rest").await.json()["id"], 3, "it counts on");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "its compiler is not at hand but in `cargo xtask ci`"]
async fn flags_stay_as_they_are_for_each_user() {
    let mut cluster = running("flags").await;
    let web = Caller::of(&cluster);
    for (name, percent) in [("none", 0), ("half", 50), ("all", 100)] {
        let settings = json!({ "percent": percent }).to_string();
        let set = web.call(Method::PUT, &format!("/{name}"), &settings).await;
        assert_eq!(set.status, 200, "{}", set.body);
    }
    for bad in ["", "{}", "{\"percent\": 101}", "{\"percent\": \"1\"}"] {
        assert_eq!(web.call(Method::PUT, "/half", bad).await.status, 400, "{bad}");
    }
    assert_eq!(web.get("/missing").await.status, 404);
    let half = on(&web, "half").await;
    assert_eq!(on(&web, "none").await, [false; 40]);
    assert_eq!(on(&web, "all").await, [true; 40]);
    assert!((5..=35).contains(&half.iter().filter(|on| **on).count()), "{half:?}");
    change_leader(&mut cluster).await;
    assert_eq!(on(&web, "half").await, half);
    web.call(Method::DELETE, "/none", "").await;
    assert_eq!(web.get("/").await.json(), json!({ "half": 50, "all": 100 }));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "its compiler is not at hand but in `cargo xtask ci`"]
async fn votes_count_on_under_the_next_leader() {
    let mut cluster = running("polls").await;
    let web = Caller::of(&cluster);
    let lunch = json!({ "question": "What for lunch?", "options": ["pizza", "soup"] });
    let begun = web.call(Method::PUT, "/lunch", &lunch.to_string()).await;
    assert_eq!((begun.status.as_u16(), &begun.json()["name"]), (201, &json!("lunch")));
    assert_eq!(web.call(Method::PUT, "/lunch", &lunch.to_string()).await.status, 409);
    for bad in ["", "null", "{}", r#"{"question": "?", "options": ["a", "a"]}"#] {
        assert_eq!(web.call(Method::PUT, "/other", bad).await.status, 400, "{bad}");
    }
    for bad in ["", "{}", r#"{"option": "bread"}"#] {
        assert_eq!(web.call(Method::POST, "/lunch", bad).await.status, 400, "{bad}");
    }
    for missing in ["/dinner", "/Dinner", "/lunch/1"] {
        let answer = web.get(missing).await;
        assert_eq!(answer.status, 404, "{missing}");
        assert!(answer.json()["error"].is_string(), "{missing}");
    }
    let soup = json!({ "option": "soup" }).to_string();
    assert_eq!(web.call(Method::POST, "/lunch", &soup).await.json()["votes"], 1);
    change_leader(&mut cluster).await;
    assert_eq!(web.call(Method::POST, "/lunch", &soup).await.json()["votes"], 2);
    assert_eq!(web.get("/lunch").await.json()["votes"], json!({ "pizza": 0, "soup": 2 }));
    assert_eq!(web.get("/").await.json(), json!(["lunch"]));
    assert_eq!(web.call(Method::DELETE, "/lunch", "").await.status, 204);
    web.call(Method::PUT, "/lunch", &lunch.to_string()).await;
    let votes = web.get("/lunch").await.json()["votes"].clone();
    assert_eq!(votes, json!({ "pizza": 0, "soup": 0 }), "those of the last one are gone");
}

/// Whether a flag is on for each of forty users.
async fn on(web: &Caller, flag: &str) -> Vec<bool> {
    let mut answers = Vec::new();
    for user in 0..40 {
        let answer = web.get(&format!("/{flag}?user=u{user}")).await.json();
        answers.push(answer["on"].as_bool().unwrap_or_else(|| panic!("{answer}")));
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_knows_nothing_of_soloist_runs() {
    let mut cluster = running("echo").await;
    let web = Caller::of(&cluster);
    for host in ["a", "b"] {
        let echo = web.call(Method::POST, "/path?query=1", "body").await.json();
        assert_eq!(echo["method"], "POST");
        assert_eq!((&echo["path"], &echo["query"]), (&json!("/path"), &json!("query=1")));
        assert_eq!(echo["body"], "body");
        assert_eq!(echo["headers"]["content-length"], "4");
        if host == "a" {
            change_leader(&mut cluster).await;
        }
    }
}
