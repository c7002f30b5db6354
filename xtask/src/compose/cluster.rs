//! The running example: its containers, and requests to its hosts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use soloist_devtools::cmd;
use soloist_devtools::http::{Answer, get};

use super::engine::Engine;

/// The hosts whose ports are published on this machine.
pub(super) const HOSTS: [&str; 3] = ["a", "b", "c"];
/// How long to wait for an event. The tests do not measure speed by it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a host holds a request while there is no leader.
const ANSWER: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The running example.
pub(super) struct ComposeCluster<'a> {
    engine: &'a Engine,
    folder: PathBuf,
}

/// The leader, as an answer names it.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    pub(super) host: String,
    pub(super) fencing_token: u64,
}

impl<'a> ComposeCluster<'a> {
    /// The example whose `docker-compose.yml` is in `folder`.
    pub(super) fn new(engine: &'a Engine, folder: &Path) -> Self {
        Self { engine, folder: folder.to_owned() }
    }

    /// The folder with `docker-compose.yml`.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The plugins folder of the hosts.
    pub(super) fn plugins(&self) -> PathBuf {
        self.folder.join("plugins")
    }

    /// Runs `docker-compose` and returns what it prints.
    pub(super) fn compose(&self, arguments: &[&str]) -> Result<String> {
        cmd::output(self.engine.compose(arguments).current_dir(&self.folder))
    }

    /// Runs `docker` and returns what it prints.
    pub(super) fn docker(&self, arguments: &[&str]) -> Result<String> {
        cmd::output(&mut self.docker_command(arguments))
    }

    fn docker_command(&self, arguments: &[&str]) -> Command {
        self.engine.docker(arguments)
    }

    /// The id of a service's container, which need not be running.
    pub(super) fn container(&self, service: &str) -> Result<String> {
        let id = self.compose(&["ps", "--all", "--quiet", service]);
        // Version 1 of docker-compose has no `--all`: it lists stopped containers anyway.
        let id = id.or_else(|_| self.compose(&["ps", "--quiet", service]))?;
        Ok(id.trim().to_owned())
    }

    /// One field of a container, by a template of `docker inspect`.
    pub(super) fn inspect(&self, service: &str, what: &str) -> Result<String> {
        let id = self.container(service)?;
        Ok(self.docker(&["inspect", "--format", what, &id])?.trim().to_owned())
    }

    /// The answer of `host` at its published address.
    pub(super) fn ask(&self, host: &str, path: &str) -> Option<Answer> {
        get(address(host)?, path, ANSWER)
    }

    /// The leader, if `host` answers with the page of the plugin.
    pub(super) fn leader_by(&self, host: &str) -> Option<Leader> {
        let answer = self.ask(host, "/").filter(|answer| answer.status == 200)?;
        let leader = Leader { host: answer.host?, fencing_token: answer.fencing_token? };
        (answer.body == format!("I am server {}\n", leader.host)).then_some(leader)
    }

    /// The output of `soloist status` in the container of `host`.
    pub(super) fn status(&self, host: &str) -> Result<Value> {
        let text = self.compose(&["exec", "-T", host, "soloist", "status", "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("no status: {text}"))
    }

    /// Waits until `host`, which is running, sees `count` live hosts.
    pub(super) fn sees(&self, host: &str, count: usize) -> Result<()> {
        until(&format!("{host} sees {count} hosts"), PATIENCE, || {
            let status = self.status(host).ok()?;
            let members = status["hosts"].as_array()?;
            let live = members.iter().filter(|member| member["live"] == true).count();
            (live == count).then_some(())
        })
        .map(drop)
    }

    /// The logs of all containers.
    pub(super) fn logs(&self) -> Result<String> {
        self.compose(&["logs", "--no-color"])
    }

    /// Removes the containers and volumes; fails if any is left.
    pub(super) fn down(&self) -> Result<()> {
        self.compose(&["down", "--volumes", "--remove-orphans"])?;
        let left = self.docker(&["ps", "--all", "--quiet"])?
            + &self.docker(&["volume", "ls", "--quiet"])?;
        if !left.is_empty() {
            bail!("`docker-compose down` has left something:\n{left}");
        }
        Ok(())
    }
}

/// The published address of `host`.
fn address(host: &str) -> Option<SocketAddr> {
    let place = HOSTS.iter().position(|name| *name == host)?;
    Some(SocketAddr::from(([127, 0, 0, 1], 3001 + u16::try_from(place).ok()?)))
}

/// Waits until `look` returns something; returns that, and the time that it took.
pub(super) fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Result<(T, Duration)> {
    let begun = SystemTime::now();
    loop {
        let found = look();
        let took = begun.elapsed().unwrap_or_default();
        match found {
            Some(found) if took <= within => return Ok((found, took)),
            _ if took > within => bail!("{what}: not within {within:?}"),
            _ => sleep(LOOK_EVERY),
        }
    }
}

/// Waits like [`until`], where no promise limits the time.
pub(super) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> Result<T> {
    until(what, PATIENCE, look).map(|(found, _)| found)
}
