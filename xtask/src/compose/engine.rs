//! A Docker engine that shares nothing with the one that may run on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use soloist_devtools::{cmd, sandbox};

/// The control group of its containers.
pub(super) const CGROUP: &str = "soloist-compose";
/// How long the engine may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running engine.
pub(super) struct Engine {
    daemon: Child,
    socket: String,
}

impl Engine {
    /// Starts an engine that keeps everything in `folder`.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        seal_off()?;
        let engine = folder.join("engine");
        fs::create_dir_all(&engine)?;
        let log = fs::File::create(folder.join("dockerd.log"))?;
        let socket = format!("unix://{}", PathBuf::from("/run/soloist-docker.sock").display());
        let daemon = sandbox::tool("dockerd")
            .arg("--data-root")
            .arg(engine.join("data"))
            .arg("--exec-root")
            .arg(engine.join("exec"))
            .args(["--pidfile", "/run/soloist-docker.pid", "--host", &socket])
            .args(["--cgroup-parent", &format!("/{CGROUP}")])
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .spawn()
            .context("cannot start dockerd")?;
        let mut started = Self { daemon, socket };
        started
            .serves()
            .with_context(|| format!("{} says why", folder.join("dockerd.log").display()))?;
        Ok(started)
    }

    /// Waits until the engine serves. Its socket exists earlier and proves nothing.
    fn serves(&mut self) -> Result<()> {
        for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
            if cmd::output(&mut self.docker(&["version"])).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.daemon.try_wait()? {
                bail!("dockerd has ended ({status})");
            }
            sleep(LOOK_EVERY);
        }
        bail!("dockerd does not serve")
    }

    /// A `docker` command for this engine.
    pub(super) fn docker(&self, arguments: &[&str]) -> Command {
        self.at("docker", arguments)
    }

    /// A `docker-compose` command for this engine.
    pub(super) fn compose(&self, arguments: &[&str]) -> Command {
        self.at("docker-compose", arguments)
    }

    fn at(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = sandbox::tool(program);
        command.args(arguments).env("DOCKER_HOST", &self.socket);
        command
    }

    /// Builds the image `soloist` of `dockerfile` with the binary in `context`.
    pub(super) fn build(&self, dockerfile: &Path, context: &Path) -> Result<()> {
        let mut build = self.docker(&["build", "--tag", "soloist", "--target", "prebuilt"]);
        // The classic builder needs no plugin of Docker's command line.
        build.env("DOCKER_BUILDKIT", "0").arg("--file").arg(dockerfile).arg(context);
        cmd::output(&mut build).map(drop)
    }

    /// Stops the engine, and waits for its end.
    pub(super) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("dockerd has no id")?, Signal::TERM)?;
        let status = self.daemon.wait()?;
        if !status.success() {
            bail!("dockerd has ended badly ({status})");
        }
        Ok(())
    }
}

/// Mounts file systems in memory where an engine writes outside of its own folders.
fn seal_off() -> Result<()> {
    cmd::output(sandbox::tool("ip").args(["link", "set", "lo", "up"]))?;
    for folder in ["/run", "/opt"] {
        cmd::output(sandbox::tool("mount").args(["-t", "tmpfs", "none", folder]))?;
    }
    fs::create_dir("/run/etc").and_then(|()| fs::create_dir("/run/etc.work"))?;
    let layers = "lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc.work";
    cmd::output(sandbox::tool("mount").args(["-t", "overlay", "none", "-o", layers, "/etc"]))?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot let packets through")
}
