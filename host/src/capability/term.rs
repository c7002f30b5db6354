//! `soloist:plugin/term`: which term the guest runs under.

use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

use super::Gate;
use bindings::soloist::plugin::term::{Host, TermInfo};

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "soloist:plugin/imports" });
}

/// What the capability keeps for an instance.
#[derive(Debug)]
pub(crate) struct TermCtx {
    gate: Arc<Gate>,
}

impl TermCtx {
    /// Answers with the term behind `gate`.
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

/// A [`TermCtx`] during one call.
pub(crate) struct TermView<'a>(pub(crate) &'a TermCtx);

impl Host for TermView<'_> {
    fn current(&mut self) -> TermInfo {
        let term = self.0.gate.term();
        TermInfo {
            group: term.group.to_string(),
            host: term.host.to_string(),
            // A create revision is never negative.
            token: term.token.0.cast_unsigned(),
        }
    }
}

struct HasTerm;

impl HasData for HasTerm {
    type Data<'a> = TermView<'a>;
}

/// Offers the interface to the components that `linker` links.
pub(crate) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> TermView<'_>,
) -> wasmtime::Result<()> {
    bindings::soloist::plugin::term::add_to_linker::<T, HasTerm>(linker, view)
}
