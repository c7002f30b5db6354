//! The state of one instance, on the host's side.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::{
    Access, Gate,
    http::{HttpCtx, Mourner},
    keyvalue::{KeyvalueCtx, KeyvalueView},
    limits::{Limits, RESOURCES},
    term::{Heed, TermCtx, TermView},
    wasi,
};

/// The contexts of all capabilities, made anew for every instance.
pub struct GuestState {
    // First: it is dropped before the table, which ends what the guest was sending.
    _mourner: Mourner,
    table: ResourceTable,
    wasi: WasiCtx,
    http: HttpCtx,
    keyvalue: KeyvalueCtx,
    term: TermCtx,
    limits: Limits,
    access: Arc<Access>,
}

impl GuestState {
    /// The state of an instance that may reach what `access` says.
    ///
    /// # Errors
    /// When a folder that it is granted cannot be opened.
    pub fn new(access: &Arc<Access>) -> wasmtime::Result<Self> {
        let http = HttpCtx::new(access.clone());
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        Ok(Self {
            _mourner: http.mourner(),
            table,
            wasi: wasi::ctx(access)?,
            http,
            keyvalue: KeyvalueCtx::new(access.clone()),
            term: TermCtx::new(access.clone()),
            limits: Limits::default(),
            access: access.clone(),
        })
    }

    /// The gate that the instance obeys.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        self.access.gate()
    }

    /// Whether the instance asked to be told of the end of the term.
    pub(crate) fn heed(&self) -> &Heed {
        self.term.heed()
    }

    /// The limits that the instance is held to.
    pub(crate) fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// The state of the action, as `wasi:keyvalue` shows it.
    pub(super) fn keyvalue(&mut self) -> KeyvalueView<'_> {
        KeyvalueView { ctx: &mut self.keyvalue, table: &mut self.table }
    }

    /// The term, as `soloist:plugin/term` shows it.
    pub(super) fn term(&mut self) -> TermView<'_> {
        TermView { ctx: &self.term, table: &mut self.table }
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
