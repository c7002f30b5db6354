//! The effects of signals on real processes: the table in docs/operations.md.

use std::{ffi::OsStr, fs, time::Duration};

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpListener,
    process::Command,
    time::{interval, timeout},
};

use crate::harness::{
    PATIENCE, at,
    cluster::{Cluster, Kind},
    guests, own_address,
    process::{Process, soloist},
};

/// Longer than the patience of any test, so that no wait can be one for the lease.
const LONG_TTL: Duration = Duration::from_secs(10);

/// `a`, which leads under a supervisor and is started by `wrapper`, and `b`, which stands by.
async fn started_by(kind: Kind, wrapper: &[&str]) -> Cluster {
    let mut cluster = Cluster::with_plugin(kind, guests().join("spin.wasm")).await;
    (cluster.ttl, cluster.supervised) = (LONG_TTL, true);
    let command = cluster.command("a", "");
    cluster.hosts.insert("a", Process::start(&mut wrapped(wrapper, &command)));
    cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.join("b").await;
    cluster
}

/// The same command as the last arguments of `wrapper`.
fn wrapped(wrapper: &[&str], command: &Command) -> Command {
    let command = command.as_std();
    let mut words = wrapper.iter().map(OsStr::new);
    let mut wrapped = Command::new(words.next().expect("a program"));
    wrapped.args(words).arg(command.get_program()).args(command.get_args()).kill_on_drop(true);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped.current_dir(command.get_current_dir().expect("a folder"));
    wrapped
}

/// Waits until `b` leads, which must be sooner than any lease can expire.
async fn handed_over(cluster: &Cluster) {
    let after = timeout(LONG_TTL / 2, cluster.web.until("b", |answer| answer.host == "b")).await;
    assert!(after.is_ok(), "b waits for a lease to run out");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stop_is_a_hand_over() {
    for signal in [Signal::QUIT, Signal::POWER, Signal::XCPU] {
        let mut cluster = started_by(Kind::Sqlite, &["setsid"]).await;
        cluster.signal("a", signal);
        let status = cluster.hosts.get_mut("a").expect("a").ended().await;
        assert_eq!(status.code(), Some(0), "{signal:?}:\n{}", cluster.host("a").log);
        handed_over(&cluster).await;
    }
}

/// The same if the host itself gets the signal.
#[tokio::test(flavor = "multi_thread")]
async fn what_means_nothing_ends_nothing() {
    let cluster = started_by(Kind::Sqlite, &["setsid"]).await;
    let host = cluster.host("a").supervised(0).await;
    let signals = [
        (Signal::HUP, "SIGHUP"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::IO, "SIGIO"),
        (Signal::STKFLT, "SIGSTKFLT"),
        (Signal::XFSZ, "SIGXFSZ"),
    ];
    let log = &cluster.host("a").log;
    for (signal, name) in signals {
        for by_hand in [false, true] {
            let seen = log.len();
            if by_hand {
                host.signal(signal);
            } else {
                cluster.signal("a", signal);
            }
            log.find(seen, name, |line| line["event"] == "signal" && line["name"] == name).await;
        }
    }
    // SIGRTMIN, and the signal with which systemd stops a container.
    for number in [34, 37] {
        let seen = log.len();
        let pid = cluster.host("a").pid().as_raw_nonzero();
        let kill = format!("kill -{number} {pid}");
        let sent = Command::new("sh").args(["-c", &kill]).status().await.expect("a shell");
        assert!(sent.success(), "{kill}");
        log.find(seen, "the signal", |line| line["name"] == "a real-time signal").await;
    }
    assert_eq!(cluster.web.until("a", |_| true).await.host, "a");
    assert_eq!(log.events("supervising").len(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_goes_is_a_hand_over() {
    let mut cluster = Cluster::with_plugin(Kind::Sqlite, guests().join("spin.wasm")).await;
    (cluster.ttl, cluster.supervised) = (LONG_TTL, true);
    let script = cluster.folder.path().join("a.sh");
    fs::write(&script, shell(&cluster.command("a", ""))).expect("a script");
    // `script` runs a command in a terminal of its own, which closes with it.
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--flush", "--command", &format!("exec sh {}", script.display())]);
    terminal.arg("/dev/null").current_dir(cluster.folder.path()).kill_on_drop(true);
    cluster.hosts.insert("a", Process::start(&mut terminal));
    cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.join("b").await;
    cluster.kill("a").await;
    handed_over(&cluster).await;
}

/// A shell command line that runs `command` with its environment.
fn shell(command: &Command) -> String {
    let command = command.as_std();
    let quote = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"));
    let unset = command.get_envs().filter(|(_, value)| value.is_none());
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut words = vec!["exec".to_owned(), "env".to_owned()];
    words.extend(unset.map(|(name, _)| format!("--unset={}", name.to_string_lossy())));
    words.extend(set.map(|(name, value)| format!("{}={}", name.to_string_lossy(), quote(value))));
    words.push(quote(command.get_program()));
    words.extend(command.get_args().map(quote));
    words.join(" ")
}

/// A host whose store does not answer: it reports that it lives all the time, and a stop ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_starts_lives_is_not_ready_and_can_be_stopped() {
    let store = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("etcd://{}", store.local_addr().expect("an address"));
    let cluster = Cluster::at(url, Duration::from_secs(600));
    let api = at(own_address(), 4000);
    let file = cluster.folder.path().join("soloist.toml");
    let settings = cluster.configuration(&format!("[host]\nname = \"a\"\nlisten = \"{api}\"\n"));
    fs::write(&file, settings).expect("a file");
    let mut command = soloist();
    command.args(["run", "--log-format", "json", "--config"]).arg(file);
    let mut host = Process::start(&mut command);
    let connection = timeout(PATIENCE, store.accept()).await;
    let _open = connection.expect("a host that asks its store").expect("a connection");
    let ask =
        async |path: &str| reqwest::get(format!("http://{api}{path}")).await.expect("it lives");
    assert_eq!(ask("/livez").await.status(), StatusCode::OK);
    let ready = ask("/readyz").await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let why = ready.text().await.expect("a reason");
    assert!(why.contains("this host starts: its plugins are compiled, and it waits"), "{why}");
    let status = host.terminate().await;
    assert!(status.success(), "{status}\n{}", host.log);
    assert!(host.log.events("leading").is_empty(), "{}", host.log);
}

/// The progress while plugins are compiled: which plugin, and how many there are.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_compiles_says_what() {
    let cluster = Cluster::new(Kind::Sqlite).await;
    let (api, cache) = (at(own_address(), 4000), tempfile::tempdir().expect("a folder"));
    let more: String = ["spin", "state", "work"]
        .map(|name| {
            let plugin = guests().join(format!("{name}.wasm"));
            format!(
                "[action.{name}]\nplugin = \"{}\"\nlisten = \"{}\"\n",
                plugin.display(),
                cluster.web_at
            )
        })
        .concat();
    let host = format!("{more}[host]\nname = \"a\"\nlisten = \"{api}\"\n");
    let file = cluster.folder.path().join("soloist.toml");
    fs::write(&file, cluster.configuration(&host)).expect("a file");
    let mut command = soloist();
    // With an empty cache, so that everything is compiled.
    command.args(["run", "--log-format", "json", "--config"]).arg(file);
    let host = Process::start(command.env("XDG_CACHE_HOME", cache.path()));
    let mut seen = String::new();
    let says = async {
        loop {
            let asked =
                soloist().args(["status", "--url", &format!("http://{api}")]).output().await;
            let said = String::from_utf8(asked.expect("soloist").stderr).expect("UTF-8");
            if said.contains("it compiles its plugins, now that of ") {
                return said;
            }
            seen = said;
        }
    };
    let said = timeout(PATIENCE, says).await;
    let said = said.unwrap_or_else(|_| panic!("it does not say so: {seen}\n{}", host.log));
    assert!(said.contains(" of 4)"), "{said}");
}

/// `timeout` sends the signal to its child, and then to its process group.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_twice_is_one_request() {
    let mut cluster = started_by(Kind::Sqlite, &["setsid"]).await;
    let web = cluster.web.clone();
    let slow = tokio::spawn(async move { web.get("/sleep?ms=700").await });
    let log = cluster.host("a").log.clone();
    log.find(0, "request", |line| line["message"] == "sleeping").await;
    cluster.signal("a", Signal::TERM);
    log.event(0, "draining").await;
    cluster.signal("a", Signal::TERM);
    let status = cluster.hosts.get_mut("a").expect("a").ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let answer = slow.await.expect("no panic").expect("an answer");
    assert_eq!((answer.host.as_str(), answer.body.trim()), ("a", "slept"), "{log}");
    handed_over(&cluster).await;
}

/// A host crashes while the store does not answer. Its supervisor is asked to stop before it can
/// revoke the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_given_back_also_by_a_supervisor_that_stops() {
    let mut cluster = started_by(Kind::Etcd, &["setsid"]).await;
    let log = cluster.host("a").log.clone();
    let host = cluster.host("a").supervised(0).await;
    cluster.etcd.as_ref().expect("etcd").freeze();
    host.signal(Signal::KILL);
    log.event(0, "restarting").await;
    cluster.signal("a", Signal::TERM);
    cluster.etcd.as_ref().expect("etcd").signal(Signal::CONT);
    log.event(0, "released").await;
    let status = cluster.hosts.get_mut("a").expect("a").ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    handed_over(&cluster).await;
}

/// As the first process of a container; needs root.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_process_waits_for_orphans() {
    let space = ["unshare", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child"];
    let cluster = started_by(Kind::Sqlite, &space).await;
    let first = children(cluster.host("a").pid())[0];
    let own = children(first);
    assert_eq!(own.len(), 1, "the host");
    let target = first.as_raw_nonzero().to_string();
    let orphan = "sleep 1000 >/dev/null 2>&1 &";
    let left = Command::new("nsenter")
        .args(["--target", &target, "--pid", "--mount", "sh", "-c", orphan])
        .status();
    assert!(left.await.expect("nsenter").success());
    let orphans = || children(first).into_iter().filter(|child| *child != own[0]);
    let left = awaited("an orphan", || orphans().next()).await;
    kill_process(left, Signal::KILL).expect("it takes signals");
    awaited("its end", || orphans().next().is_none().then_some(())).await;
    // The supervisor has not taken the orphan's end for its host's.
    assert_eq!(cluster.host("a").log.events("supervising").len(), 1);
}

/// The children of a process, including dead ones (proc(5)).
fn children(of: Pid) -> Vec<Pid> {
    let of = of.as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).expect("it runs");
    children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Polls until `look` returns something: the kernel sends no event for it.
async fn awaited<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let found = timeout(PATIENCE, async {
        let mut looks = interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            if let Some(found) = look() {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what} does not come"))
}
