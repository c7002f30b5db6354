//! Projects of `soloist plugin new`: they build with the commands that it prints, and run.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use super::{COMPILING, Cluster, Kind, stands};
use crate::harness::{
    at,
    client::Web,
    own_address,
    process::{Process, run, soloist},
};

/// A new project that was built.
pub(super) struct Project {
    /// The project is in this folder.
    _folder: TempDir,
    name: String,
    root: PathBuf,
    plugin: PathBuf,
}

impl Project {
    async fn of(lang: &str, kind: &str) -> Self {
        Self::begun(&format!("my-{kind}"), lang, &["--lang", lang, "--kind", kind]).await
    }

    /// A project from a template; all templates are in Rust.
    pub(super) async fn of_template(template: &str) -> Self {
        Self::begun(&format!("my-{template}"), "rust", &["--template", template]).await
    }

    async fn begun(name: &str, lang: &str, flags: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut new = soloist();
        new.args(["plugin", "new", name]).args(flags).arg("--in");
        let told = run(new.arg(folder.path())).await;
        assert!(told.status.success(), "{}", told.output);
        let root = folder.path().join(name);
        share(lang, &root);
        for line in told.output.lines().filter_map(|line| line.strip_prefix("    ")) {
            if !line.starts_with("cd ") && !line.starts_with("npm install") {
                build(&root, line).await;
            }
        }
        let plugin = built(&root, &told.output);
        Self { _folder: folder, name: name.to_owned(), root, plugin }
    }

    fn settings(&self, cluster: &Cluster) -> String {
        let shared = without_actions(cluster);
        format!("{shared}[action.mine]\nplugin = \"{}\"\n", self.plugin.display())
    }

    /// Puts the component where its README says, and its settings with these texts replaced.
    pub(super) fn put(&self, cluster: &Cluster, replaced: &[(&str, &str)]) {
        let (plugins, settings) =
            (cluster.folder.path().join("plugins"), self.name.clone() + ".toml");
        let mut text = fs::read_to_string(self.root.join(&settings)).expect("its settings");
        for (old, new) in replaced {
            assert!(text.contains(old), "{old} stands in {text}");
            text = text.replace(old, new);
        }
        fs::write(plugins.join(settings), text).expect("a file");
        fs::copy(&self.plugin, plugins.join(self.name.clone() + ".wasm")).expect("a copy");
    }
}

/// The settings of the cluster without its web action.
pub(super) fn without_actions(cluster: &Cluster) -> String {
    let shared = cluster.configuration("");
    let (shared, _) = shared.split_once("[action.web]").expect("the web action");
    shared.to_owned()
}

/// Shares what all projects have in common: npm's packages, which take a minute to install, and the
/// crates that generate bindings for Rust.
pub(crate) fn share(lang: &str, root: &Path) {
    let (variable_name, place) = match lang {
        "js" => ("SOLOIST_TEST_NODE_MODULES", "node_modules"),
        "rust" => ("SOLOIST_TEST_CARGO_TARGET", "target"),
        _ => return,
    };
    symlink(variable(variable_name), root.join(place)).expect("a link");
}

/// Runs a command line that soloist has printed, in the project's folder.
pub(crate) async fn build(folder: &Path, line: &str) {
    let mut command = Command::new("sh");
    command.args(["-ec", line]).current_dir(folder).kill_on_drop(true);
    command.env("PATH", variable("SOLOIST_TEST_PATH")).env_remove("CARGO_TARGET_DIR");
    let output = timeout(COMPILING, command.output()).await.expect("in time").expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}:\n{text}");
}

/// The file in the copy command that soloist has printed.
fn built(root: &Path, told: &str) -> PathBuf {
    let sentence = told.lines().last().expect("how to run it");
    let path = sentence.split(' ').find(|word| word.contains(".wasm")).expect("a file");
    let path = root.parent().expect("a parent").join(path);
    assert!(path.is_file(), "{} is not there: {told}", path.display());
    path
}

pub(super) fn variable(name: &str) -> OsString {
    let way = "`cargo xtask test`, with nothing behind it or with `-- languages::`";
    env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run this by {way}"))
}

/// The project answers with its name, the path, and the term.
async fn http(lang: &str) {
    let project = Project::of(lang, "http").await;
    let mut cluster = Cluster::with_plugin(Kind::Sqlite, project.plugin.clone()).await;
    cluster.start("a");
    stands(&cluster, "a").await;
    let answer = cluster.web.until_at("/x/y?z", "an answer", |_| true).await;
    // Some languages answer with the path only.
    let begin = format!("{} at /x/y", project.name);
    let end = format!(": host a, fencing token {}\n", answer.fencing_token);
    assert!(answer.body.starts_with(&begin) && answer.body.ends_with(&end), "{}", answer.body);
}

/// `soloist dev` builds and runs the project, and builds it again when its source changes.
async fn dev(lang: &str) {
    let project = Project::of(lang, "http").await;
    fs::remove_file(&project.plugin).expect("it was built");
    let listen = at(own_address(), 3000);
    let web = Web::new(listen);
    let mut command = soloist();
    command.arg("dev").arg(&project.root).args(["--", "--listen", &listen.to_string()]);
    command.env("PATH", variable("SOLOIST_TEST_PATH")).env_remove("CARGO_TARGET_DIR");
    let mut dev = Process::start(&mut command);
    let says = async |text: &'static str| {
        let saying = async {
            loop {
                match web.get("/").await.filter(|answer| answer.body.starts_with(text)) {
                    Some(answer) => return answer,
                    None => sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let said = timeout(COMPILING, saying).await;
        said.unwrap_or_else(|_| panic!("{text} is not said:\n{}", dev.log))
    };
    let first = says("my-http at /").await;
    let source = ["src/lib.rs", "plugin.c", "plugin.py"].map(|file| project.root.join(file));
    let source = source.iter().find(|file| file.is_file()).expect("a source");
    let text = fs::read_to_string(source).expect("its text");
    let edited = text.replace("my-http at", "edited at");
    assert_ne!(text, edited, "what it says stands in {}", source.display());
    // A failed build leaves the running version alone.
    fs::write(source, "this is no program").expect("a mistake");
    let failed = |line: &Value| line.as_str().is_some_and(|line| line.contains("build failed"));
    dev.log.find_within(COMPILING, 0, "word of the build", failed).await;
    says("my-http at /").await;
    fs::write(source, edited).expect("an edit");
    let second = says("edited at /").await;
    assert_eq!(first.fencing_token, second.fencing_token, "the term goes on");
    dev.signal(Signal::INT);
    let status = dev.ended().await;
    assert!(status.success(), "{status}:\n{}", dev.log);
    assert_eq!(web.get("/").await, None, "somebody still serves");
}

/// The service works until it is notified that the term is ending.
async fn service(lang: &str) {
    let project = Project::of(lang, "service").await;
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let settings = project.settings(&cluster);
    cluster.start_from("a", &settings);
    stands(&cluster, "a").await;
    let fencing_token = cluster.leading("a").await["fencing_token"].clone();
    let says =
        |text: String| move |line: &Value| line["message"].as_str().is_some_and(|m| m == text);
    let log = cluster.host("a").log.clone();
    let name = &project.name;
    for turn in [1, 2] {
        let text = format!("{name}: turn {turn} (host a, fencing token {fencing_token})");
        log.find(0, &text.clone(), says(text)).await;
    }
    let log = cluster.terminate("a").await;
    let end = format!("{name}: the term is ending");
    let ended =
        |line: &Value| line["message"].as_str().is_some_and(|message| message.starts_with(&end));
    log.find(0, &end, ended).await;
}

/// The job does its work at each run.
async fn job(lang: &str) {
    let project = Project::of(lang, "job").await;
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let settings = project.settings(&cluster) + "schedule = \"every 1s\"\n";
    cluster.start_from("a", &settings);
    stands(&cluster, "a").await;
    let text = format!("{}: done, the sum is 500000500000", project.name);
    let done = |line: &Value| line["message"].as_str() == Some(&text);
    cluster.host("a").log.find(0, &text, done).await;
}

/// The task answers with its payload in capital letters.
async fn task(lang: &str) {
    let project = Project::of(lang, "task").await;
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let settings = project.settings(&cluster);
    cluster.start_from("a", &settings);
    let listens = |line: &Value| line["event"] == "listening";
    cluster.host("a").log.find_within(COMPILING, 0, "its address", listens).await;
    let offered = timeout(COMPILING, async {
        loop {
            let url = format!("http://{}/v1/tasks/mine", cluster.host("a").api().await);
            let answer = reqwest::Client::new().post(url).body("hello").send().await.unwrap();
            if answer.status() != 503 {
                return answer;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    let answer = offered.await.expect("the host takes no calls of it");
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (200, "HELLO".into()));
}

/// Makes tests for these kinds, in one language.
macro_rules! quick {
    ($module:ident, $lang:literal, $($kind:ident),+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $kind() {
                super::$kind($lang).await;
            })+
        }
    };
}

/// The same, for `cargo xtask ci` only.
macro_rules! slow {
    ($module:ident, $lang:literal, $($kind:ident),+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
            async fn $kind() {
                super::$kind($lang).await;
            })+
        }
    };
}

quick!(rust, "rust", http, service, job, task, dev);
quick!(c, "c", http, service, job, task, dev);
quick!(python, "python", http, dev);
slow!(python_too, "python", service, job, task);
slow!(go, "go", http, service, job, task);
slow!(javascript, "js", http, service, job, task);
