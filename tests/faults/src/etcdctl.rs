//! etcd's own client, as operators use it: with all rights, and over networks that faults do not
//! touch.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use soloist_devtools::cmd;

use super::member::PORT;
use super::net::Node;

/// The user and the password of the hosts.
pub(super) const LOGIN: &str = "soloist:secret";
/// The user and the password of the administrator.
const ROOT: &str = "root:secret";

/// The program `etcdctl`.
pub(super) struct Etcdctl {
    program: PathBuf,
}

impl Etcdctl {
    /// The `etcdctl` in the folder of `etcd`, or else the one of this machine.
    pub(super) fn sibling(etcd: &Path) -> Self {
        let sibling = etcd.with_file_name("etcdctl");
        let found = sibling.exists().then_some(sibling).or_else(|| cmd::find("etcdctl"));
        Self { program: found.unwrap_or_else(|| "etcdctl".into()) }
    }

    /// Runs a command at one member; returns its output.
    pub(super) fn at(&self, node: Node, words: &[&str]) -> Result<String> {
        // A member that has just come back may be busy for a while. And the login, with a default
        // time-out of two seconds, waits for a member that has fallen behind.
        let patience = ["--command-timeout", "30s", "--dial-timeout", "30s"];
        cmd::output(self.command(node).args(words).args(patience))
    }

    /// Runs a command at one member; returns its output, which is JSON.
    pub(super) fn json(&self, node: Node, words: &[&str]) -> Result<Value> {
        let text = self.at(node, &[words, &["--write-out", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("etcdctl {words:?} says {text:?}"))
    }

    /// Runs a command with `input`; returns whether it succeeded.
    pub(super) fn takes(&self, node: Node, words: &[&str], input: &Path) -> Result<bool> {
        let mut command = self.command(node);
        command.args(words).args(["--command-timeout", "5s"]);
        command.stdin(File::open(input)?).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status().context("cannot start etcdctl")?.success())
    }

    /// A command that talks to no member.
    pub(super) fn offline(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("ETCDCTL_API", "3");
        command
    }

    /// Switches etcd's authentication on. Hosts may use the keys under `prefix`.
    pub(super) fn guard(&self, node: Node, prefix: &str) -> Result<()> {
        for login in [ROOT, LOGIN] {
            let user = login.split(':').next().unwrap_or_default();
            self.at(node, &["user", "add", login])?;
            self.at(node, &["role", "add", user])?;
            self.at(node, &["user", "grant-role", user, user])?;
        }
        let role = LOGIN.split(':').next().unwrap_or_default();
        self.at(node, &["role", "grant-permission", role, "readwrite", "--prefix", prefix])?;
        self.at(node, &["auth", "enable"]).map(drop)
    }

    /// Ends all logins of the hosts. etcd does that when their user gets a password, even the same
    /// one (etcd: `authStore.UserChangePassword`). `folder` is for temporary files.
    pub(super) fn end_logins(&self, node: Node, folder: &Path) -> Result<()> {
        let (user, password) = LOGIN.split_once(':').context("a login")?;
        let input = folder.join("password");
        fs::write(&input, format!("{password}\n"))?;
        let words = ["user", "passwd", user, "--interactive=false"];
        ensure!(self.takes(node, &words, &input)?, "etcd takes no password");
        Ok(())
    }

    fn command(&self, node: Node) -> Command {
        let mut command = self.offline();
        let endpoint = node.client(PORT).to_string();
        command.args(["--endpoints", &endpoint, "--user", ROOT]);
        command
    }
}
