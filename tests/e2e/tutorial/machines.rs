//! Three machines: networks of their own behind one switch, each with a folder.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command as Std, Stdio},
};

use tempfile::TempDir;
use tokio::process::Command;

pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];

/// Makes the networks, and keeps them until its input ends. Without root's rights, this happens in
/// a user namespace.
const NETWORKS: &str = "
    set -e
    mount -t tmpfs none /run
    ip link add switch type bridge
    ip link set switch up
    n=0
    for name in a b c; do
        n=$((n + 1))
        ip netns add $name
        ip link add port-$name type veth peer name eth0 netns $name
        ip link set port-$name master switch up
        ip -n $name addr add 10.0.0.$n/24 dev eth0
        ip -n $name link set eth0 up
        ip -n $name link set lo up
    done
    echo ready
    exec cat";

pub(super) struct Machines {
    holder: Child,
    folder: TempDir,
    /// Programs that go on, each with its machine.
    running: Vec<(&'static str, Child)>,
}

impl Machines {
    /// Machines whose folders are empty.
    pub(super) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        for name in NAMES {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let mut holder = Std::new("unshare");
        holder.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", NETWORKS]);
        let mut holder =
            holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare");
        let mut said = String::new();
        let mut output = BufReader::new(holder.stdout.take().expect("piped"));
        output.read_line(&mut said).expect("it says something");
        assert_eq!(said.trim(), "ready", "no namespaces of users and networks here");
        Self { holder, folder, running: Vec::new() }
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command that runs a script on a machine, in its folder.
    fn command(&self, name: &str, script: &str) -> Std {
        let target = self.holder.id().to_string();
        let mut command = Std::new("nsenter");
        command.args(["--user", "--preserve-credentials", "--net", "--mount"]);
        command.args(["--target", &target, "--"]);
        command.args(["ip", "netns", "exec", name, "bash", "-c"]);
        let script = format!("cd {}\n{script}", self.folder(name).display());
        command.arg(script).stdin(Stdio::null());
        for (variable, _) in env::vars_os() {
            let text = variable.to_string_lossy();
            if text.starts_with("SOLOIST_") || text.starts_with("ETCD") {
                command.env_remove(&variable);
            }
        }
        let cache = self.folder(name).join("cache");
        command.env("PATH", path()).env("NO_COLOR", "1").env("XDG_CACHE_HOME", cache);
        command
    }

    /// Runs a script on a machine; returns whether it succeeds, and what it prints.
    pub(super) async fn run(&self, name: &str, script: &str) -> (bool, String) {
        let output = Command::from(self.command(name, script)).output().await.expect("nsenter");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    /// Starts a script that goes on, on each machine.
    pub(super) fn start_on(&mut self, names: &[String], script: &str) {
        let chosen = |(_, name): &(usize, &str)| names.iter().any(|it| it == name);
        for (number, name) in NAMES.into_iter().enumerate().filter(chosen) {
            let script = of_machine(script, number, name);
            let file = self.folder(name).join("log");
            let log = fs::File::options().create(true).append(true).open(file).expect("a log");
            let mut command = self.command(name, &script);
            command.stdout(log.try_clone().expect("a file")).stderr(log);
            self.running.push((name, command.spawn().expect("nsenter")));
        }
    }

    pub(super) fn write_on_each(&self, file: &str, text: &str) {
        for (number, name) in NAMES.into_iter().enumerate() {
            let text = of_machine(text, number, name);
            fs::write(self.folder(name).join(file), text).expect("a file");
        }
    }

    /// Copies what was made on `a` to the machines that it is for.
    pub(super) fn copy_certificates(&self) {
        let copy = |from: &str, name: &str, to: &str| {
            let from = self.folder("a").join(from);
            if from.exists() {
                fs::copy(from, self.folder(name).join(to)).expect("a copy");
            }
        };
        for (number, name) in NAMES.into_iter().enumerate() {
            let address = format!("10.0.0.{}", number + 1);
            copy(&format!("{address}.pem"), name, "host.pem");
            copy(&format!("{address}.key"), name, "host.key");
            for file in ["ca.pem", "tokens.toml", "ops.token"].iter().filter(|_| name != "a") {
                copy(file, name, file);
            }
        }
    }

    /// Ends everything on a machine at once.
    pub(super) fn switch_off(&mut self, name: &str) {
        let all =
            self.command(name, &format!("ip netns pids {name} | xargs --no-run-if-empty kill -9"));
        end(all);
        self.running.retain_mut(|(machine, program)| {
            if *machine == name {
                program.wait().expect("it has ended");
            }
            *machine != name
        });
    }

    /// What the programs have printed.
    pub(super) fn logs(&self) -> String {
        let log =
            |name: &str| fs::read_to_string(self.folder(name).join("log")).unwrap_or_default();
        NAMES.map(|name| format!("--- log of {name} ---\n{}", log(name))).concat()
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in NAMES {
            let pids = format!("ip netns pids {name} | xargs --no-run-if-empty kill -9");
            end(self.command(name, &pids));
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        self.running.iter_mut().for_each(|(_, program)| drop(program.wait()));
    }
}

/// Runs the command that ends all programs of a machine, itself among them.
fn end(mut all: Std) {
    let _ = all.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// What is written for the machine `a` as it is on another one.
fn of_machine(text: &str, number: usize, name: &str) -> String {
    let address = format!("10.0.0.{}", number + 1);
    let own = |line: &str| {
        let is_own = line.starts_with("ADDRESS=") || line.starts_with("SOLOIST_");
        if !is_own {
            return line.to_owned();
        }
        line.replace("10.0.0.1", &address).replace("NAME=a", &format!("NAME={name}"))
    };
    text.lines().map(own).collect::<Vec<_>>().join("\n") + "\n"
}

/// Where the programs of the tutorial are: this `soloist`, and the tests' etcd.
fn path() -> String {
    let of = |program: &Path| program.parent().expect("a folder").display().to_string();
    let soloist = of(Path::new(env!("CARGO_BIN_EXE_soloist")));
    let etcd = env::var_os("SOLOIST_TEST_ETCD").map(|etcd| of(Path::new(&etcd)));
    let usual = env::var("PATH").expect("a path");
    [Some(soloist), etcd, Some(usual)].into_iter().flatten().collect::<Vec<_>>().join(":")
}
