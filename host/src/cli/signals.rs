//! What each signal does; docs/operations.md has the table.
//!
//! A signal that is not handled kills the process at once (signal(7)), and with it a term,
//! without a hand-over. So every signal that may come from outside is handled, including those
//! that have no meaning here.

use std::{
    fs::{self, File},
    io::{self, Read},
    ops::RangeInclusive,
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use rustix::process::Signal as Number;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use super::{ExitError, ExitKind};
use crate::supervisor::StopRequest;
use soloist_heart::clock::BootTime;

/// Signals this soon after the first one count as the same request: `timeout` signals a process
/// and its group, a terminal its foreground group, a wrapper script both.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Every signal that is handled. Of the others, KILL and STOP cannot be handled, those of
/// terminal job control keep their meaning, and the rest report faults of the process itself.
const HEARD: [SignalRule; 14] = [
    SignalRule { name: "SIGTERM", number: Number::TERM, means: SignalMeaning::Stop },
    SignalRule { name: "SIGINT", number: Number::INT, means: SignalMeaning::Stop },
    SignalRule { name: "SIGQUIT", number: Number::QUIT, means: SignalMeaning::Stop },
    // Tells the first process of a container that the power fails (lxc-stop).
    SignalRule { name: "SIGPWR", number: Number::POWER, means: SignalMeaning::StopOnce },
    // Sent once per second after the soft limit of processor time (setrlimit(2)).
    SignalRule { name: "SIGXCPU", number: Number::XCPU, means: SignalMeaning::StopOnce },
    SignalRule { name: "SIGHUP", number: Number::HUP, means: SignalMeaning::StopWithTerminal },
    SignalRule { name: "SIGUSR1", number: Number::USR1, means: SignalMeaning::Nothing },
    SignalRule { name: "SIGUSR2", number: Number::USR2, means: SignalMeaning::Nothing },
    SignalRule { name: "SIGALRM", number: Number::ALARM, means: SignalMeaning::Nothing },
    SignalRule { name: "SIGVTALRM", number: Number::VTALARM, means: SignalMeaning::Nothing },
    SignalRule { name: "SIGPROF", number: Number::PROF, means: SignalMeaning::Nothing },
    SignalRule { name: "SIGIO", number: Number::IO, means: SignalMeaning::Nothing },
    SignalRule { name: "SIGSTKFLT", number: Number::STKFLT, means: SignalMeaning::Nothing },
    // The write that exceeds `ulimit -f` fails, and is reported as an error.
    SignalRule { name: "SIGXFSZ", number: Number::XFSZ, means: SignalMeaning::Nothing },
];

/// The real-time signals, SIGRTMIN to SIGRTMAX (signal(7)): they have no meaning here. The first
/// ones cannot be handled if the C library uses them itself.
const REAL_TIME: RangeInclusive<i32> = 34..=64;

/// The end of stdin: the process at its other end has ended.
const PARENT_ENDED: SignalRule = SignalRule {
    name: "the end of its parent",
    number: Number::TERM,
    means: SignalMeaning::StopOnce,
};

/// The rule of all real-time signals; nothing depends on their number.
const NUMBERED: SignalRule =
    SignalRule { name: "a real-time signal", number: Number::USR1, means: SignalMeaning::Nothing };

/// A signal that is handled.
#[derive(Clone, Copy, Debug)]
struct SignalRule {
    name: &'static str,
    number: Number,
    means: SignalMeaning,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignalMeaning {
    /// A stop; a second one ends the process at once.
    Stop,
    /// A stop, however often it comes.
    StopOnce,
    /// A stop if this process has a terminal, which may be closed. Otherwise daemons take this
    /// signal as "read your settings again", and it is ignored.
    StopWithTerminal,
    /// Nothing.
    Nothing,
}

/// Handles signals for as long as it lives.
pub(super) struct Signals {
    first: oneshot::Receiver<&'static str>,
    watch: AbortOnDropHandle<()>,
}

impl Signals {
    /// Starts to handle signals. With `parent` the end of stdin counts as the first signal: so a
    /// child ends together with a parent that holds the other end, however the parent ends.
    pub(super) fn listen(parent: bool) -> Result<Self, ExitError> {
        let mut requests = SignalRequests::open(parent)?;
        let (tell, first) = oneshot::channel();
        let watch = tokio::spawn(async move {
            if let SignalRequest::Stop(sign) = requests.next().await {
                let _ = tell.send(sign.name);
            }
            while !matches!(requests.next().await, SignalRequest::AtOnce) {}
            std::process::exit(ExitKind::Interrupted as i32);
        });
        Ok(Self { first, watch: AbortOnDropHandle::new(watch) })
    }

    /// Splits into a future for the first request, which returns its name, and a guard. While the
    /// guard lives, a second request ends the process.
    pub(super) fn split(self) -> (impl Future<Output = &'static str>, AbortOnDropHandle<()>) {
        let first = async { self.first.await.unwrap_or("the end of the signals") };
        (first, self.watch)
    }
}

/// The signals that a supervisor should pass on, for as long as the returned guard lives. With
/// `parent` the end of stdin is a request as well.
pub(super) fn relay(
    parent: bool,
) -> Result<(mpsc::UnboundedReceiver<StopRequest>, AbortOnDropHandle<()>), ExitError> {
    let mut requests = SignalRequests::open(parent)?;
    let (tell, told) = mpsc::unbounded_channel();
    let watch = tokio::spawn(async move {
        loop {
            let asked = match requests.next().await {
                // The host has no terminal, so only Ctrl-C has to be told apart.
                SignalRequest::Stop(SignalRule { number: Number::INT, .. }) => {
                    StopRequest::Stop(Number::INT)
                }
                SignalRequest::Stop(_) => StopRequest::Stop(Number::TERM),
                SignalRequest::AtOnce => StopRequest::Kill,
            };
            if tell.send(asked).is_err() {
                return;
            }
        }
    });
    Ok((told, AbortOnDropHandle::new(watch)))
}

/// What this process is asked to do.
#[derive(Clone, Copy, Debug)]
enum SignalRequest {
    Stop(SignalRule),
    AtOnce,
}

/// Turns signals into requests.
struct SignalRequests {
    signs: BoxStream<'static, SignalRule>,
    /// Whether this process has a terminal that may be closed.
    terminal: bool,
    /// When the first stop was requested.
    asked: Option<BootTime>,
}

impl SignalRequests {
    fn open(parent: bool) -> Result<Self, ExitError> {
        let named = HEARD.map(|sign| listen_for(sign.number.as_raw(), sign));
        let mut signs = named
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ExitError::internal("cannot listen for signals", &error))?;
        signs.extend(REAL_TIME.filter_map(|number| listen_for(number, NUMBERED).ok()));
        if parent {
            let ended = end_of_stdin()?.map(|_| PARENT_ENDED);
            signs.push(stream::once(ended).boxed());
        }
        let terminal = has_terminal() && !is_ignored(Number::HUP);
        Ok(Self { signs: stream::select_all(signs).boxed(), terminal, asked: None })
    }

    async fn next(&mut self) -> SignalRequest {
        loop {
            let Some(sign) = self.signs.next().await else {
                // There is always a stream: some signals are always handled.
                return std::future::pending().await;
            };
            if let Some(request) = self.take(sign, BootTime::now()) {
                return request;
            }
        }
    }

    fn take(&mut self, sign: SignalRule, now: BootTime) -> Option<SignalRequest> {
        let stops = match sign.means {
            SignalMeaning::Stop | SignalMeaning::StopOnce => true,
            SignalMeaning::StopWithTerminal => self.terminal,
            SignalMeaning::Nothing => false,
        };
        match self.asked {
            _ if !stops => {
                let SignalRule { name, .. } = sign;
                info!(event = "signal", name, "{name} is ignored");
                None
            }
            None => {
                self.asked = Some(now);
                Some(SignalRequest::Stop(sign))
            }
            Some(first)
                if sign.means == SignalMeaning::Stop && now.since(first) >= SAME_REQUEST =>
            {
                Some(SignalRequest::AtOnce)
            }
            Some(_) => None,
        }
    }
}

/// A stream with an item for each signal of this number.
fn listen_for(number: i32, sign: SignalRule) -> io::Result<BoxStream<'static, SignalRule>> {
    let mut signal = signal(SignalKind::from_raw(number))?;
    Ok(stream::poll_fn(move |context| signal.poll_recv(context)).map(move |()| sign).boxed())
}

/// Whether this process has a controlling terminal (tty(4)).
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether the parent wants this process to ignore a signal, as `nohup` does (proc(5): `SigIgn`,
/// a mask whose lowest bit is the signal 1).
fn is_ignored(signal: Number) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

/// Resolves at the end of stdin. It uses a plain thread: a read of stdin cannot be cancelled, and
/// the runtime would wait for it when it shuts down.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests that these signals lead to, each given with the millisecond at which it
    /// comes.
    fn asked(terminal: bool, heard: &[(&str, u64)]) -> Vec<String> {
        let mut requests = SignalRequests { signs: stream::empty().boxed(), terminal, asked: None };
        let mut take = |(name, ms): &(&str, u64)| {
            let known = HEARD.into_iter().chain([PARENT_ENDED]).find(|sign| sign.name == *name);
            let sign = known.unwrap_or_else(|| panic!("{name} is not heard"));
            requests.take(sign, BootTime::from_nanos(ms * 1_000_000))
        };
        let requests = heard.iter().filter_map(&mut take);
        requests
            .map(|request| match request {
                SignalRequest::Stop(sign) => format!("stop: {}", sign.name),
                SignalRequest::AtOnce => "at once".into(),
            })
            .collect()
    }

    #[test]
    fn the_first_request_is_a_stop_and_the_second_the_end_at_once() {
        let heard = [("SIGTERM", 1000), ("SIGINT", 1500), ("SIGTERM", 1501)];
        assert_eq!(asked(false, &heard), ["stop: SIGTERM", "at once", "at once"]);
    }

    #[test]
    fn what_comes_together_is_one_request() {
        let heard = [("SIGTERM", 1000), ("SIGTERM", 1000), ("SIGINT", 1499)];
        assert_eq!(asked(false, &heard), ["stop: SIGTERM"]);
    }

    #[test]
    fn what_is_no_persons_word_never_ends_it_at_once() {
        for name in ["SIGXCPU", "SIGPWR", PARENT_ENDED.name] {
            assert_eq!(asked(false, &[(name, 0), (name, 5000)]), [format!("stop: {name}")]);
            assert_eq!(asked(false, &[("SIGTERM", 0), (name, 5000)]), ["stop: SIGTERM"]);
        }
    }

    #[test]
    fn a_terminal_that_goes_is_a_stop_and_any_other_hangup_nothing() {
        assert_eq!(asked(true, &[("SIGHUP", 0), ("SIGHUP", 5000)]), ["stop: SIGHUP"]);
        assert_eq!(asked(false, &[("SIGHUP", 0), ("SIGUSR1", 1)]), Vec::<String>::new());
    }

    #[test]
    fn the_table_for_people_has_every_signal() {
        let page = include_str!("../../../docs/operations.md");
        for sign in HEARD {
            let row = page
                .lines()
                .find(|line| line.starts_with('|') && line.contains(&format!("`{}`", sign.name)));
            let row = row.unwrap_or_else(|| panic!("no row for {}", sign.name));
            assert_eq!(row.contains("| nothing"), sign.means == SignalMeaning::Nothing, "{row}");
        }
    }
}
