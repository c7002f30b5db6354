//! `soloist:plugin/term`: tells a guest which term it runs under, notifies it of the end, and lets
//! it resign.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use wasmtime::{
    component::{HasData, Linker, Resource, ResourceTable},
    format_err,
};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::{ActionAccess, TermNotice};
use bindings::soloist::plugin::term::{Host, TermInfo};
use soloist_heart::clock::BootTime;
use soloist_leadership::Gate;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package soloist:host; world term { import soloist:plugin/term@0.1.0; }",
        imports: { default: trappable },
        with: {
            "wasi:clocks/monotonic-clock": wasmtime_wasi::p2::bindings::clocks::monotonic_clock,
            "wasi:io/poll": wasmtime_wasi::p2::bindings::io::poll,
        },
        require_store_data_send: true,
    });
}

/// The longest reason that is passed on, in characters.
const REASON_MAX: usize = 200;

/// Whether an instance asked to be notified of the end of the term; the host then waits for it to
/// finish. Clones belong to the same instance.
#[derive(Clone, Debug, Default)]
pub struct EndingInterest(Arc<AtomicBool>);

impl EndingInterest {
    /// Whether the instance asked.
    pub fn is_registered(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn register(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The context of the capability.
#[derive(Debug)]
pub struct TermCtx {
    access: Arc<ActionAccess>,
    ending_interest: EndingInterest,
}

impl TermCtx {
    /// The context of an instance with this access.
    pub fn new(access: Arc<ActionAccess>) -> Self {
        Self { access, ending_interest: EndingInterest::default() }
    }

    /// Whether the instance asked to be notified of the end.
    pub fn ending_interest(&self) -> &EndingInterest {
        &self.ending_interest
    }
}

/// A [`TermCtx`] during one call, with the resource table of the instance.
pub struct TermView<'a> {
    pub(crate) ctx: &'a TermCtx,
    pub(crate) table: &'a mut ResourceTable,
}

/// Becomes ready when the term, or this version of the action, is to end.
struct EndingPollable(Arc<ActionAccess>);

#[async_trait]
impl Pollable for EndingPollable {
    async fn ready(&mut self) {
        self.0.ending().await;
    }
}

/// The term of `gate`, as a WIT record.
pub fn term_info(gate: &Gate) -> TermInfo {
    let term = gate.term();
    let left = gate.deadline().at().since(BootTime::now());
    TermInfo {
        group: term.group.to_string(),
        host: term.host.to_string(),
        // A create revision is never negative.
        fencing_token: term.fencing_token.0.cast_unsigned(),
        deadline_in: left.as_nanos().try_into().unwrap_or(u64::MAX),
    }
}

impl Host for TermView<'_> {
    fn current(&mut self) -> wasmtime::Result<TermInfo> {
        if self.ctx.access.term.is_none() {
            return Err(format_err!(
                "`term.current` was called outside of a term: a host that stands by has none"
            ));
        }
        Ok(term_info(self.ctx.access.gate()))
    }

    fn subscribe_ending(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        self.ctx.ending_interest.register();
        let ending = self.table.push(EndingPollable(self.ctx.access.clone()))?;
        subscribe(self.table, ending)
    }

    fn resign(&mut self, reason: String) -> wasmtime::Result<()> {
        self.ctx.access.resign(&reason);
        Ok(())
    }
}

impl ActionAccess {
    /// Asks to end the term. Only the first call of the action counts.
    fn resign(&self, reason: &str) {
        if self.gate().admit().is_err() || self.resigning.swap(true, Ordering::AcqRel) {
            return;
        }
        let reason = one_line(reason).unwrap_or_else(|| "it gave no reason".to_owned());
        if let Some(term) = &self.term {
            // Nobody receives it when the term is already ending.
            let _ = term.notices.send(TermNotice::Resign { action: self.action.clone(), reason });
        }
    }
}

/// The `reason` of a guest on one line for the log; `None` if it is empty.
pub fn one_line(reason: &str) -> Option<String> {
    let words = reason.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return None;
    }
    Some(match line.char_indices().nth(REASON_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    })
}

struct HasTerm;

impl HasData for HasTerm {
    type Data<'a> = TermView<'a>;
}

/// Adds the interface to `linker`.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> TermView<'_>,
) -> wasmtime::Result<()> {
    bindings::soloist::plugin::term::add_to_linker::<T, HasTerm>(linker, view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_fit_a_line() {
        let one_line = |reason: &str| one_line(reason).unwrap_or_default();
        assert_eq!(one_line("the disk is full"), "the disk is full");
        assert_eq!(one_line(" two\nlines\r\n\u{1b}[31m "), "two lines [31m");
        assert_eq!(one_line(""), "");
        assert_eq!(one_line(&"ä".repeat(200)), "ä".repeat(200));
        assert_eq!(one_line(&"ä".repeat(201)), format!("{}…", "ä".repeat(200)));
    }
}
