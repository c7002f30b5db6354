//! The embedded store's files are changed by hand, and reached under other names.
//!
//! Each host has its own address here: if two hosts performed, clients would hear both.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc::{F_RDLCK, F_UNLCK, SEEK_SET, flock},
};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::{
    process::Command,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{ends, leads_on, not_ready};
use crate::harness::{
    at,
    client::Web,
    cluster::{Cluster, Kind},
    exit::UNAVAILABLE,
    own_address,
    process::{agrees, run},
};

/// How long a host may take to notice that its files are no longer the store's, and to stop.
const AT_MOST_TWO: Duration = Duration::from_millis(250 + 500);
/// A cluster of hosts with their own addresses.
struct Apart {
    cluster: Cluster,
    other_at: SocketAddr,
}

impl Apart {
    /// A cluster in which `a` leads.
    async fn led_by_a() -> Self {
        let mut cluster = Cluster::new(Kind::Sqlite).await.brief();
        cluster.join("a").await;
        cluster.leading("a").await;
        Self { cluster, other_at: at(own_address(), 3000) }
    }

    fn file(&self) -> PathBuf {
        self.cluster.folder.path().join("soloist.db")
    }

    /// The settings of `b`, whose store is `file`.
    fn of_b(&self, file: &Path) -> String {
        let settings = self.cluster.configuration("");
        let at = settings.replace(&self.cluster.web_at.to_string(), &self.other_at.to_string());
        at.replace(&self.file().display().to_string(), &file.display().to_string())
    }

    /// The fencing token of an answer of `a`.
    async fn fencing_token(&self) -> i64 {
        self.cluster.web.until("a", |answer| answer.host == "a").await.fencing_token
    }

    /// The host that first answers under a newer fencing token.
    async fn hears_newer_than(&self, fencing_token: i64) -> String {
        let (a, b) = (self.cluster.web.clone(), Web::new(self.other_at));
        let answer = tokio::select! {
            answer = a.until("newer", |answer| answer.fencing_token > fencing_token) => answer,
            answer = b.until("newer", |answer| answer.fencing_token > fencing_token) => answer,
        };
        answer.host
    }

    /// Checks that `b` does not start with `file`, that it reports these words, and that `a`
    /// continues to lead.
    async fn refuses(&self, mut command: Command, words: &[&str]) {
        let fencing_token = self.fencing_token().await;
        let ended = run(&mut command).await;
        assert_eq!(ended.status.code(), Some(UNAVAILABLE), "{}", ended.output);
        for word in words {
            assert!(ended.output.contains(word), "no {word:?} in:\n{}", ended.output);
        }
        leads_on(self.cluster.host("a"), fencing_token).await;
    }
}

/// A term, as clients see it: from its first answer to the sending of the last request that it
/// answered.
#[derive(Clone, Debug)]
struct Heard {
    host: String,
    fencing_token: i64,
    first: Instant,
    last: Instant,
}

/// Clients of both addresses, which send requests all the time.
struct Ears {
    heard: Arc<Mutex<Vec<Heard>>>,
    _clients: JoinSet<()>,
}

impl Ears {
    fn at(apart: &Apart) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut clients = JoinSet::new();
        for web in [apart.cluster.web.clone(), Web::new(apart.other_at)] {
            clients.spawn(listen(web, Arc::clone(&heard)));
        }
        Self { heard, _clients: clients }
    }

    /// Checks that no two terms overlapped for longer than it takes to notice and to stop.
    fn heard_one_at_a_time(self) {
        let heard = self.heard.lock().unwrap();
        for (i, one) in heard.iter().enumerate() {
            for other in &heard[i + 1..] {
                let both =
                    one.last.min(other.last).saturating_duration_since(one.first.max(other.first));
                assert!(both < AT_MOST_TWO, "{both:?}: {one:?} and {other:?}");
            }
        }
    }
}

async fn listen(web: Web, heard: Arc<Mutex<Vec<Heard>>>) {
    loop {
        let sent = Instant::now();
        if let Some(answer) = web.get("/").await
            && answer.status == StatusCode::OK
        {
            let mut heard = heard.lock().unwrap();
            let same = |term: &&mut Heard| {
                term.host == answer.host && term.fencing_token == answer.fencing_token
            };
            match heard.iter_mut().find(same) {
                Some(term) => term.last = sent,
                None => {
                    let (host, fencing_token, first) =
                        (answer.host, answer.fencing_token, Instant::now());
                    heard.push(Heard { host, fencing_token, first, last: sent });
                }
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// `a` leads, these files are removed, and `b` starts.
async fn ends_the_term_and_loses_nothing(ends: &[&str]) {
    let mut apart = Apart::led_by_a().await;
    let before = apart.fencing_token().await;
    let ears = Ears::at(&apart);
    let seen = apart.cluster.host("a").log.len();
    for end in ends {
        fs::remove_file(apart.file().with_extension(format!("db{end}"))).unwrap();
    }
    let settings = apart.of_b(&apart.file());
    apart.cluster.start_from("b", &settings);
    let log = &apart.cluster.host("a").log;
    log.event(seen, "stopped").await;
    let told = log.event(seen, "store-lost").await;
    let told = told["message"].as_str().unwrap_or_default();
    assert!(told.contains("`-wal` or `-shm` was removed"), "{told}\n{log}");
    log.event(seen, "store-back").await;
    let leader = apart.hears_newer_than(before).await;
    // Both hosts are in one cluster.
    for name in ["a", "b"] {
        apart.cluster.stands(name).await;
        let agrees_with = |status: &Value| status["groups"]["main"]["leader"] == *leader;
        agrees(apart.cluster.host(name), agrees_with).await;
    }
    ears.heard_one_at_a_time();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_removed_ends_the_term_and_loses_nothing() {
    ends_the_term_and_loses_nothing(&["-wal"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_removed_ends_the_term_and_loses_nothing() {
    ends_the_term_and_loses_nothing(&["-shm"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_that_are_removed_end_the_term_and_lose_nothing() {
    ends_the_term_and_loses_nothing(&["-wal", "-shm"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_by_a_hard_link_does_not_start() {
    let apart = Apart::led_by_a().await;
    let seen = apart.cluster.host("a").log.len();
    let link = apart.file().with_file_name("other.db");
    fs::hard_link(apart.file(), &link).unwrap();
    let command = apart.cluster.command_from("b", &apart.of_b(&link));
    apart.refuses(command, &["other.db", "2 names (hard links)", "remove the others"]).await;
    let warned =
        |line: &Value| line["message"].as_str().is_some_and(|told| told.contains("has 2 names"));
    apart.cluster.host("a").log.find(seen, "warning", warned).await;
}

/// As a container does that mounts only the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_by_a_mount_of_the_file_alone_does_not_start() {
    let apart = Apart::led_by_a().await;
    let folder = apart.cluster.folder.path().join("container");
    fs::create_dir(&folder).unwrap();
    let mounted = folder.join("soloist.db");
    File::create(&mounted).unwrap();
    let plain = apart.cluster.command_from("b", &apart.of_b(&mounted));
    let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    let mut command = Command::new("unshare");
    // Without root's rights, this happens in a user namespace.
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.args([apart.file(), mounted]).arg(plain.as_std().get_program());
    command.args(plain.as_std().get_args()).current_dir(apart.cluster.folder.path());
    for (name, value) in plain.as_std().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    apart.refuses(command, &["is mounted alone", "mount the folder that contains it"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_by_a_symbolic_link_is_one_of_the_cluster() {
    let mut apart = Apart::led_by_a().await;
    let before = apart.fencing_token().await;
    let elsewhere = apart.cluster.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let link = elsewhere.join("link.db");
    symlink(apart.file(), &link).unwrap();
    let ears = Ears::at(&apart);
    let settings = apart.of_b(&link);
    apart.cluster.start_from("b", &settings);
    apart.cluster.stands("b").await;
    leads_on(apart.cluster.host("a"), before).await;
    apart.cluster.terminate("a").await;
    Web::new(apart.other_at).until("b", |answer| answer.fencing_token > before).await;
    ears.heard_one_at_a_time();
}

/// Another process opens the file in a way that no host can see. The hosts see the lock of a log
/// that is not theirs.
#[tokio::test(flavor = "multi_thread")]
async fn who_uses_the_file_with_another_log_ends_the_term_and_is_told_of() {
    let apart = Apart::led_by_a().await;
    let (a, before) = (apart.cluster.host("a"), apart.fencing_token().await);
    let seen = a.log.len();
    let stranger = File::options().read(true).write(true).open(apart.file()).unwrap();
    let mark = |kind: i32| {
        let (l_type, l_whence) = (kind.try_into().unwrap(), SEEK_SET.try_into().unwrap());
        let lock = flock { l_type, l_whence, l_start: 1 << 61, l_len: 1, l_pid: 0 };
        fcntl(&stranger, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    };
    mark(F_RDLCK);
    // The cause is not a failed renewal, which would come later.
    ends(a, seen, "no longer knows the session").await;
    let said = "another process uses it with another `-wal`";
    let status = agrees(a, |status| {
        status["store"]["last_error"].as_str().is_some_and(|told| told.contains(said))
    });
    assert_ne!(status.await["groups"]["main"]["role"], "leader");
    not_ready(a).await;
    let command = apart.cluster.command_from("b", &apart.of_b(&apart.file()));
    let ended = run(&mut { command }).await;
    assert_eq!(ended.status.code(), Some(UNAVAILABLE), "{}", ended.output);
    assert!(ended.output.contains(said), "{}", ended.output);
    mark(F_UNLCK);
    apart.hears_newer_than(before).await;
}
