//! What a guest may import, one file per capability, and the gate that every effect passes.
//!
//! Every capability has the same shape: a context that [`GuestState`] owns, a view of it for the
//! time of a call, and `add_to_linker`, which takes the function that makes the view: a capability
//! knows nothing of the state as a whole. All capabilities are linked for every plugin, since the
//! standard libraries of many languages import the whole of WASI. What the settings do not grant is
//! denied when it is called. A plugin is refused only if it imports something that no capability
//! offers.
//!
//! Every call with an effect outside of the instance, and where it passes the gate. Effects of work
//! that was admitted use `Gate::pass`: they go on while the term drains. What must not begin once
//! the term drains, such as `term.resign`, uses `Gate::admit`.
//!
//! | call | effect | gate |
//! |---|---|---|
//! | `wasi:keyvalue`, all | reads and writes in the store | before the store is called and after it answers (`keyvalue/fenced.rs`); the store itself checks the leader's key with each write |
//! | `wasi:http/outgoing-handler`, `wasi:http/client` of 0.3 | a request to another server | before it begins (`http/hooks.rs`), before it connects (`outbound/connector.rs`), at each write to and read from the socket (`outbound/gated_connection.rs`), at the head (`http/exchange.rs`) and each frame of the response (`http/body.rs`) |
//! | `wasi:http/types`, the outgoing response | bytes to a client | at the head and each frame (the host's HTTP server) |
//! | `soloist:plugin/term.resign` | the end of the term | before it is passed on (`term.rs`) |
//! | `wasi:filesystem`, where folders are granted | files of this machine | not by itself: the gate stops a guest that computes at the next tick, and a guest that waits ends with its task; a call that has begun on a blocking thread is completed |
//! | `wasi:sockets`, where they are granted | connections, datagrams, DNS lookups | before each lookup and connection, at each write (`sockets/`), before each datagram and, with WASI 0.2, at each read; up to 8 KiB that passed the gate may still wait for room in the socket |
//! | `soloist:plugin/tasks` | work on other hosts, or on this one | before a call begins, and before its result is handed out (`tasks.rs`) |
//! | stdout, stderr, `wasi:logging` | lines in this host's log, which keeps the latest ones (`log_buffer.rs`); of a job, also the end of its output in its history | none: a log describes the past |
//! | clocks, random numbers, environment, `wasi:config`, `term.current`, `term.subscribe-ending` | none | |
//!
//! The interfaces of WASI 0.3 take the same ways as those of 0.2 with the same names, and are
//! granted by the same settings.
//!
//! In addition, the gate is checked at every epoch tick, which interrupts a guest that computes
//! (`plugin/guest.rs`).

mod access;
mod action_log;
mod blocking;
mod call_error;
mod guest_state;
mod http;
mod invocation;
mod keyvalue;
mod limits;
mod log_buffer;
mod log_rate_limiter;
mod log_stream;
mod outbound;
mod output_tail;
mod own_address;
mod replace;
mod sockets;
mod spawner;
mod task_caller;
mod tasks;
pub mod term;
mod term_headers;
mod term_link;
#[cfg(test)]
mod test_gate;
#[cfg(test)]
mod versions;
mod wasi;
mod wasi_config;
mod wasi_logging;

use wasmtime::component::Linker;

pub use access::{ActionAccess, ActionPermissions};
pub use blocking::{BlockingPool, BlockingPools, PoolExhausted};
pub use call_error::CallError;
pub use guest_state::GuestState;
pub use invocation::Invocation;
pub use limits::HOSTCALL;
pub use log_buffer::{LINES_MAX, LogBuffer, LogBuffers, LogLine};
pub use output_tail::OutputTail;
pub use spawner::Spawner;
pub use task_caller::{ATTEMPTS_MAX, QueuedCallFailure, TaskCaller, TaskReply, TaskRequest};
pub use term::{EndingInterest, one_line};
pub use term_headers::TermHeaders;
pub use term_link::{TermLink, TermNotice};
#[cfg(test)]
pub(crate) use test_gate::test_gate;

/// The interfaces on offer: the prefix of a package or an interface, and of its version.
const OFFERED: &[(&str, &str)] = &[
    ("wasi:cli/", "0.2."),
    ("wasi:clocks/", "0.2."),
    ("wasi:filesystem/", "0.2."),
    ("wasi:io/", "0.2."),
    ("wasi:random/", "0.2."),
    ("wasi:sockets/", "0.2."),
    ("wasi:http/types@", "0.2."),
    ("wasi:http/outgoing-handler@", "0.2."),
    ("wasi:keyvalue/store@", "0.2.0-draft"),
    ("wasi:keyvalue/atomics@", "0.2.0-draft"),
    ("wasi:keyvalue/batch@", "0.2.0-draft"),
    ("wasi:config/store@", "0.2.0-rc.1"),
    ("wasi:logging/logging@", "0.1.0-draft"),
    ("soloist:plugin/term@", "0.1."),
    ("soloist:plugin/tasks@", "0.1."),
    ("wasi:cli/", "0.3."),
    ("wasi:clocks/", "0.3."),
    ("wasi:filesystem/", "0.3."),
    ("wasi:random/", "0.3."),
    ("wasi:sockets/", "0.3."),
    ("wasi:http/types@", "0.3."),
    ("wasi:http/client@", "0.3."),
];

/// A linker that offers every capability to components of WASI 0.2.
pub fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    wasi::add_to_linker(&mut linker)?;
    sockets::add_to_linker(&mut linker, GuestState::sockets)?;
    wasi_config::add_to_linker(&mut linker, GuestState::settings)?;
    http::add_to_linker(&mut linker)?;
    keyvalue::add_to_linker(&mut linker, GuestState::keyvalue)?;
    term::add_to_linker(&mut linker, GuestState::term)?;
    tasks::add_to_linker(&mut linker, GuestState::tasks)?;
    wasi_logging::add_to_linker(&mut linker, GuestState::logging)?;
    Ok(linker)
}

/// A linker that offers every capability of WASI 0.3 and of 0.2: the standard libraries of many
/// languages import both.
pub fn linker_of_both(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = linker(engine)?;
    wasi::add_0_3_to_linker(&mut linker)?;
    sockets::add_0_3_to_linker(&mut linker, GuestState::sockets)?;
    http::add_0_3_to_linker(&mut linker)?;
    Ok(linker)
}

/// Whether some capability offers `import`, a name such as `wasi:io/poll@0.2.6`.
///
/// The linker itself names only the first import that it lacks. Asking for each import lets an
/// error name all of them.
pub fn offers(import: &str) -> bool {
    let Some((_, version)) = import.split_once('@') else {
        return false;
    };
    OFFERED.iter().any(|(name, track)| import.starts_with(name) && version.starts_with(track))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_by_version_track() {
        assert!(offers("wasi:io/poll@0.2.0"));
        assert!(offers("wasi:http/types@0.2.12"));
        assert!(offers("wasi:http/client@0.3.0"));
        assert!(offers("soloist:plugin/term@0.1.0"));
        for foreign in [
            "wasi:io/poll",
            "wasi:io/poll@0.3.0",
            "wasi:http/x@0.2.0",
            "wasi:cli/run@0.4.0",
            "a:b/c@0.2.0",
        ] {
            assert!(!offers(foreign), "{foreign}");
        }
    }
}
