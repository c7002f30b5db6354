//! `cargo xtask compose`: what `examples/compose/README.md` says, tried with real containers.
//!
//! A Docker engine of its own runs in a sandbox, with all that it has under
//! `target/compose/`: nothing else on this machine sees its containers, networks and images,
//! and all of it goes when the sandbox does. The sandbox has no network, so the images that
//! `Dockerfile` and `docker-compose.yml` name are made of Debian's packages, under the same
//! names.
//!
//! ```text
//!   run ─ images: packages → folders
//!    └─ sandbox ─ inside ─ engine: dockerd, images
//!                   └─ checks: kill, pause, cut off … ─ cluster: docker-compose, requests
//! ```

mod checks;
mod cluster;
mod engine;
mod images;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use soloist_devtools::packages::Package;
use soloist_devtools::{cmd, files, guests, paths, sandbox, setup, soloist};

use self::cluster::ComposeCluster;
use self::engine::Engine;

const DOCKERD: Package = Package {
    program: "dockerd",
    apt: &[&["docker.io"]],
    dnf: &[&["moby-engine"], &["docker-ce"]],
    brew: &[],
};
const COMPOSE: Package = Package {
    program: "docker-compose",
    apt: &[&["docker-compose"]],
    dnf: &[&["docker-compose"]],
    brew: &[],
};
const IP: Package =
    Package { program: "ip", apt: &[&["iproute2"]], dnf: &[&["iproute"]], brew: &[] };

/// The folder of the example in the repository.
const EXAMPLE: &str = "examples/compose";
/// The plugin that the example runs.
const PLUGIN: &str = "i-am-server";
/// The plugin that is dropped in; the example has settings for it.
const DROPPED: &str = "uptime";
/// The control groups of the kernel, of either version.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The options of the compose test.
#[derive(Args, Clone, Default)]
pub(crate) struct Compose {
    /// Take this soloist, instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// The arguments of the part that runs in the sandbox.
#[derive(Args)]
pub(crate) struct Inside {
    folder: PathBuf,
}

/// Prepares everything, and runs the experiments in the sandbox.
pub(crate) fn run(compose: &Compose) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "a Docker engine of its own takes root: run `cargo xtask compose` as root, or in a \
             virtual machine where you are"
        );
    }
    for package in [DOCKERD, COMPOSE, IP] {
        package.ensure()?;
    }
    setup::run()?;
    let binary = match &compose.binary {
        Some(binary) => binary.clone(),
        None => soloist::build()?,
    };
    let plugins = guests::plugins()?;
    let folder = paths::target().join("compose");
    clean(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    images::make(&folder)?;
    lay_out(&folder, &binary, &plugins)?;
    let arguments = [OsString::from("compose-inside"), folder.clone().into_os_string()];
    let outcome = sandbox::enter(&arguments, "the compose test");
    match &outcome {
        Ok(()) => clean(&folder)?,
        // The logs stay: they explain the failure.
        Err(_) => {
            forget(&folder)?;
            eprintln!("all logs are in {}", folder.display());
        }
    }
    outcome
}

/// Runs the experiments. This is the part in the sandbox.
pub(crate) fn inside(inside: &Inside) -> Result<()> {
    if !sandbox::is_inside() {
        bail!("run `cargo xtask compose`, which makes the place that this runs in");
    }
    let folder = &inside.folder;
    let engine = Engine::start(folder)?;
    let outcome = images::import(folder, &engine)
        .and_then(|()| engine.build(&paths::repo().join("Dockerfile"), &folder.join("context")))
        .and_then(|()| {
            let cluster = ComposeCluster::new(&engine, &folder.join("compose"));
            let outcome = checks::run(&cluster);
            // After a failed check, too: first the logs, then the containers.
            let logs =
                cluster.logs().and_then(|logs| Ok(fs::write(folder.join("hosts.log"), logs)?));
            outcome.and(logs).and(cluster.down())
        });
    outcome.and(engine.stop())
}

/// Copies the example and the content of its image, as they are after a build.
fn lay_out(folder: &Path, binary: &Path, plugins: &Path) -> Result<()> {
    let release = folder.join("context/target/release");
    fs::create_dir_all(&release)?;
    fs::copy(binary, release.join("soloist"))
        .with_context(|| format!("cannot copy {}", binary.display()))?;
    let example = folder.join("compose");
    files::copy_folder(&paths::repo().join(EXAMPLE), &example)?;
    for (plugin, place) in [(PLUGIN, example.join("plugins")), (DROPPED, example)] {
        let file = format!("{plugin}.wasm");
        fs::copy(plugins.join(&file), place.join(&file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    Ok(())
}

/// Removes everything that a run has left, even one that was killed.
fn clean(folder: &Path) -> Result<()> {
    forget(folder)?;
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Removes large folders, and the control groups, which outlive their processes.
fn forget(folder: &Path) -> Result<()> {
    for large in ["engine", "context", "images"] {
        let large = folder.join(large);
        if large.exists() {
            fs::remove_dir_all(&large)
                .with_context(|| format!("cannot remove {}", large.display()))?;
        }
    }
    // Version 2 has one tree; version 1 has one for each controller.
    let trees = fs::read_dir(CGROUPS).into_iter().flatten().flatten().map(|entry| entry.path());
    for tree in trees.chain([PathBuf::from(CGROUPS)]) {
        let ours = tree.join(engine::CGROUP);
        if ours.is_dir() {
            // Control groups without processes can be removed, the innermost first.
            cmd::output(
                sandbox::tool("find")
                    .arg(ours)
                    .args(["-depth", "-type", "d", "-exec"])
                    .args(["rmdir", "{}", "+"]),
            )?;
        }
    }
    Ok(())
}
