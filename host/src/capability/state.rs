//! The state of one instance, on the host's side.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::{
    Gate,
    http::HttpCtx,
    limits::{Limits, RESOURCES},
    term::{TermCtx, TermView},
    wasi,
};

/// The contexts of all capabilities, made anew for every instance.
pub struct GuestState {
    table: ResourceTable,
    wasi: WasiCtx,
    http: HttpCtx,
    term: TermCtx,
    limits: Limits,
    gate: Arc<Gate>,
}

impl GuestState {
    /// The state of an instance of `action` under the term behind `gate`.
    #[must_use]
    pub fn new(action: &Arc<str>, gate: &Arc<Gate>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        Self {
            table,
            wasi: wasi::ctx(action, gate),
            http: HttpCtx::new(action.clone(), gate.clone()),
            term: TermCtx::new(gate.clone()),
            limits: Limits::default(),
            gate: gate.clone(),
        }
    }

    /// The gate that the instance obeys.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The limits that the instance is held to.
    pub(crate) fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// The term, as `soloist:plugin/term` shows it.
    pub(super) fn term(&mut self) -> TermView<'_> {
        TermView(&self.term)
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.http.view(&mut self.table)
    }
}
