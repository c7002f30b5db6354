//! The experiments that `examples/compose/README.md` suggests, one function each; and whether the
//! example with PostgreSQL can be read.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use super::DROPPED;
use super::cluster::{ComposeCluster, HOSTS, Leader, eventually, until};

/// `lease.ttl` of the example.
const TTL: Duration = Duration::from_secs(5);
/// How long a take-over may take beyond the TTL: etcd looks for expired leases twice a second, and
/// the winner starts its actions on a machine that also runs everything else here.
const TAKE_OVER: Duration = Duration::from_secs(4);
/// How long a planned hand-over may take: it waits for no lease.
const HAND_OVER: Duration = Duration::from_secs(3);
/// How long a stop may take. Docker kills what still runs after `stop_grace_period`, 20 s.
const STOP: Duration = Duration::from_secs(8);

/// Runs all experiments. Each one finds three running hosts.
pub(super) fn run(cluster: &ComposeCluster<'_>) -> Result<()> {
    type Check = fn(&ComposeCluster<'_>) -> Result<Duration>;
    let checks: [(&str, Check); 10] = [
        ("the example with PostgreSQL is read", with_postgres),
        ("up: three addresses, one leader", up),
        ("the image: no root, healthy", image),
        ("kill: another leads", kill),
        ("pause: another leads, and no late word", pause),
        ("cut off: another leads", cut_off),
        ("a plugin dropped in answers", drop_in),
        ("stop: handed over, exit code 0", stop),
        ("scale: two more stand by", scale),
        ("one member of etcd less: nothing", lose_a_member),
    ];
    for (what, check) in checks {
        let took = check(cluster).with_context(|| format!("{what}: it did not come so"))?;
        eprintln!("{what:44} {:5.2} s", took.as_secs_f64());
    }
    Ok(())
}

/// Its containers are not started: the images here are of Debian's packages, and PostgreSQL's is not
/// among them.
fn with_postgres(cluster: &ComposeCluster<'_>) -> Result<Duration> {
    let begun = SystemTime::now();
    cluster.compose(&["--file", "postgres/docker-compose.yml", "config", "--quiet"])?;
    Ok(begun.elapsed()?)
}

/// `up -d`, without a build: the image exists.
fn up(cluster: &ComposeCluster<'_>) -> Result<Duration> {
    let begun = SystemTime::now();
    cluster.compose(&["up", "-d", "--no-build"])?;
    let leader = eventually("somebody leads", || cluster.leader_by("a"))?;
    for host in HOSTS {
        cluster.sees(host, HOSTS.len())?;
        let same = cluster.leader_by(host).filter(|other| other.host == leader.host);
        ensure!(same.is_some(), "{host} does not answer with the page of {}", leader.host);
    }
    Ok(begun.elapsed()?)
}

fn image(cluster: &ComposeCluster<'_>) -> Result<Duration> {
    let user = cluster.inspect("a", "{{.Config.User}}")?;
    ensure!(user == "65532:65532", "it runs as user {user:?}");
    let begun = SystemTime::now();
    for host in HOSTS {
        eventually(&format!("{host} is healthy"), || {
            let health = cluster.inspect(host, "{{.State.Health.Status}}").ok()?;
            (health == "healthy").then_some(())
        })?;
    }
    Ok(begun.elapsed()?)
}

/// The leader's machine crashes, comes back and joins the queue.
fn kill(cluster: &ComposeCluster<'_>) -> Result<Duration> {
    let (former, witness) = leader_and_witness(cluster)?;
    cluster.compose(&["kill", &former.host])?;
    let took = another_leads(cluster, &former, witness, TTL + TAKE_OVER)?;
    cluster.compose(&["start", &former.host])?;
    all_stand(cluster)?;
    Ok(took)
}

/// The leader freezes. After it wakes up, it does not answer earlier requests as the leader.
fn pause(cluster: &ComposeCluster<'_>) -> Result<Duration> {
    let (former, witness) = leader_and_witness(cluster)?;
    cluster.compose(&["pause", &former.host])?;
    let took = another_leads(cluster, &former, witness, TTL + TAKE_OVER)?;
    let answers = thread::scope(|scope| {
        let asked = [(); 8].map(|()| scope.spawn(|| cluster.ask(&former.host, "/")));
        cluster.compose(&["unpause", &former.host])?;
        let answers = asked.map(|thread| thread.join().ok().flatten());
        anyhow::Ok(answers.into_iter().flatten().collect::<Vec<_>>())
    })?;
    ensure!(!answers.is_empty(), "{} has answered nothing since it was frozen", former.host);
    for answer in answers {
        let late =
            answer.fencing_token.is_some_and(|fencing_token| fencing_token <= former.fencing_token);
        ensure!(!late, "a late word of {}: {}", former.host, answer.body);
    }
    eventually("the former leader answers with the page of the next", || {
        cluster.leader_by(&former.host).filter(|leader| leader.fencing_token > former.fencing_token)
    })?;
    all_stand(cluster)?;
    Ok(took)
}

/// The leader loses its network, and with it the store.
fn cut_off(cluster: &ComposeCluster<'_>) -> Result<Duration> {
    let (former, witness) = leader_and_witness(cluster)?;
    let container = cluster.container(&former.host)?;
    let network = "compose_default";
    cluster.docker(&["network", "disconnect", network, &container])?;
    let took = another_leads(cluster, &former, witness, TTL + TAKE_OVER)?;
    let alias = &former.host;
    cluster.docker(&["network", "connect", "--alias", alias, network, &container])?;
    all_stand(cluster)?;
    eventually("the former leader answers again", || cluster.leader_by(&former.host))?;
    Ok(took)
}

/// A plugin is dropped in, answers at every host, and is removed.
fn drop_in(cluster: &ComposeCluster<'_>) -> Result<Duration> {
    let files = [format!("{DROPPED}.toml"), format!("{DROPPED}.wasm")];
    let path = format!("/{DROPPED}");
    // Without the plugin, the one at `/` answers here too, with another page.
    let is_there = |host| Some(cluster.ask(host, &path)?.body.contains("Nothing is checked yet"));
    let answer_all = |there: bool| -> Result<()> {
        for host in HOSTS {
            let what = format!("{host} answers with{} {DROPPED}", if there { "" } else { "out" });
            eventually(&what, || (is_there(host)? == there).then_some(()))?;
        }
        Ok(())
    };
    answer_all(false)?;
    let begun = SystemTime::now();
    for file in &files {
        fs::copy(cluster.folder().join(file), cluster.plugins().join(file))?;
    }
    answer_all(true)?;
    let took = begun.elapsed()?;
    for file in files.iter().rev() {
        fs::remove_file(cluster.plugins().join(file))?;
    }
    answer_all(false)?;
    Ok(took)
}

/// `docker stop` is a hand-over: no process has to be killed.
fn stop(cluster: &ComposeCluster<'_>) -> Result<Duration> {
    let (former, witness) = leader_and_witness(cluster)?;
    let container = cluster.container(&former.host)?;
    let (took, stopped) = thread::scope(|scope| {
        let stopping = scope.spawn(|| {
            let begun = SystemTime::now();
            cluster.docker(&["stop", "--time", "20", &container])?;
            anyhow::Ok(begun.elapsed()?)
        });
        let took = another_leads(cluster, &former, witness, HAND_OVER);
        (took, stopping.join())
    });
    let stopped = stopped.ok().context("the thread has panicked")??;
    let code = cluster.inspect(&former.host, "{{.State.ExitCode}}")?;
    ensure!(code == "0", "{} has ended with code {code}", former.host);
    ensure!(stopped < STOP, "{} took {stopped:?} to stop", former.host);
    cluster.compose(&["start", &former.host])?;
    all_stand(cluster)?;
    took
}

/// More hosts than three join the queue, and leave it again.
fn scale(cluster: &ComposeCluster<'_>) -> Result<Duration> {
    let begun = SystemTime::now();
    cluster.compose(&["up", "-d", "--no-build", "--scale", "more=2"])?;
    cluster.sees("a", HOSTS.len() + 2)?;
    let took = begun.elapsed()?;
    cluster.compose(&["up", "-d", "--no-build", "--scale", "more=0"])?;
    all_stand(cluster)?;
    Ok(took)
}

/// Two of three etcd members are a majority: the term outlasts its lease.
fn lose_a_member(cluster: &ComposeCluster<'_>) -> Result<Duration> {
    let (leader, witness) = leader_and_witness(cluster)?;
    cluster.compose(&["kill", "etcd1"])?;
    let begun = SystemTime::now();
    while begun.elapsed()? < TTL + Duration::from_secs(1) {
        if let Some(now) = cluster.leader_by(witness) {
            ensure!(
                now.fencing_token == leader.fencing_token,
                "{} leads, not {}",
                now.host,
                leader.host
            );
        }
        thread::sleep(Duration::from_millis(100));
    }
    let now = eventually("somebody leads", || cluster.leader_by(witness))?;
    ensure!(now.fencing_token == leader.fencing_token, "{} leads, not {}", now.host, leader.host);
    cluster.compose(&["start", "etcd1"])?;
    Ok(begun.elapsed()?)
}

/// The leader, and a host that does not lead.
fn leader_and_witness(cluster: &ComposeCluster<'_>) -> Result<(Leader, &'static str)> {
    let leader =
        eventually("somebody leads", || HOSTS.iter().find_map(|host| cluster.leader_by(host)))?;
    match HOSTS.into_iter().find(|host| *host != leader.host) {
        Some(witness) => Ok((leader, witness)),
        None => bail!("every host is the leader"),
    }
}

/// Waits until `witness` answers with the page of another leader; returns how long that took.
fn another_leads(
    cluster: &ComposeCluster<'_>,
    former: &Leader,
    witness: &str,
    within: Duration,
) -> Result<Duration> {
    let (leader, took) = until("another host leads", within, || {
        cluster.leader_by(witness).filter(|leader| leader.fencing_token != former.fencing_token)
    })?;
    ensure!(leader.host != former.host, "{} leads again", former.host);
    ensure!(
        leader.fencing_token > former.fencing_token,
        "the fencing token has gone back: {leader:?} after {former:?}"
    );
    Ok(took)
}

/// Waits until all three hosts report themselves that they stand.
fn all_stand(cluster: &ComposeCluster<'_>) -> Result<()> {
    for host in HOSTS {
        cluster.sees(host, HOSTS.len())?;
        eventually(&format!("{host} stands"), || {
            let status = cluster.status(host).ok()?;
            let role = &status["groups"]["main"]["role"];
            ["leader", "next", "standby"].iter().any(|stands| role == stands).then_some(())
        })?;
    }
    Ok(())
}
