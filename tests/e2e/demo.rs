//! The first thing anyone runs.

use rustix::process::Signal;

use crate::harness::{
    client::Web,
    plugins,
    process::{Process, soloist},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_a_leader_kills_it_and_leaves_nothing_behind() {
    let temporary = tempfile::TempDir::new().expect("a folder");
    let mut command = soloist();
    command
        .args(["demo", "--kill-leader-every", "2s", "--plugins"])
        .arg(plugins())
        .env("TMPDIR", temporary.path());
    let mut demo = Process::start(&mut command);
    let web = Web::new(([127, 0, 0, 1], 3000).into());
    let first = web.until("a leader", |_| true).await;
    assert_eq!(first.body.trim(), format!("I am server {}", first.host));
    web.until("another leader", |answer| answer.token > first.token).await;
    demo.signal(Signal::INT);
    let status = demo.ended().await;
    assert!(status.success(), "{status}:\n{}", demo.log);
    assert_eq!(web.get("/").await, None, "somebody still serves");
    for port in 4001..=4003 {
        let free = std::net::TcpListener::bind(("127.0.0.1", port));
        assert!(free.is_ok(), "somebody still listens on {port}");
    }
    let left: Vec<_> = std::fs::read_dir(temporary.path()).expect("a folder").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
