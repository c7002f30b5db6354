//! The first signal asks for a graceful stop; the second ends the process at once.

use std::io::{self, Read};

use rustix::process::Signal as Number;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Exit, ExitError};

/// Listens for signals as long as it lives.
pub(super) struct Signals {
    first: oneshot::Receiver<&'static str>,
    watch: AbortOnDropHandle<()>,
}

impl Signals {
    /// Starts to listen. With `parent` the end of stdin counts as the first
    /// signal: so a child ends with a parent that holds the other end, however
    /// that one ends.
    pub(super) fn listen(parent: bool) -> Result<Self, ExitError> {
        let mut sources = Sources::open(parent)?;
        let (tell, first) = oneshot::channel();
        let watch = tokio::spawn(async move {
            let _ = tell.send(sources.next().await.reason());
            // The parent's end may follow a signal; it is no second one.
            sources.parent = None;
            sources.next().await;
            std::process::exit(Exit::Interrupted as i32);
        });
        Ok(Self { first, watch: AbortOnDropHandle::new(watch) })
    }

    /// Waits for the first signal and says what it was. The second still ends
    /// the process as long as the returned guard lives.
    pub(super) fn split(self) -> (impl Future<Output = &'static str>, AbortOnDropHandle<()>) {
        let first = async { self.first.await.unwrap_or("the end of the signals") };
        (first, self.watch)
    }
}

/// Every signal that asks to stop, to be passed on, as long as the returned guard
/// lives. With `parent` the end of stdin is one as well.
pub(super) fn relay(
    parent: bool,
) -> Result<(mpsc::UnboundedReceiver<Number>, AbortOnDropHandle<()>), ExitError> {
    let mut sources = Sources::open(parent)?;
    let (tell, told) = mpsc::unbounded_channel();
    let watch =
        tokio::spawn(async move { while tell.send(sources.next().await.number()).is_ok() {} });
    Ok((told, AbortOnDropHandle::new(watch)))
}

/// Who asked to stop.
#[derive(Clone, Copy)]
enum Asked {
    Interrupt,
    Terminate,
    Parent,
}

impl Asked {
    const fn reason(self) -> &'static str {
        match self {
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
            Self::Parent => "the end of its parent",
        }
    }

    const fn number(self) -> Number {
        match self {
            Self::Interrupt => Number::INT,
            Self::Terminate | Self::Parent => Number::TERM,
        }
    }
}

struct Sources {
    interrupt: Signal,
    terminate: Signal,
    parent: Option<oneshot::Receiver<()>>,
}

impl Sources {
    fn open(parent: bool) -> Result<Self, ExitError> {
        let open = |kind| {
            signal(kind).map_err(|error| ExitError::internal("cannot listen for signals", &error))
        };
        Ok(Self {
            interrupt: open(SignalKind::interrupt())?,
            terminate: open(SignalKind::terminate())?,
            parent: if parent { Some(end_of_stdin()?) } else { None },
        })
    }

    async fn next(&mut self) -> Asked {
        let parent = async {
            match &mut self.parent {
                Some(end) => drop(end.await),
                None => std::future::pending().await,
            }
        };
        let asked = tokio::select! {
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.terminate.recv() => Asked::Terminate,
            () = parent => Asked::Parent,
        };
        if matches!(asked, Asked::Parent) {
            // It ends only once.
            self.parent = None;
        }
        asked
    }
}

/// Resolves at the end of stdin. A plain thread, since a read of stdin cannot
/// be called off, and the runtime would wait for it when it shuts down.
fn end_of_stdin() -> Result<oneshot::Receiver<()>, ExitError> {
    let (tell, end) = oneshot::channel();
    let read = move || {
        let mut buffer = [0; 64];
        let mut stdin = io::stdin().lock();
        loop {
            match stdin.read(&mut buffer) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        let _ = tell.send(());
    };
    std::thread::Builder::new()
        .name("end-of-stdin".into())
        .spawn(read)
        .map_err(|error| ExitError::internal("cannot watch stdin", &error))?;
    Ok(end)
}
