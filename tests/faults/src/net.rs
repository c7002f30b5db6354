//! The networks: one namespace a node, two networks a node.
//!
//! ```text
//!   this namespace: clients ─┬─ bridge 10.98.0.254 ─── the switch (UDP 4789)
//!                            │                           ▲
//!        veth a    veth b … veth etcd-3                  │ each packet of the
//!          │         │         │                         │ store network
//!   ┌── host-a ──┐ ┌ … ┐ ┌── etcd-3 ──┐                  │
//!   │ u0 10.98.  │       │ u0         │ client network: straight over the bridge
//!   │ s0 10.97.  │       │ s0         │ store network: VXLAN over u0 to the switch
//!   └────────────┘       └────────────┘
//! ```
//!
//! Clients reach a host over the client network also when it is cut off from
//! etcd. Every packet of the store network goes through the switch, a thread of
//! this program, which is what cuts, delays and loses packets: each direction
//! between each two nodes by itself, without a word to anyone. That asks for
//! less than `tc` and `nft` do, whose parts are missing in many a kernel.
//!
//! Neighbours are known for good: a node that is cut off must look like one
//! whose packets are lost, not like one that has left the segment.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use soloist_devtools::cmd;

use super::sandbox::tool;

/// Where the switch listens for the packets of the store network.
pub(super) const SWITCH: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 98, 0, 254)), VXLAN_PORT);

/// Where nodes take packets of the store network: VXLAN's own port.
const VXLAN_PORT: u16 = 4789;

/// A machine of its own, as far as the network goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The name of its namespace.
    pub(super) name: &'static str,
    /// The last byte of its addresses, from 1 to 15.
    pub(super) id: u8,
}

impl Node {
    /// Its address on the client network.
    pub(super) fn client(self, port: u16) -> SocketAddr {
        (Ipv4Addr::new(10, 98, 0, self.id), port).into()
    }

    /// Its address on the store network.
    pub(super) fn store(self, port: u16) -> SocketAddr {
        (Ipv4Addr::new(10, 97, 0, self.id), port).into()
    }

    /// A command that runs on it.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = tool("ip");
        command.args(["netns", "exec", self.name]).arg(program);
        command
    }

    /// Connects it to the client network, or cuts it off: all packets of its are
    /// dropped at the bridge, and its link stays up.
    pub(super) fn set_connected(self, connected: bool) -> Result<()> {
        // 3 is forwarding, 0 is disabled.
        let state = if connected { "3" } else { "0" };
        let mut command = tool("bridge");
        command.args(["link", "set", "dev", &format!("v{}", self.id), "state", state]);
        cmd::output(&mut command).map(drop)
    }
}

/// Makes the networks of `nodes`. They go with the namespace that this runs in.
pub(super) fn build(nodes: &[Node]) -> Result<()> {
    let mut hub = String::from(
        "link set lo up\n\
         link add bridge address 02:00:00:00:01:fe type bridge\n\
         addr add 10.98.0.254/24 dev bridge\n\
         link set bridge up\n",
    );
    for Node { name, id } in nodes {
        hub += &format!(
            "netns add {name}\n\
             link add v{id} type veth peer name u0 address 02:00:00:00:01:{id:02x} netns {name}\n\
             link set v{id} master bridge up\n\
             neigh add 10.98.0.{id} lladdr 02:00:00:00:01:{id:02x} dev bridge nud permanent\n"
        );
    }
    ip(&[], &hub)?;
    for node in nodes {
        ip(&["-n", node.name], &inside(*node, nodes))?;
    }
    Ok(())
}

/// The batch of commands that sets up the inside of a namespace.
fn inside(node: Node, nodes: &[Node]) -> String {
    let id = node.id;
    // One segment a packet: the kernel must not hand over packets to cut.
    let mut batch = format!(
        "link set lo up\n\
         addr add 10.98.0.{id}/24 dev u0\n\
         link set u0 up\n\
         neigh add 10.98.0.254 lladdr 02:00:00:00:01:fe dev u0 nud permanent\n\
         link add s0 address 02:00:00:00:00:{id:02x} gso_max_segs 1 \
         type vxlan id 1 remote 10.98.0.254 dstport {VXLAN_PORT} dev u0 nolearning\n\
         addr add 10.97.0.{id}/24 dev s0\n\
         link set s0 up\n"
    );
    for other in nodes.iter().filter(|other| other.id != id) {
        let id = other.id;
        batch += &format!(
            "neigh add 10.97.0.{id} lladdr 02:00:00:00:00:{id:02x} dev s0 nud permanent\n"
        );
    }
    batch
}

/// Runs a batch of `ip` commands.
fn ip(arguments: &[&str], batch: &str) -> Result<()> {
    let mut ip = tool("ip")
        .args(arguments)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start `ip`")?;
    if let Some(mut stdin) = ip.stdin.take() {
        stdin.write_all(batch.as_bytes()).context("cannot speak to `ip`")?;
    }
    let done = ip.wait_with_output()?;
    if !done.status.success() {
        let text = String::from_utf8_lossy(&done.stderr);
        bail!(
            "cannot make the networks (the kernel needs namespaces, veth, bridge and vxlan):\n{}",
            text.trim_end()
        );
    }
    Ok(())
}
