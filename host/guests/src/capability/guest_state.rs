//! The state of one instance, on the host's side.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView, sockets::WasiSocketsCtxView};
use wasmtime_wasi_config::WasiConfig;
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::{
    ActionAccess, Invocation,
    http::HttpCtx,
    keyvalue::{KeyvalueCtx, KeyvalueView},
    limits::{InstanceLimits, RESOURCES},
    sockets::{SocketsCtx, SocketsView},
    tasks::{TasksCtx, TasksView},
    term::{EndingInterest, TermCtx, TermView},
    wasi,
    wasi_logging::LoggingView,
};
use soloist_leadership::Gate;
use soloist_trace::TraceContext;

/// The contexts of all capabilities, made anew for every instance.
pub struct GuestState {
    table: ResourceTable,
    wasi: WasiCtx,
    sockets: SocketsCtx,
    http: HttpCtx,
    keyvalue: KeyvalueCtx,
    term: TermCtx,
    tasks: TasksCtx,
    limits: InstanceLimits,
    access: Arc<ActionAccess>,
}

impl GuestState {
    /// The state of an instance that may reach what `access` says.
    ///
    /// # Errors
    /// When a folder that it is granted cannot be opened, or its files do not answer.
    pub async fn new(access: &Arc<ActionAccess>) -> wasmtime::Result<Self> {
        Self::for_invocation(&Invocation::default(), access).await
    }

    /// The same, of an instance that is sent on `errand`.
    ///
    /// # Errors
    /// The same.
    pub async fn for_invocation(
        errand: &Invocation,
        access: &Arc<ActionAccess>,
    ) -> wasmtime::Result<Self> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let (wasi, sockets) = wasi::ctx(access, errand).await?;
        let mut state = Self {
            table,
            wasi,
            sockets,
            http: HttpCtx::new(access.clone()),
            keyvalue: KeyvalueCtx::new(access.clone()),
            term: TermCtx::new(access.clone()),
            tasks: TasksCtx::new(access.clone()),
            limits: InstanceLimits::new(access.memory_max, access.memory_of_all.clone()),
            access: access.clone(),
        };
        state.set_trace(errand.trace.clone());
        Ok(state)
    }

    /// The gate that the instance obeys.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        self.access.gate()
    }

    /// Whether the instance asked to be told of the end of the term.
    pub fn ending_interest(&self) -> &EndingInterest {
        self.term.ending_interest()
    }

    /// What the instance does from now on belongs there in a trace.
    pub fn set_trace(&mut self, trace: Option<TraceContext>) {
        self.http.set_trace(trace.clone());
        self.tasks.set_trace(trace);
    }

    /// Notes that the instance ends, before any of its resources does: a body that
    /// it was sending must not look complete.
    pub fn mark_ended(&self) {
        self.http.mark_ended();
    }

    /// The limits that the instance is held to.
    pub fn limits(&mut self) -> &mut InstanceLimits {
        &mut self.limits
    }

    /// What the settings tell the action, as `wasi:config` shows it.
    pub(super) fn settings(&mut self) -> WasiConfig<'_> {
        WasiConfig::from(&self.access.settings)
    }

    /// Where the instance may connect to, as `wasi:sockets` shows it.
    pub(super) fn sockets(&mut self) -> SocketsView<'_> {
        let wasi = WasiSocketsCtxView { ctx: self.wasi.sockets(), table: &mut self.table };
        SocketsView { ctx: &mut self.sockets, wasi, access: &self.access }
    }

    /// The state of the action, as `wasi:keyvalue` shows it.
    pub(super) fn keyvalue(&mut self) -> KeyvalueView<'_> {
        KeyvalueView { ctx: &mut self.keyvalue, table: &mut self.table }
    }

    /// The term, as `soloist:plugin/term` shows it.
    pub(super) fn term(&mut self) -> TermView<'_> {
        TermView { ctx: &self.term, table: &mut self.table }
    }

    /// The log of the action, as `wasi:logging` shows it.
    pub(super) fn logging(&mut self) -> LoggingView<'_> {
        LoggingView { log: &self.access.log }
    }

    /// The tasks of the cluster, as `soloist:plugin/tasks` shows them.
    pub(super) fn tasks(&mut self) -> TasksView<'_> {
        TasksView { ctx: &self.tasks, table: &mut self.table }
    }
}

impl GuestState {
    /// What `wasi:http` keeps for the instance.
    pub(super) fn http_ctx(&self) -> &HttpCtx {
        &self.http
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
