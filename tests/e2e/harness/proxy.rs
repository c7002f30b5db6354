//! A bad network between a host and its store: slow, one-way, or silently dead.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    join,
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc::unbounded_channel, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

use super::{at, own_address};

/// The direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToStore,
    ToHost,
}

/// The bytes that are held back. They arrive when the network recovers, as lost packets do: TCP
/// sends them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    None,
    ToStore,
    ToHost,
    Both,
}

#[derive(Clone, Copy)]
struct Weather {
    delay: Duration,
    hole: Hole,
    /// Connections with a lower number are dead, without any notice.
    first_alive: usize,
    connections: usize,
}

/// Forwards connections to one address, under changeable conditions.
pub(crate) struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    /// A proxy in front of `target`, which forwards everything.
    pub(crate) async fn before(target: String) -> Self {
        Self::at(at(own_address(), 2379), target).await
    }

    /// The same, at an address that the tests' certificates are valid for.
    pub(crate) async fn secure(target: String) -> Self {
        Self::at(at(Ipv4Addr::LOCALHOST, 0), target).await
    }

    async fn at(address: SocketAddr, target: String) -> Self {
        let listener = TcpListener::bind(address).await.expect("an address");
        let address = listener.local_addr().expect("an address");
        let good =
            Weather { delay: Duration::ZERO, hole: Hole::None, first_alive: 0, connections: 0 };
        let weather = watch::Sender::new(good);
        let task = AbortOnDropHandle::new(tokio::spawn(serve(listener, target, weather.clone())));
        Self { address, weather, _task: task }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// Delays every byte from now on.
    pub(crate) fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Sets which bytes are held back.
    pub(crate) fn hole(&self, hole: Hole) {
        self.weather.send_modify(|weather| weather.hole = hole);
    }

    /// Lets all existing connections die silently; new ones work.
    pub(crate) fn forget(&self) {
        self.weather.send_modify(|weather| weather.first_alive = weather.connections);
    }
}

impl Weather {
    fn passes(&self, connection: usize, way: Way) -> bool {
        let held = match self.hole {
            Hole::None => false,
            Hole::ToStore => way == Way::ToStore,
            Hole::ToHost => way == Way::ToHost,
            Hole::Both => true,
        };
        !held && connection >= self.first_alive
    }
}

async fn serve(listener: TcpListener, target: String, weather: watch::Sender<Weather>) {
    let mut connections = JoinSet::new();
    while let Ok((host, _)) = listener.accept().await {
        let number = weather.borrow().connections;
        weather.send_modify(|weather| weather.connections += 1);
        let (target, weather) = (target.clone(), weather.subscribe());
        connections.spawn(async move {
            // If the store is down, the client sees a connection that ends at once.
            let Ok(store) = TcpStream::connect(target).await else { return };
            let ((host_says, to_host), (store_says, to_store)) =
                (host.into_split(), store.into_split());
            join!(
                pump(host_says, to_store, number, Way::ToStore, weather.clone()),
                pump(store_says, to_host, number, Way::ToHost, weather),
            );
        });
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    connection: usize,
    way: Way,
    mut weather: watch::Receiver<Weather>,
) {
    let (queue, mut under_way) = unbounded_channel();
    let now = weather.clone();
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + now.borrow().delay;
            if queue.send((due, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = under_way.recv().await {
            sleep_until(due).await;
            let open = weather.wait_for(|weather| weather.passes(connection, way)).await.is_ok();
            if !open || to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        // The end of a connection is held back like its bytes.
        let _ = weather.wait_for(|weather| weather.passes(connection, way)).await;
    };
    join!(read, write);
}
