//! `soloist plugin`: inspecting a plugin, and running it alone.

use std::{fs, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::harness::{
    PATIENCE, at,
    client::Web,
    exit::{CONFIG, DATA, FAILED, MISSING, REFUSED, USAGE},
    guests, own_address, plugins,
    process::{Ended, Process, run, soloist},
};

async fn inspect(file: &Path, more: &[&str]) -> Ended {
    run(soloist().args(["plugin", "inspect"]).arg(file).args(more)).await
}

#[tokio::test]
async fn a_plugin_is_looked_at() {
    let seen = inspect(&plugins().join("i-am-server.wasm"), &[]).await;
    assert_eq!(seen.status.code(), Some(0), "{}", seen.output);
    for part in
        ["component, WASI 0.2", "can run it as http", "EXPORTS\nwasi:http/incoming-handler@"]
    {
        assert!(seen.output.contains(part), "no {part:?} in:\n{}", seen.output);
    }
    let seen = inspect(&guests().join("state.wasm"), &["--json"]).await;
    let sheet: Value = serde_json::from_str(&seen.output).expect("JSON");
    assert_eq!((&sheet["runs"], &sheet["kinds"]), (&true.into(), &"http".into()), "{sheet}");
    let settings = sheet["asks_for"].as_array().expect("a list");
    assert!(settings.iter().any(|ask| ask["setting"] == "state" && ask["perhaps"] == false));
}

#[tokio::test]
async fn a_plugin_is_looked_at_with_its_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::copy(plugins().join("job-runner.wasm"), at("report.wasm")).expect("a copy");
    // The secrets need not exist.
    let settings = "schedule = \"0 9 * * *\"\nsecrets = { KEY = \"env:SOLOIST_NO_SUCH\" }\n";
    fs::write(at("report.toml"), settings).expect("a file");
    let seen = inspect(&at("report.wasm"), &[]).await;
    assert_eq!(seen.status.code(), Some(0), "{}", seen.output);
    assert!(seen.output.contains("report.toml it runs as job"), "{}", seen.output);
    fs::write(at("report.toml"), "schedule = \"0 9\"\n").expect("a file");
    let seen = inspect(&at("report.wasm"), &[]).await;
    assert_eq!(seen.status.code(), Some(FAILED), "{}", seen.output);
    for part in ["no host runs it", "report.toml:1:12", "help: "] {
        assert!(seen.output.contains(part), "no {part:?} in:\n{}", seen.output);
    }
}

#[tokio::test]
async fn a_strategy_is_looked_at() {
    let seen = inspect(&guests().join("strategy.wasm"), &[]).await;
    assert_eq!(seen.status.code(), Some(0), "{}", seen.output);
    assert!(seen.output.contains("can run it as a strategy"), "{}", seen.output);
}

/// The result of compiling for an inspection is cached for hosts and for the next inspection.
#[tokio::test]
async fn what_was_looked_at_is_compiled() {
    let cache = tempfile::tempdir().expect("a folder");
    for said in ["which this user's hosts now reuse", "it is compiled already"] {
        let mut command = soloist();
        command.args(["plugin", "inspect"]).arg(plugins().join("i-am-server.wasm"));
        let seen = run(command.env("XDG_CACHE_HOME", cache.path())).await;
        assert!(seen.output.contains(said), "{}", seen.output);
    }
}

/// A library takes long to compile, so it is inspected without that.
#[tokio::test]
async fn what_could_be_nothing_is_not_compiled() {
    let cache = tempfile::tempdir().expect("a folder");
    let mut command = soloist();
    command.args(["plugin", "inspect"]).arg(guests().join("exports-nothing.wasm"));
    let seen = run(command.env("XDG_CACHE_HOME", cache.path())).await;
    assert_eq!(seen.status.code(), Some(DATA), "{}", seen.output);
    assert_eq!(files(cache.path()), 0, "{}", seen.output);
}

/// The number of files in `folder` and below.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let count = |entry: fs::DirEntry| {
        if entry.path().is_dir() { files(&entry.path()) } else { 1 }
    };
    entries.map(count).sum()
}

#[tokio::test]
async fn a_plugin_that_cannot_run_is_looked_at_all_the_same() {
    let seen = inspect(&guests().join("needs-unknown.wasm"), &[]).await;
    assert_eq!(seen.status.code(), Some(FAILED), "{}", seen.output);
    for part in ["cannot run it", "example:unknown/thing", "wasi:cli/run"] {
        assert!(seen.output.contains(part), "no {part:?} in:\n{}", seen.output);
    }
    let nothing = inspect(Path::new("nowhere.wasm"), &[]).await;
    assert_eq!(nothing.status.code(), Some(MISSING), "{}", nothing.output);
}

#[tokio::test]
async fn a_plugin_runs_alone_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = at(own_address(), 3000).to_string();
    let mut command = soloist();
    command.env("TMPDIR", folder.path()).args(["plugin", "run"]).arg(guests().join("state.wasm"));
    let mut process = Process::start(command.args(["--state", "--listen", &listen]));
    let url = format!("http://{listen}/");
    let says = |line: &Value| line.as_str().is_some_and(|line| line.contains(&url));
    process.log.find(0, "URL", says).await;
    let answer = reqwest::get(format!("{url}increment/visits/2")).await.expect("an answer");
    assert_eq!(answer.text().await.expect("a text"), "2", "{}", process.log);
    let logged = |line: &Value| line.as_str().is_some_and(|l| l.contains("/increment/visits/2"));
    process.log.find(0, "the request", logged).await;
    process.signal(Signal::INT);
    assert!(process.ended().await.success(), "{}", process.log);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "{}", process.log);
}

#[tokio::test]
async fn a_plugin_that_is_watched_is_taken_up_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("work.wasm");
    fs::copy(guests().join("service-loop.wasm"), &file).expect("a copy");
    let mut command = soloist();
    let mut process = Process::start(command.args(["plugin", "run", "--watch"]).arg(&file));
    let says = |text: &'static str| {
        move |line: &Value| line.as_str().is_some_and(|line| line.contains(text))
    };
    process.log.find(0, "a service", says("action work is running")).await;
    let before = process.log.len();
    fs::copy(plugins().join("job-runner.wasm"), &file).expect("a copy");
    process.log.find(before, "the other plugin", says("unit 1: 9592 primes")).await;
    assert!(process.terminate().await.success(), "{}", process.log);
}

#[tokio::test]
async fn a_plugin_alone_is_granted_what_flags_say() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "content").expect("a file");
    let listen = at(own_address(), 3000).to_string();
    let mut command = soloist();
    command.args(["plugin", "run"]).arg(guests().join("reach.wasm"));
    let shown = format!("{}:/data", folder.path().display());
    let mut process = Process::start(command.args(["--listen", &listen, "--folder", &shown]));
    let url = format!("http://{listen}/");
    let says = |line: &Value| line.as_str().is_some_and(|line| line.contains(&url));
    process.log.find(0, "URL", says).await;
    let answer = reqwest::get(format!("{url}read?/data/file")).await.expect("an answer");
    assert_eq!(answer.text().await.expect("a text"), "content");
    let answer = reqwest::get(format!("{url}write?/data/new")).await.expect("an answer");
    assert_eq!(answer.status(), 502, "it may write");
    assert!(process.terminate().await.success(), "{}", process.log);
}

#[tokio::test]
async fn a_wrong_flag_of_a_run_is_told() {
    let file = plugins().join("i-am-server.wasm");
    for (flag, value, code, word) in [
        ("--listen", "3000", CONFIG, "127.0.0.1:3000"),
        ("--folder", "data", USAGE, "FROM:AT"),
        ("--set", "state", USAGE, "state"),
        ("--set", "max_concurrent_requests = 0", CONFIG, "out of range"),
        ("--outbound", "ftp://x", CONFIG, "outbound"),
    ] {
        let ended = run(soloist().args(["plugin", "run"]).arg(&file).args([flag, value])).await;
        assert_eq!(ended.status.code(), Some(code), "{}", ended.output);
        assert!(ended.output.contains(word), "no {word:?} in:\n{}", ended.output);
    }
}

/// How the folders begin in which `soloist plugin run` and `soloist dev` keep a copy of the plugin.
const COPY: &str = "/soloist-";

/// A copy of the plugin is run, which no person has named.
#[tokio::test]
async fn what_cannot_be_run_is_named_as_it_was_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.wasm");
    fs::write(&file, "no plugin").expect("a file");
    let ended = run(soloist().args(["plugin", "run"]).arg(&file)).await;
    let named = format!("the plugin {} is not WebAssembly", file.display());
    let error = ended.output.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(!ended.status.success() && error.contains(&named), "{}", ended.output);
    assert!(!ended.output.contains(COPY), "it names a copy:\n{}", ended.output);
    let ended = run(soloist().args(["plugin", "run"]).arg(folder.path())).await;
    let project = format!("`cd {} && soloist dev`", folder.path().display());
    assert!(!ended.status.success() && ended.output.contains(&project), "{}", ended.output);
}

/// Whoever has the program alone has a plugin.
#[tokio::test]
async fn the_program_writes_a_plugin_to_try_it_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plugins/i-am-server.wasm");
    let example = || {
        let mut command = soloist();
        command.args(["plugin", "example"]).current_dir(folder.path());
        command
    };
    let wrote = run(&mut example()).await;
    assert!(wrote.status.success(), "{}", wrote.output);
    assert!(wrote.output.contains("wrote plugins/i-am-server.wasm"), "{}", wrote.output);
    let seen = inspect(&file, &[]).await;
    assert!(seen.output.contains("can run it as http"), "{}", seen.output);
    let again = run(&mut example()).await;
    assert!(again.status.success() && again.output.contains("there already"), "{}", again.output);
    fs::write(&file, "mine").expect("a file");
    let refused = run(&mut example()).await;
    assert_eq!(refused.status.code(), Some(REFUSED), "{}", refused.output);
    assert!(refused.output.contains("help: "), "{}", refused.output);
    assert_eq!(fs::read_to_string(&file).expect("a text"), "mine");
    let left = fs::read_dir(file.parent().expect("a folder")).expect("a folder").count();
    assert_eq!(left, 1, "nothing else is in the folder");
}

/// Files that people have put into the folder by mistake.
#[tokio::test]
async fn what_is_no_plugin_is_called_what_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.wasm");
    let module = b"\0asm\x01\0\0\0";
    for (bytes, form, mend) in [
        (&b""[..], "empty file", "copy it again"),
        (b"<html>404</html>", "text", "download it again"),
        (b"(module)", "text format of WebAssembly", "wasm-tools parse"),
        (b"\x7fELF\x02\x01\x01\0", "program for a processor (ELF)", "wasm32-wasip2"),
        (module, "core module", "without an entry point"),
    ] {
        fs::write(&file, bytes).expect("a file");
        let seen = inspect(&file, &[]).await;
        assert_eq!(seen.status.code(), Some(DATA), "{}", seen.output);
        for part in [&format!(": {form}, "), "cannot run it", mend] {
            assert!(seen.output.contains(part), "no {part:?} in:\n{}", seen.output);
        }
        assert!(!seen.output.contains("component,"), "it is none:\n{}", seen.output);
        let seen = inspect(&file, &["--json"]).await;
        let sheet: Value = serde_json::from_str(&seen.output).expect("JSON");
        assert_eq!((&sheet["form"], &sheet["runs"]), (&form.into(), &false.into()), "{sheet}");
    }
}

#[tokio::test]
async fn what_a_plugin_could_be_is_told() {
    let seen = inspect(&plugins().join("uptime.wasm"), &["--json"]).await;
    let sheet: Value = serde_json::from_str(&seen.output).expect("JSON");
    assert_eq!(sheet["kinds"], "http", "{sheet}");
    assert_eq!(sheet["more_kinds"], serde_json::json!(["service"]), "{sheet}");
    let seen = inspect(&plugins().join("fan-out.wasm"), &[]).await;
    assert!(seen.output.contains("tasks "), "it asks for `tasks`:\n{}", seen.output);
}

/// A component that no host has compiled yet: the same with an additional, empty section.
fn unseen(component: &Path) -> Vec<u8> {
    let mut bytes = fs::read(component).expect("a component");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let name = format!("{:032}", now.expect("a time").as_nanos());
    // A custom section: its id, its length, the length of its name, and the name.
    bytes.extend([0, 33, 32]);
    bytes.extend(name.as_bytes());
    bytes
}

/// The settings are in a file next to the component. The job runs on demand, through the control
/// address.
#[tokio::test]
async fn a_plugin_runs_alone_by_the_settings_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.wasm");
    fs::write(&file, unseen(&guests().join("service-done.wasm"))).expect("a copy");
    fs::write(folder.path().join("report.toml"), "schedule = \"none\"\n").expect("a file");
    let mut command = soloist();
    // As one types it: in the file's folder, by its bare name.
    command.current_dir(folder.path()).args(["plugin", "run", "--watch", "report.wasm"]);
    let mut process = Process::start(&mut command);
    let says = |text: &'static str| {
        move |line: &Value| line.as_str().is_some_and(|line| line.contains(text))
    };
    process.log.find(0, "its settings", says("report.toml")).await;
    process.log.find(0, "that it compiles", says("compiling report.wasm, ")).await;
    process.log.find(0, "the job", says("action report is running")).await;
    let told = process.log.find(0, "the control address", says("control API on http://")).await;
    let url = told.as_str().and_then(|line| line.split("control API on ").nth(1)).expect("a URL");
    let url = url.split_whitespace().next().expect("a URL");
    let ran = run(soloist().args(["job", "run", "report", "--wait", "--url", url])).await;
    assert!(ran.status.success(), "{}\n{}", ran.output, process.log);
    fs::remove_file(&file).expect("a file");
    process.log.find(0, "that it is gone", says("report.wasm was removed")).await;
    assert!(process.terminate().await.success(), "{}", process.log);
    let log = process.log.to_string();
    assert!(!log.contains(COPY), "it names a copy:\n{log}");
}

/// A task takes no HTTP requests, so the command that calls it is shown instead of an address.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_runs_alone_says_how_it_is_called() {
    let mut command = soloist();
    command.args(["plugin", "run"]).arg(guests().join("work.wasm"));
    let mut process = Process::start(&mut command);
    let says = |line: &Value| line.as_str().is_some_and(|line| line.contains("soloist task call "));
    let told = process.log.find(0, "how it is called", says).await;
    let (_, line) = told.as_str().and_then(|line| line.split_once("soloist ")).expect("a line");
    let called = run(soloist().args(line.split_whitespace()).arg("echo hello")).await;
    assert!(called.status.success(), "{line}: {}\n{}", called.output, process.log);
    assert!(process.terminate().await.success(), "{}", process.log);
}

#[tokio::test]
async fn a_mistake_of_a_run_is_shown_where_a_person_wrote_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("web.wasm");
    fs::copy(plugins().join("i-am-server.wasm"), &file).expect("a copy");
    let mut command = soloist();
    command.args(["plugin", "run"]).arg(&file).args(["--set", "max_concurrent_requests = 0"]);
    let flags = run(&mut command).await.output;
    assert!(
        flags.contains("the flags of `plugin run`") && !flags.contains("soloist.toml"),
        "{flags}"
    );
    fs::write(file.with_extension("toml"), "max_concurrent_requests = 0\nlisten = 3000\n")
        .expect("a file");
    let ended = run(soloist().args(["plugin", "run"]).arg(&file)).await;
    assert_eq!(ended.status.code(), Some(CONFIG), "{}", ended.output);
    for part in ["web.toml:1:27", "web.toml:2:10"] {
        assert!(ended.output.contains(part), "no {part:?} in:\n{}", ended.output);
    }
}

/// `soloist dev > dev.log` in a project's folder; the project's build copies a component.
struct Dev {
    project: tempfile::TempDir,
    process: tokio::process::Child,
    web: Web,
}

impl Dev {
    fn start(component: &Path, flags: &[&str]) -> Self {
        let project = tempfile::tempdir().expect("a folder");
        fs::copy(component, project.path().join("source")).expect("a copy");
        let manifest = "build = \"cp source web.wasm\"\noutput = \"web.wasm\"\n";
        fs::write(project.path().join("dev.toml"), manifest).expect("a file");
        let listen = at(own_address(), 3000);
        let printed = fs::File::create(project.path().join("dev.log")).expect("a file");
        let mut command = soloist();
        command.arg("dev").arg(project.path()).args(["--", "--listen", &listen.to_string()]);
        command.args(flags).stdout(printed.try_clone().expect("a handle")).stderr(printed);
        let process = command.kill_on_drop(true).spawn().expect("soloist");
        Self { project, process, web: Web::new(listen) }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.project.path().join(name)
    }

    /// The output so far.
    fn log(&self) -> String {
        fs::read_to_string(self.path("dev.log")).expect("a text")
    }

    /// Waits until the output contains this text `times` times.
    async fn says(&self, text: &str, times: usize) {
        let said = async {
            while self.log().matches(text).count() < times {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let said = timeout(PATIENCE, said).await;
        said.unwrap_or_else(|_| panic!("not {times} times {text:?}:\n{}", self.log()));
    }

    async fn stop(mut self) {
        let pid = self.process.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        kill_process(pid.expect("a process"), Signal::INT).expect("it runs");
        assert!(self.process.wait().await.expect("its end").success(), "{}", self.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dev_prints_into_its_project_is_no_change_of_it() {
    let dev = Dev::start(&plugins().join("i-am-server.wasm"), &[]);
    // The log is in the project's folder, so the next look at the settings sees what it contains.
    dev.says("is running on", 1).await;
    dev.web.until("an answer", |_| true).await;
    fs::write(dev.path("web.toml"), "access_log = false\n").expect("a file");
    dev.says("is running on", 2).await;
    assert_eq!(dev.log().matches("built in").count(), 1, "{}", dev.log());
    dev.stop().await;
}

/// State outlasts a change of the plugin.
#[tokio::test(flavor = "multi_thread")]
async fn dev_keeps_state_over_new_settings_and_over_a_new_build() {
    let dev = Dev::start(&guests().join("state.wasm"), &["--state"]);
    dev.web.until_at("/set/greeting/hello", "a write", |_| true).await;
    let kept = async || {
        dev.web.until_at("/get/greeting", "hello", |answer| answer.body.trim() == "hello").await
    };
    // Changed settings take effect on a new host.
    fs::write(dev.path("web.toml"), "max_queued_requests = 8\n").expect("a file");
    dev.says("is running on", 2).await;
    kept().await;
    fs::write(dev.path("source"), unseen(&guests().join("state.wasm"))).expect("a file");
    dev.says("was prepared again", 1).await;
    kept().await;
    // It is built to this file, and run from a copy.
    let named = format!("compiling {}, ", dev.path("web.wasm").display());
    dev.says(&named, 1).await;
    assert!(!dev.log().contains(COPY), "it names a copy:\n{}", dev.log());
    dev.stop().await;
}
