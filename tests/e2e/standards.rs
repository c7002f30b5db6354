//! Standard components find here what they find in wasmtime: its own test programs for `wasi:http`
//! 0.2 and 0.3, rewritten as plugins (`guests/http-checks`, `guests/http-checks-concurrent`), make
//! the same checks on a soloist host.
//!
//! wasmtime's programs are `crates/test-programs/src/bin/{p2,p3}_{http,api_proxy}*.rs`, and their
//! driver is in `crates/wasi-http/tests`. Where the sandbox answers differently on purpose, the
//! table in this test has the reason; `docs/plugins.md` has the totals.

mod client;
mod incoming;
mod outgoing;
mod server;
mod table;
mod zero_three;
mod zero_two;

use std::net::SocketAddr;

use self::{
    server::{Full, Server},
    table::{Table, World},
};
use crate::harness::{
    at,
    client::Web,
    cluster::{Cluster, Kind},
    guests, own_address,
};

/// A host with both plugins, and the servers that they may call.
struct Stage {
    cluster: Cluster,
    zero_two: SocketAddr,
    zero_three: SocketAddr,
    server: Server,
    /// A server that speaks HTTP/2 only.
    modern: Server,
    full: Full,
}

impl Stage {
    async fn up() -> Self {
        let mut cluster =
            Cluster::with_plugin(Kind::Sqlite, guests().join("http-checks.wasm")).await;
        let (zero_two, zero_three) = (cluster.web_at, at(own_address(), 3000));
        let (server, modern) = (Server::of_http_1().await, Server::of_http_2().await);
        let full = Full::start().await;
        let outbound = format!(
            "outbound = [\"http://{}\", \"http://{}\", \"http://{}\", \"http://{zero_three}\", \
             \"http://{}\", \"http://*.{}\"]\n",
            server.address,
            modern.address,
            full.address,
            // At the default port, which is used when a URL has none.
            server.address.ip(),
            outgoing::BELOW,
        );
        let plugin = guests().join("http-checks-concurrent.wasm");
        cluster.start_with(
            "a",
            &format!(
                "access_log = true\n{outbound}[action.concurrent]\nplugin = \"{}\"\n\
                 listen = \"{zero_three}\"\n{outbound}",
                plugin.display()
            ),
        );
        cluster.stands("a").await;
        cluster.leading("a").await;
        for at in [zero_two, zero_three] {
            Web::new(at).until_any_at("/", "an answer", |_| true).await;
        }
        Self { cluster, zero_two, zero_three, server, modern, full }
    }

    /// The address of the plugin for this WIT world.
    fn plugin(&self, world: World) -> SocketAddr {
        match world {
            World::ZeroTwo => self.zero_two,
            World::ZeroThree => self.zero_three,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_wasmtime_find_what_they_find_there() {
    let stage = Stage::up().await;
    let mut table = Table::default();
    for world in [World::ZeroTwo, World::ZeroThree] {
        outgoing::check(&stage, world, &mut table).await;
        incoming::check(&stage, world, &mut table).await;
    }
    zero_two::check(&stage, &mut table).await;
    zero_three::check(&stage, &mut table).await;
    println!("{table}");
    table.holds();
    let docs = include_str!("../../docs/plugins.md");
    for line in table.totals() {
        assert!(docs.contains(&line), "docs/plugins.md does not say: {line}");
    }
}
