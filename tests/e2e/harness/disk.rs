//! A small disk of its own for a host, which can be full.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command as Std, Stdio},
};

use tokio::process::Command;

/// A disk in memory, mounted on a folder in a separate mount namespace. Only commands that are
/// [brought there](Self::bring) see it, and it disappears with the process that holds it.
pub(crate) struct Disk {
    holder: Child,
}

impl Disk {
    /// A disk of `mib` MiB on `folder`.
    pub(crate) fn on(folder: &Path, mib: u32) -> Self {
        Self::made_by(Std::new("unshare"), folder, mib)
    }

    /// The same for programs of the user `uid`, if this is root.
    pub(crate) fn of(uid: u32, folder: &Path, mib: u32) -> Self {
        let mut holder = Std::new("unshare");
        if rustix::process::geteuid().is_root() {
            holder.uid(uid).gid(uid);
        }
        Self::made_by(holder, folder, mib)
    }

    fn made_by(mut holder: Std, folder: &Path, mib: u32) -> Self {
        let script =
            "mount -t tmpfs -o mode=700,size=\"$1\"m none \"$2\" && echo mounted && exec cat";
        // Without root's rights, this happens in a user namespace.
        holder.args(["--user", "--map-current-user", "--keep-caps", "--mount"]);
        holder.args(["sh", "-c", script, "sh", &mib.to_string()]).arg(folder);
        holder.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = holder.spawn().expect("unshare starts");
        let mut said = String::new();
        let mut output = BufReader::new(holder.stdout.take().expect("piped"));
        output.read_line(&mut said).expect("it says something");
        assert_eq!(said.trim(), "mounted", "no namespaces of users and mounts here");
        Self { holder }
    }

    /// What to prefix a command with so that it runs inside the namespace of the disk, in `folder`.
    pub(crate) fn prefix(&self, folder: &Path) -> Vec<OsString> {
        let target = self.holder.id().to_string();
        let enter = ["nsenter", "--user", "--preserve-credentials", "--mount", "--target", &target];
        // A process that enters a mount namespace starts in its root folder.
        let then = ["--", "sh", "-c", "cd \"$0\" && exec \"$@\""];
        let words = enter.into_iter().chain(then).map(OsString::from);
        words.chain([folder.as_os_str().to_owned()]).collect()
    }

    /// The same command, inside the namespace of the disk.
    pub(crate) fn bring(&self, command: &Command) -> Command {
        let plain = command.as_std();
        let mut prefix = self.prefix(plain.get_current_dir().unwrap_or(Path::new("/"))).into_iter();
        let mut brought = Command::new(prefix.next().expect("a program"));
        brought.args(prefix).arg(plain.get_program()).args(plain.get_args());
        brought.stdin(Stdio::null()).kill_on_drop(true);
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => brought.env(name, value),
                None => brought.env_remove(name),
            };
        }
        brought
    }

    /// Runs the shell script `script` inside the namespace of the disk; `$1` is `folder`.
    pub(crate) async fn shell(&self, script: &str, folder: &Path) {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(folder);
        let ended = self.bring(&command).status().await.expect("a shell");
        assert!(ended.success(), "{script}: {ended}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
