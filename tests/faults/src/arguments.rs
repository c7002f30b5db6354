//! The command line of the fault bench.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use super::kind::{Kind, StoreKind};
use super::seeds;

/// Run a cluster under faults, and check what clients see (as root)
#[derive(Parser)]
#[command(name = "cargo xtask faults", bin_name = "cargo xtask faults")]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) step: Option<Step>,
    #[command(flatten)]
    pub(super) faults: Faults,
}

/// Parts of the bench that it starts as a process of their own.
#[derive(Subcommand)]
pub(super) enum Step {
    /// The run that is among the checks
    #[command(hide = true)]
    Check,
    /// The part that runs in the sandbox
    #[command(hide = true)]
    Inside(Box<Inside>),
}

/// How to run the fault bench.
#[derive(Args, Clone)]
pub(super) struct Faults {
    /// How long to inject faults
    #[arg(long, default_value_t = 10.0, value_name = "N")]
    pub(super) minutes: f64,
    /// What the plan of faults follows from [default: another one each time]
    #[arg(long, value_name = "S")]
    pub(super) seed: Option<u64>,
    /// A file with a seed a line; each has its share of the time
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    pub(super) seeds_file: Option<PathBuf>,
    /// The store of the hosts
    #[arg(long, value_enum, default_value_t = StoreKind::Etcd, value_name = "STORE")]
    pub(super) store: StoreKind,
    /// The lease in seconds; etcd grants whole ones, from 2
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(super) ttl: u64,
    /// Only faults of these kinds, as in the report
    #[arg(long, value_delimiter = ',', value_name = "KIND,…")]
    pub(super) only: Vec<String>,
    /// Leave the register out
    #[arg(long)]
    pub(super) without_register: bool,
    /// Take a soloist that is built without optimisations
    #[arg(long)]
    pub(super) debug_build: bool,
}

/// The arguments of the part in the sandbox.
#[derive(Args)]
pub(super) struct Inside {
    #[command(flatten)]
    pub(super) faults: Faults,
    #[arg(long)]
    pub(super) soloist: PathBuf,
    /// The server of the store.
    #[arg(long)]
    pub(super) server: PathBuf,
    #[arg(long)]
    pub(super) web: PathBuf,
    #[arg(long)]
    pub(super) files: PathBuf,
    #[arg(long)]
    pub(super) register: Option<PathBuf>,
}

impl Faults {
    /// The same options as arguments, for the part in the sandbox.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["inside".into()];
        arguments.push(format!("--minutes={}", self.minutes).into());
        arguments.push(format!("--ttl={}", self.ttl).into());
        arguments.push(format!("--store={}", self.store.name()).into());
        if let Some(seed) = self.seed {
            arguments.push(format!("--seed={seed}").into());
        }
        if let Some(file) = &self.seeds_file {
            arguments.extend(["--seeds-file".into(), file.into()]);
        }
        if !self.only.is_empty() {
            arguments.push(format!("--only={}", self.only.join(",")).into());
        }
        arguments
    }

    pub(super) fn seeds(&self) -> Result<Vec<u64>> {
        let Some(file) = &self.seeds_file else {
            return Ok(vec![self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000))]);
        };
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read the seeds in {}", file.display()))?;
        seeds::parse(&text).with_context(|| format!("in {}", file.display()))
    }

    pub(super) fn kinds(&self) -> Result<Vec<Kind>> {
        let all = Kind::of(self.store);
        if self.only.is_empty() {
            return Ok(all);
        }
        let find = |name: &String| {
            let found = all.iter().copied().find(|kind| kind.name() == name);
            found.with_context(|| format!("no kind of fault is {name:?}; {}", list(&all)))
        };
        self.only.iter().map(find).collect()
    }
}

fn list(kinds: &[Kind]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    format!("there are: {}", names.join(", "))
}
