//! The state of actions, read and changed by people.

use std::process::{Output, Stdio};

use tokio::{io::AsyncWriteExt, time::timeout};

use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    exit::{DATA, MISSING, REFUSED, UNAVAILABLE, USAGE},
    process::soloist,
};

crate::on_all_stores!(core: people_read_and_write_state, state_outlives_leaders_and_restarts);

/// `soloist state` against one host.
struct StateCommands(String);

impl StateCommands {
    async fn at(cluster: &Cluster, host: &str) -> Self {
        Self(format!("http://{}", cluster.host(host).api().await))
    }

    async fn run(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut command = soloist();
        command.arg("state").args(args).env("SOLOIST_URL", &self.0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("soloist starts");
        // A command that does not read its stdin closes it.
        let _ = child.stdin.take().expect("piped").write_all(stdin).await;
        let output = timeout(PATIENCE, child.wait_with_output()).await;
        output.expect("it ends").expect("it can be awaited")
    }

    /// The stdout of a command that must succeed without warnings.
    async fn ok(&self, args: &[&str]) -> Vec<u8> {
        self.ok_with(args, b"").await
    }

    async fn ok_with(&self, args: &[&str], stdin: &[u8]) -> Vec<u8> {
        let output = self.run(args, stdin).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaint.is_empty(), "{args:?}: {complaint}");
        output.stdout
    }

    async fn refused(&self, args: &[&str], code: i32, words: &str) {
        let output = self.run(args, b"").await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {complaint}");
        assert!(complaint.contains(words), "no {words:?} in:\n{complaint}");
        assert!(complaint.contains("error: ") && complaint.contains("help: "), "{complaint}");
        assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    }
}

async fn people_read_and_write_state(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let plain = format!(
        "state = true\n[action.plain]\nplugin = \"{}\"\nlisten = \"{}\"\npath = \"/plain\"\n",
        crate::harness::plugins().join("i-am-server.wasm").display(),
        cluster.web_at
    );
    cluster.join_with("a", &plain).await;
    let commands = StateCommands::at(&cluster, "a").await;
    // An action that runs, but has no state.
    commands.refused(&["set", "plain", "k", "v"], REFUSED, "plain keeps no state").await;
    commands.refused(&["set", "plain", "k", "v"], REFUSED, "write `state = true`").await;
    // An action that no host runs: its state may exist before and after it.
    assert_eq!(commands.ok(&["list", "web"]).await, b"");
    let unknown = "there is no action no-such-action";
    commands.refused(&["list", "no-such-action"], MISSING, unknown).await;
    for action in ["web", "no-such-action"] {
        assert_eq!(commands.ok(&["set", action, "greeting", "secret value"]).await, b"");
        assert_eq!(commands.ok(&["get", action, "greeting"]).await, b"secret value");
    }
    let binary: Vec<u8> = (0..=255).collect();
    commands.ok_with(&["set", "web", "stdin", "-"], &binary).await;
    assert_eq!(commands.ok(&["get", "web", "stdin"]).await, binary);
    let file = cluster.folder.path().join("value");
    std::fs::write(&file, &binary).unwrap();
    let file = file.to_str().expect("UTF-8");
    commands.ok(&["set", "web", "file", "--file", file]).await;
    assert_eq!(commands.ok(&["get", "web", "file"]).await, binary);
    commands.ok(&["set", "web", "empty", ""]).await;
    assert_eq!(commands.ok(&["get", "web", "empty"]).await, b"");
    for odd in ["..", ".", "a/../b", "ü b", "100%", "q?k=v&x#y", "+"] {
        commands.ok(&["set", "odd", odd, odd]).await;
        assert_eq!(commands.ok(&["get", "odd", odd]).await, odd.as_bytes());
    }
    assert_eq!(
        String::from_utf8_lossy(&commands.ok(&["list", "odd"]).await),
        "+\n.\n..\n100%\na/../b\nq?k=v&x#y\nü b\n"
    );

    commands.refused(&["get", "web", "nothing"], MISSING, "web keeps no key \"nothing\"").await;
    commands.refused(&["delete", "web", "nothing"], MISSING, "web keeps no key \"nothing\"").await;
    commands.refused(&["list", "a/b"], USAGE, "`a/b` is not a name").await;
    let output = commands.run(&["set", "web", "large", "-"], &vec![0; 300_000]).await;
    assert_eq!(output.status.code(), Some(DATA));
    assert!(String::from_utf8_lossy(&output.stderr).contains("longer than 262144 bytes"));

    // Existing keys are removed although another one does not exist.
    commands.refused(&["delete", "web", "stdin", "nothing", "file"], MISSING, "\"nothing\"").await;
    assert_eq!(commands.ok(&["list", "web"]).await, b"empty\ngreeting\n");
    commands.refused(&["delete", "web", "--all"], USAGE, "--yes").await;
    assert_eq!(commands.ok(&["delete", "web", "--all", "--yes"]).await, b"deleted 2 keys\n");
    assert_eq!(commands.ok(&["list", "web"]).await, b"");
    assert_eq!(commands.ok(&["get", "no-such-action", "greeting"]).await, b"secret value");

    let log = &cluster.host("a").log;
    let put = log.event(0, "state-put").await;
    assert_eq!((&put["action"], &put["key"]), (&"web".into(), &"greeting".into()), "{put}");
    assert_eq!(log.events("state-deleted").len(), 3, "{log}");
    assert!(!log.to_string().contains("secret value"), "{log}");
}

async fn state_outlives_leaders_and_restarts(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief();
    cluster.join("a").await;
    cluster.leading("a").await;
    cluster.join("b").await;
    // Every host accepts the commands, whichever leads.
    let (leader, standby) =
        (StateCommands::at(&cluster, "a").await, StateCommands::at(&cluster, "b").await);
    leader.ok(&["set", "kept", "by the leader", "1"]).await;
    standby.ok(&["set", "kept", "by a standby", "2"]).await;
    let all: &[u8] = b"by a standby\nby the leader\n";
    assert_eq!(leader.ok(&["list", "kept"]).await, all);
    cluster.kill("a").await;
    cluster.leading("b").await;
    assert_eq!(standby.ok(&["list", "kept"]).await, all);
    cluster.terminate("b").await;
    if let Some(etcd) = &mut cluster.etcd {
        etcd.kill().await;
        etcd.start().await;
    }
    cluster.join("c").await;
    let commands = StateCommands::at(&cluster, "c").await;
    assert_eq!(commands.ok(&["list", "kept"]).await, all);
    assert_eq!(commands.ok(&["get", "kept", "by the leader"]).await, b"1");
    assert_eq!(commands.ok(&["get", "kept", "by a standby"]).await, b"2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_lost_is_told() {
    let mut cluster = Cluster::new(Kind::Etcd).await.brief();
    cluster.join("a").await;
    let commands = StateCommands::at(&cluster, "a").await;
    commands.ok(&["set", "kept", "k", "1"]).await;
    cluster.etcd.as_mut().expect("etcd").kill().await;
    let endpoint = cluster.etcd.as_ref().expect("etcd").endpoint();
    for args in [&["list", "kept"][..], &["get", "kept", "k"], &["set", "kept", "k", "2"]] {
        commands.refused(args, UNAVAILABLE, &endpoint).await;
    }
    // The commands may be done before the host itself has noticed the loss of its store.
    cluster.host("a").log.event(0, "store-lost").await;
    cluster.etcd.as_mut().expect("etcd").start().await;
    cluster.host("a").log.event(0, "store-back").await;
    assert_eq!(commands.ok(&["get", "kept", "k"]).await, b"1");
    commands.ok(&["set", "kept", "k", "2"]).await;
}

#[tokio::test]
async fn nobody_to_ask_for_state() {
    let commands = StateCommands("http://127.0.0.1:9".into());
    commands.refused(&["list", "web"], UNAVAILABLE, "127.0.0.1:9").await;
    StateCommands("nonsense".into())
        .refused(&["list", "web"], USAGE, "`nonsense` is not a URL")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_many_pages_is_whole() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    cluster.join("a").await;
    let file = cluster.folder.path().join("soloist.db");
    let sql = "WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 2500)
               INSERT INTO state SELECT 'test', 'web', format('%05d', n), x'', 1 FROM i";
    rusqlite::Connection::open(file).unwrap().execute(sql, []).unwrap();
    let commands = StateCommands::at(&cluster, "a").await;
    let all: String = (1..=2500).map(|n| format!("{n:05}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&commands.ok(&["list", "web"]).await), all);
    assert_eq!(commands.ok(&["delete", "web", "--all", "--yes"]).await, b"deleted 2500 keys\n");
    assert_eq!(commands.ok(&["list", "web"]).await, b"");
}
