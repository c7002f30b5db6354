//! Files that hang. A named pipe without a writer blocks every process that opens it, as a file
//! does whose server is gone.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use soloist_devtools::http::Connection;

use crate::clock;
use crate::cluster::TestCluster;
use crate::history::Action;
use crate::injected_fault::{InjectedFault, Observation};
use crate::kind::DRAIN;
use crate::net::Node;
use crate::plan::Fault;

/// More requests than an action has threads for files.
const REQUESTS: usize = 60;
/// How long a stop may take: the drain, twice the budget of the stop, and the delays of a busy
/// machine.
const STOP: Duration = Duration::from_secs(2).saturating_add(DRAIN);

/// Lets requests to the leader hang in a file, and then stops the leader.
pub(super) fn run(cluster: &mut TestCluster, fault: &Fault) -> Result<InjectedFault> {
    let leader = cluster.leader()?.node;
    let pipe = cluster.files.join("pipe");
    let mut injected =
        InjectedFault::begin(fault.kind, leader.name.to_owned(), &cluster.clients.view());
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).context("cannot make a pipe")?;
    let hanging = hang(cluster, leader)?;
    let observation = cluster.observe_answers("the leader goes on answering others", fault.hold)?;
    injected.observations.push(observation);
    injected.follow(&cluster.clients.view());
    cluster.host(leader)?.signal(Signal::TERM)?;
    cluster.wait_for_newer(injected.fencing_token)?;
    cluster.wait_for_end(leader)?;
    let took = Duration::from_nanos(clock::now() - injected.since);
    let failed = (took > STOP).then(|| format!("{} took {took:.1?}", leader.name));
    let what = "a host that is asked to stop is gone in time".to_owned();
    injected.observations.push(Observation { what, failed: failed.into_iter().collect() });
    drop(hanging);
    fs::remove_file(&pipe).context("cannot remove a pipe")?;
    injected.heal();
    cluster.host(leader)?.restart()?;
    Ok(injected)
}

/// Sends requests until all threads for files hang.
fn hang(cluster: &mut TestCluster, leader: Node) -> Result<Vec<Connection>> {
    let mut hanging = Vec::new();
    for _ in 0..REQUESTS {
        let within = Duration::from_secs(1);
        let mut connection = Connection::open(leader.client(Action::Files.port()), within)?;
        connection.send("/read?/data/pipe").context("the leader takes no request")?;
        hanging.push(connection);
    }
    let all_hang = |cluster: &mut TestCluster| {
        let busy = cluster.host(leader)?.file_threads();
        Ok(busy.is_some_and(|busy| busy >= THREADS))
    };
    cluster.wait_until("files hang", all_hang)?;
    Ok(hanging)
}

/// The number of threads that an action has for files.
const THREADS: f64 = 32.0;
