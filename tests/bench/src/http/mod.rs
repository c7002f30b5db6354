//! Requests a second of plugins, next to `wasmtime serve` on the same components, and as a share of
//! a bare hyper server, which shows what the sandbox costs.

mod components;
mod wasmtime;
pub(super) mod wrk;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use soloist_devtools::cargo::cargo;
use soloist_devtools::process::{Running, free_address};
use soloist_devtools::{cmd, guests, paths};
use tempfile::TempDir;

use self::components::Components;
use self::wrk::{Load, Round};
use super::figures::median;
use super::{BenchContext, web};

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(4);
/// Runs before each measurement: a server is slower at first.
const WARM_UP: Duration = Duration::from_secs(1);

/// How many requests one instance of `wasmtime serve` answers where instances are reused: its own
/// default for components of WASI 0.3.
const REUSE: usize = 128;

/// A server that is measured, and how to start it.
struct Contender<'a> {
    name: &'static str,
    start: Box<dyn Fn() -> Result<Server> + 'a>,
}

/// A running server.
struct Server {
    // Dropped before its folder.
    _process: Running,
    _folder: Option<TempDir>,
    address: SocketAddr,
}

pub(super) fn run(context: &BenchContext) -> Result<()> {
    let wrk = wrk::ensure()?;
    let wasmtime = wasmtime::ensure()?;
    let components = components::build()?;
    build_hyper()?;
    let bare = || Contender { name: "bare hyper", start: Box::new(start_hyper) };
    for comparison in comparisons(context, &wasmtime, &components) {
        println!("\n{}", comparison.title);
        let mut contenders = vec![comparison.soloist, comparison.wasmtime];
        contenders.extend(comparison.beside_hyper.then(bare));
        report(&compete(&wrk, &contenders)?);
    }
    Ok(())
}

/// Compares with another build of soloist, on the components that take the least time themselves.
pub(super) fn run_against(context: &BenchContext, other: &Path) -> Result<()> {
    let other = other.canonicalize().with_context(|| format!("no program {}", other.display()))?;
    let wrk = wrk::ensure()?;
    let guests = guests::test_guests()?;
    let (rust, concurrent) = (guests.join("hello.wasm"), guests.join("concurrent.wasm"));
    let cases = [
        ("WASI 0.2, Rust, an instance a request", &rust, "fresh"),
        ("WASI 0.2, Rust, reused", &rust, "reuse"),
        ("WASI 0.3, Rust, reused and concurrent", &concurrent, "reuse"),
    ];
    for (title, component, instances) in cases {
        println!("\n{title}");
        let contender = |name, program| Contender {
            name,
            start: soloist_with(context, program, component, instances),
        };
        let contenders = [contender("soloist", &*context.program), contender("the other", &*other)];
        report(&compete(&wrk, &contenders)?);
    }
    Ok(())
}

/// Soloist and its competitors, on one component.
struct Comparison<'a> {
    title: &'static str,
    soloist: Contender<'a>,
    wasmtime: Contender<'a>,
    beside_hyper: bool,
}

fn comparisons<'a>(
    context: &'a BenchContext,
    wasmtime: &'a Path,
    components: &'a Components,
) -> Vec<Comparison<'a>> {
    let comparison = |title, component: &'a Path, instances: &'static str, reuse| Comparison {
        title,
        soloist: Contender {
            name: "soloist",
            start: soloist_with(context, &context.program, component, instances),
        },
        wasmtime: Contender {
            name: "wasmtime serve",
            start: Box::new(move || wasmtime::serve(wasmtime, component, reuse)),
        },
        beside_hyper: false,
    };
    let Components { rust, concurrent, python, javascript } = components;
    let beside_hyper = |comparison| Comparison { beside_hyper: true, ..comparison };
    vec![
        beside_hyper(comparison("WASI 0.2, Rust, an instance a request", rust, "fresh", None)),
        beside_hyper(comparison("WASI 0.2, Rust, reused", rust, "reuse", Some(REUSE))),
        comparison("WASI 0.3, Rust, reused and concurrent", concurrent, "reuse", None),
        comparison("WASI 0.3, Rust, an instance a request", concurrent, "fresh", Some(1)),
        comparison("WASI 0.2, Python, reused", python, "reuse", Some(REUSE)),
        comparison("WASI 0.2, JavaScript, reused", javascript, "reuse", Some(REUSE)),
    ]
}

/// The results of one round.
struct RoundResults {
    /// Under as much load as the server takes.
    full: Round,
    /// Under a load that is the same for all servers.
    paused: Round,
}

/// Measures all in turn, several times, so that other load on the machine affects all of them. Only
/// one server runs at a time.
fn compete(
    wrk: &Path,
    contenders: &[Contender<'_>],
) -> Result<Vec<(&'static str, Vec<RoundResults>)>> {
    let mut results: Vec<_> = contenders.iter().map(|one| (one.name, Vec::new())).collect();
    for _ in 0..ROUNDS {
        for (contender, (name, rounds)) in contenders.iter().zip(&mut results) {
            let shown = show(wrk, contender);
            rounds.push(shown.with_context(|| format!("{name} cannot be measured"))?);
        }
    }
    Ok(results)
}

fn show(wrk: &Path, contender: &Contender<'_>) -> Result<RoundResults> {
    let server = (contender.start)()?;
    let measure = |load, time| wrk::measure(wrk, server.address, load, time);
    measure(Load::Full, WARM_UP)?;
    Ok(RoundResults { full: measure(Load::Full, TIME)?, paused: measure(Load::Paused, TIME)? })
}

/// Prints the medians, and the ratios of the first server to each of the others.
fn report(results: &[(&str, Vec<RoundResults>)]) {
    println!("  {:14} {:>12} {:>9} {:>12}   soloist:", "", "requests/s", "p99 ms", "paused p99");
    let mut first: Option<[f64; 3]> = None;
    for (name, rounds) in results {
        let middle =
            |of: fn(&RoundResults) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>());
        let own =
            [middle(|one| one.full.rate), middle(|one| one.full.p99), middle(|one| one.paused.p99)];
        let [rate, p99, paused] = own;
        print!("  {name:14} {rate:>12.0} {p99:>9.2} {paused:>12.2}");
        match first {
            None => println!(),
            Some([soloist, its_p99, its_paused]) => println!(
                "   {:.2} x the rate, {:.2} x and {:.2} x the p99",
                soloist / rate,
                its_p99 / p99,
                its_paused / paused
            ),
        }
        first.get_or_insert(own);
    }
}

fn build_hyper() -> Result<()> {
    let mut build = cargo("build");
    build.args(["--profile", "dist", "--locked", "--package", "soloist-bench"]);
    cmd::run(build.args(["--features", "bare-hyper", "--bin", "bare-hyper"]))
}

fn start_hyper() -> Result<Server> {
    let address = free_address()?;
    let mut command = Command::new(paths::target().join("dist/bare-hyper"));
    let mut process = Running::start("bare-hyper", command.arg(address.to_string()))?;
    process.wait_until("serving", || web::is_ok(address, "/"))?;
    Ok(Server { _process: process, _folder: None, address })
}

/// How to start `program` with one plugin.
fn soloist_with<'a>(
    context: &'a BenchContext,
    program: &'a Path,
    component: &'a Path,
    instances: &'a str,
) -> Box<dyn Fn() -> Result<Server> + 'a> {
    Box::new(move || start_soloist(context, program, component, instances))
}

/// Starts a host with one plugin, and a store of its own.
fn start_soloist(
    context: &BenchContext,
    program: &Path,
    component: &Path,
    instances: &str,
) -> Result<Server> {
    let folder = tempfile::tempdir_in(&context.scratch)?;
    let address = free_address()?;
    let plugin = folder.path().join("hello.wasm");
    fs::copy(component, &plugin)?;
    let settings = format!("instances = \"{instances}\"\nlisten = \"{address}\"\n");
    fs::write(plugin.with_extension("toml"), settings)?;
    let mut command = context.run_of(program, folder.path());
    command
        .current_dir(folder.path())
        .args(["--no-supervisor", "--name", "a", "--store", "sqlite:soloist.db"])
        .args(["--listen", &free_address()?.to_string()]);
    let mut process = Running::start("soloist", &mut command)?;
    process.wait_until("leading", || web::is_ok(address, "/"))?;
    Ok(Server { _process: process, _folder: Some(folder), address })
}
