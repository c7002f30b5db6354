//! The load generator wrk, with one thread, so that the server has the other cores.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use soloist_devtools::packages::Package;
use soloist_devtools::{cmd, paths};

const WRK: Package =
    Package { program: "wrk", apt: &[&["wrk"]], dnf: &[&["wrk"]], brew: &[&["wrk"]] };

/// Finds wrk, or installs it.
pub(crate) fn ensure() -> Result<PathBuf> {
    WRK.ensure()
}

/// The results of one round of load.
#[derive(Debug, PartialEq)]
pub(crate) struct Round {
    /// Answers per second.
    pub(crate) rate: f64,
    /// The 99th percentile of the latency, in milliseconds.
    pub(crate) p99: f64,
}

/// How the 32 connections send requests.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// As fast as possible, to find the throughput.
    Full,
    /// With pauses, to find the latency: each server gets the same number of requests, which is
    /// less than it can answer. Under full load the latency would rather show how the server and
    /// the load share the cores, and the fastest server would have the most to do.
    Paused,
}

/// Runs wrk against `address` for `time`, and parses its output.
pub(crate) fn measure(
    wrk: &Path,
    address: SocketAddr,
    load: Load,
    time: Duration,
) -> Result<Round> {
    let mut command = Command::new(wrk);
    command.args(["-t1", "-c32", "--latency"]).arg(format!("-d{}s", time.as_secs()));
    if let Load::Paused = load {
        command.arg("-s").arg(paths::repo().join("tests/bench/src/http/pauses.lua"));
    }
    read(&cmd::output(command.arg(format!("http://{address}/")))?)
}

fn read(report: &str) -> Result<Round> {
    if let Some(trouble) =
        report.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"))
    {
        bail!("not every request is answered: {}", trouble.trim());
    }
    let field = |label: &str| {
        let line = report.lines().find_map(|line| line.trim().strip_prefix(label));
        line.map(str::trim)
            .with_context(|| format!("wrk's report has no line {label:?}:\n{report}"))
    };
    Ok(Round { rate: field("Requests/sec:")?.parse()?, p99: milliseconds(field("99%")?)? })
}

fn milliseconds(text: &str) -> Result<f64> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)];
    let read = |(unit, factor): (&str, f64)| {
        text.strip_suffix(unit)?.parse().ok().map(|time: f64| time * factor)
    };
    units.into_iter().find_map(read).with_context(|| format!("{text:?} is no time of wrk's"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "  Latency Distribution\n     50%  301.00us\n     99%    1.43ms\n\
                          Requests/sec:  44801.96\n";

    #[test]
    fn a_report_is_read() -> Result<()> {
        assert_eq!(read(REPORT)?, Round { rate: 44801.96, p99: 1.43 });
        assert!((milliseconds("250.00us")? - 0.25).abs() < 1e-9);
        assert!((milliseconds("1.50s")? - 1500.0).abs() < 1e-9);
        assert!(milliseconds("soon").is_err());
        Ok(())
    }

    #[test]
    fn a_round_with_errors_counts_for_nothing() {
        let with = |line: &str| read(&format!("{REPORT}  {line}\n"));
        assert!(with("Non-2xx or 3xx responses: 12").is_err());
        assert!(with("Socket errors: connect 0, read 3, write 0, timeout 0").is_err());
        assert!(read("").is_err());
    }
}
