//! What the first-party plugins of two halves share.
//!
//! Such a plugin is one component that is run as two kinds: `http` answers
//! requests, `service` works for as long as the term lasts. The halves are
//! instances of their own and meet in the action's state alone. Invariants:
//!
//! - Without `state = true` neither half fails: the service says once what is
//!   missing and waits for the end of the term, and every request is answered 503.
//! - The service returns when the term is ending, and otherwise only with an error.
//! - Nothing that a stranger sends makes an instance trap: bodies are bounded,
//!   and what cannot be read is refused with a text that says what to do.

pub mod client;
pub mod clock;
pub mod html;
pub mod state;
pub mod web;

#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package soloist:kit;

            world halves {
                include soloist:plugin/imports@0.1.0;
                include wasi:http/proxy@0.2.12;
                export wasi:cli/run@0.2.12;
            }
        ",
        world: "soloist:kit/halves",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "kit::bindings",
    });
}

use bindings::soloist::plugin::term;
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

pub use bindings::soloist::plugin::term::TermInfo;
pub use bindings::wasi::io::poll::{Pollable, poll};

use state::State;
use web::{Refusal, Reply, Request};

/// What is said where the settings grant no state.
const NO_STATE: &str = "this plugin keeps what it knows in its state: \
    set `state = true` in its settings (NAME.toml beside NAME.wasm, or [action.NAME])";

/// A plugin of two halves. [`export!`] makes a component of it.
pub trait Plugin {
    /// Answers one request, in an instance of its own.
    ///
    /// # Errors
    /// What the client is refused with.
    fn answer(request: &Request, state: &State) -> Result<Reply, Refusal>;

    /// Works until `ending` is ready, then returns.
    ///
    /// # Errors
    /// What stands in the log before the host starts the service again.
    fn perform(term: &TermInfo, ending: &Pollable, state: &State) -> Result<(), String>;
}

/// The service half: to be called by [`export!`].
#[doc(hidden)]
pub fn run<P: Plugin>() -> Result<(), String> {
    let ending = term::subscribe_ending();
    let Ok(state) = State::open() else {
        eprintln!("{NO_STATE}");
        ending.block();
        return Ok(());
    };
    P::perform(&term::current(), &ending, &state)
}

/// The http half: to be called by [`export!`].
#[doc(hidden)]
pub fn handle<P: Plugin>(request: IncomingRequest, out: ResponseOutparam) {
    let reply = match State::open() {
        Ok(state) => P::answer(&Request::new(request), &state),
        Err(_) => Err(Refusal::new(503, NO_STATE)),
    };
    reply.unwrap_or_else(Reply::from).send(out);
}

/// Makes the component of a [`Plugin`].
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        struct Component;

        impl $crate::bindings::exports::wasi::http::incoming_handler::Guest for Component {
            fn handle(
                request: $crate::bindings::wasi::http::types::IncomingRequest,
                out: $crate::bindings::wasi::http::types::ResponseOutparam,
            ) {
                $crate::handle::<$plugin>(request, out);
            }
        }

        impl $crate::bindings::exports::wasi::cli::run::Guest for Component {
            fn run() -> Result<(), ()> {
                $crate::run::<$plugin>().map_err(|error| eprintln!("{error}"))
            }
        }

        $crate::bindings::export!(Component with_types_in $crate::bindings);
    };
}
