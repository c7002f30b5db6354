//! The tutorials in `docs/tutorial`: a reader who does what a page says sees what it says.
//!
//! What differs from run to run is left out of the comparison:
//! - `127.0.0.1`, which is an address of the test's own here;
//! - `laptop`, which is the name of this machine;
//! - numbers after `fencing token`, before `ms`, after `done after`, and the time in a run's name;
//! - what a command prints of which the page shows nothing, and of a command that keeps running
//!   all but the lines on the page, each of which may be a part of a longer one.
//!
//! Installing packages (`npm install`) takes a minute, so projects share what was installed before.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use rustix::{process::Signal, system::uname};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use super::{
    COMPILING,
    projects::{share, variable},
    tutorial_page::{Step, steps},
};
use crate::harness::{
    own_address,
    process::{Process, soloist},
};

/// Commands that run until they are stopped.
const KEEP_RUNNING: [&str; 2] = ["soloist run ", "soloist plugin run "];

/// Does what a page says.
struct Reader {
    _folder: TempDir,
    /// Where the next command is entered.
    at: PathBuf,
    lang: &'static str,
    address: Ipv4Addr,
    running: Vec<Process>,
}

impl Reader {
    fn new(lang: &'static str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let at = folder.path().to_owned();
        Self { _folder: folder, at, lang, address: own_address(), running: Vec::new() }
    }

    async fn follow(&mut self, step: Step) {
        match step {
            Step::Enter { command, output } => {
                let output = output.iter().map(|line| self.here(line)).collect::<Vec<_>>();
                self.enter(&self.here(&command), &output).await;
            }
            Step::Write { file, text } => {
                fs::write(self.at.join(file), self.here(&text)).expect("a file");
            }
            Step::Find { file, text } => {
                let there = fs::read_to_string(self.at.join(&file)).expect("a file");
                assert_eq!(there, text, "{file} differs from the page");
            }
            Step::Stop => {
                for mut process in self.running.drain(..) {
                    process.signal(Signal::INT);
                    let status = process.ended().await;
                    assert!(status.success(), "{status}:\n{}", process.log);
                }
            }
        }
    }

    /// A text of the page, as it is on this machine.
    fn here(&self, text: &str) -> String {
        let name = uname();
        let name = name.nodename().to_str().expect("text");
        text.replace("127.0.0.1", &self.address.to_string()).replace("laptop", name)
    }

    async fn enter(&mut self, command: &str, output: &[String]) {
        if let Some(folder) = command.strip_prefix("cd ") {
            self.at.push(folder);
        } else if KEEP_RUNNING.iter().any(|it| command.starts_with(it)) {
            self.keep_running(command, output).await;
        } else if !command.starts_with("npm install ") {
            let printed = self.shell(command).await;
            if !output.is_empty() {
                assert_eq!(settled(&printed), settled(&output.join("\n")), "{command}");
            }
            if let Some(project) = command.strip_prefix("soloist plugin new ") {
                let name = project.split(' ').next().expect("a name");
                share(self.lang, &self.at.join(name));
            }
        }
    }

    async fn keep_running(&mut self, command: &str, output: &[String]) {
        let process =
            Process::start(soloist().args(command.split(' ').skip(1)).current_dir(&self.at));
        for expected in output {
            let says =
                |line: &Value| line.as_str().is_some_and(|line| line.contains(expected.as_str()));
            process.log.find_within(COMPILING, 0, expected, says).await;
        }
        self.running.push(process);
    }

    /// What a command prints in the end.
    async fn shell(&self, line: &str) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_soloist")).parent().expect("a folder");
        let mut path = program.as_os_str().to_owned();
        path.push(":");
        path.push(variable("SOLOIST_TEST_PATH"));
        let mut command = Command::new("sh");
        command.args(["-ec", line]).current_dir(&self.at).kill_on_drop(true);
        command.env("PATH", path).env("NO_COLOR", "1").env_remove("CARGO_TARGET_DIR");
        let output = timeout(COMPILING, command.output()).await.expect("in time").expect("a shell");
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}:\n{text}");
        text.into_owned()
    }
}

/// The lines of `text` without the numbers that differ from run to run.
fn settled(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let settled = words.iter().enumerate().map(|(at, word)| {
            let before = at.checked_sub(1).map(|at| words[at]);
            let is_number = before == Some("token") || words.get(at + 1) == Some(&"ms");
            match word.split_once('@') {
                // The time of a run.
                Some((job, _)) => job,
                // How long a run took.
                None if before == Some("after") => "",
                None if is_number => word.trim_matches(|c: char| c.is_ascii_digit()),
                None => word,
            }
        });
        settled.collect::<Vec<_>>().join(" ")
    };
    text.trim_end().lines().map(line).collect()
}

async fn follow(lang: &'static str, page: &str) {
    let mut reader = Reader::new(lang);
    let steps = steps(page);
    assert!(steps.len() > 15 && steps.last() == Some(&Step::Stop), "{steps:?}");
    for step in steps {
        reader.follow(step).await;
    }
}

/// Makes a test of a page.
macro_rules! tutorial {
    ($(#[$slow:meta])? $language:ident, $lang:literal) => {
        #[tokio::test(flavor = "multi_thread")]
        $(#[$slow])?
        async fn $language() {
            let page = include_str!(concat!(
                "../../../docs/tutorial/first-plugin-",
                stringify!($language),
                ".md"
            ));
            follow($lang, page).await;
        }
    };
}

tutorial!(rust, "rust");
tutorial!(c, "c");
tutorial!(
    #[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
    python,
    "python"
);
tutorial!(
    #[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
    javascript,
    "js"
);
tutorial!(
    #[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
    go,
    "go"
);

#[test]
fn numbers_that_differ_are_left_out() {
    let other = "visit 1, host a, fencing token 17, deadline in 12 ms\n";
    assert_eq!(settled("visit 1, host a, fencing token 4, deadline in 4000 ms"), settled(other));
    assert_ne!(settled("visit 2, host a, fencing token 17, deadline in 12 ms"), settled(other));
    assert_ne!(settled("visit 1, host b, fencing token 17, deadline in 12 ms"), settled(other));
    let run = settled("report@2026-12-01T14:24:46.732Z-by-hand done after 12ms");
    assert_eq!(run, settled("report@2027-01-01T00:00:00.001Z-by-hand done after 3s"));
    assert_ne!(run, settled("report@2026-12-01T14:24:46.732Z-by-hand failed after 12ms"));
}
