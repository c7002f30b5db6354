//! HAProxy in front of the hosts, with its default check: `OPTIONS / HTTP/1.0`, without a host.

use std::{collections::BTreeMap, fs, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::Ways;
use crate::harness::{PATIENCE, at, own_address};

/// A running HAProxy; it ends when this is dropped.
struct Balancer {
    _process: Child,
    socket: std::path::PathBuf,
    to: std::net::SocketAddr,
}

impl Balancer {
    async fn before(ways: &Ways) -> Self {
        let folder = ways.all.cluster.folder.path();
        let (socket, to) = (folder.join("haproxy.sock"), at(own_address(), 8080));
        let servers: String = (ways.ways.iter().enumerate())
            .filter(|(_, way)| way.prefix.is_empty())
            .map(|(number, way)| format!("    server way{number} {} check inter 100ms\n", way.to))
            .collect();
        let settings = format!(
            "global\n    stats socket {}\ndefaults\n    mode http\n    timeout connect 5s\n    \
             timeout client 30s\n    timeout server 30s\nfrontend web\n    bind {to}\n    \
             default_backend hosts\nbackend hosts\n    option httpchk\n    option forwardfor\n{servers}",
            socket.display()
        );
        let file = folder.join("haproxy.cfg");
        fs::write(&file, settings).expect("a file");
        let program = std::env::var_os("SOLOIST_TEST_HAPROXY").unwrap_or_else(|| "haproxy".into());
        let process = Command::new(program)
            .args(["-q", "-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("haproxy, of the Debian package of that name: `cargo xtask test` installs it");
        Self { _process: process, socket, to }
    }

    /// The state of each server (`UP` or not), and the result of its last check.
    async fn told(&self) -> Option<BTreeMap<String, (String, String)>> {
        let mut stream = UnixStream::connect(&self.socket).await.ok()?;
        stream.write_all(b"show stat\n").await.ok()?;
        let mut table = String::new();
        stream.read_to_string(&mut table).await.ok()?;
        let mut lines = table.lines();
        let columns: Vec<_> = lines.next()?.trim_start_matches("# ").split(',').collect();
        let column = |name: &str| columns.iter().position(|column| *column == name);
        let (name, status, check) = (column("svname")?, column("status")?, column("check_status")?);
        let rows = lines.map(|line| line.split(',').map(ToOwned::to_owned).collect::<Vec<_>>());
        let of_servers =
            rows.filter(|row| row.get(name).is_some_and(|name| name.starts_with("way")));
        Some(
            of_servers
                .map(|row| (row[name].clone(), (row[status].clone(), row[check].clone())))
                .collect(),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_finds_all_hosts_up_by_its_default_check() {
    let ways = Ways::to("reach.wasm", "").await;
    let balancer = Balancer::before(&ways).await;
    let mut last = None;
    let checked = timeout(PATIENCE, async {
        loop {
            last = balancer.told().await;
            // Servers count as up before their first check.
            let good = |(status, check): &(String, String)| status == "UP" && check == "L7OK";
            if last.as_ref().is_some_and(|all| all.len() == 3 && all.values().all(good)) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let checked = checked.await;
    assert!(checked.is_ok(), "{last:#?}");
    let answer = ways.all.get(format!("http://{}/all", balancer.to)).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["soloist-host"]),
        (200, &"a".parse().unwrap())
    );
}
