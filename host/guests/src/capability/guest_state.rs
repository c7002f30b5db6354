//! The state that the host keeps for one instance.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView, sockets::WasiSocketsCtxView};
use wasmtime_wasi_config::WasiConfig;
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::{
    ActionAccess, Invocation,
    http::{HttpCtx, HttpState},
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

/// The contexts of all capabilities. Every instance has its own.
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
    /// The state of an instance that may reach what `access` allows.
    ///
    /// # Errors
    /// When a granted folder cannot be opened, or the file system does not answer.
    pub async fn new(access: &Arc<ActionAccess>) -> wasmtime::Result<Self> {
        Self::for_invocation(&Invocation::default(), access).await
    }

    /// Like [`new`](Self::new), for one invocation with its own parameters.
    ///
    /// # Errors
    /// When a granted folder cannot be opened, or the file system does not answer.
    pub async fn for_invocation(
        invocation: &Invocation,
        access: &Arc<ActionAccess>,
    ) -> wasmtime::Result<Self> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let (wasi, sockets) = wasi::ctx(access, invocation).await?;
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
        state.set_trace(invocation.trace.clone());
        Ok(state)
    }

    /// The gate that the instance obeys.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        self.access.gate()
    }

    /// Whether the instance asked to be notified of the end of the term.
    pub fn ending_interest(&self) -> &EndingInterest {
        self.term.ending_interest()
    }

    /// Sets the trace context for what the instance does from now on.
    pub fn set_trace(&mut self, trace: Option<TraceContext>) {
        self.http.set_trace(trace.clone());
        self.tasks.set_trace(trace);
    }

    /// Marks the instance as ended. Must be called before its resources are dropped, so that a body
    /// which it was still sending does not look complete.
    pub fn mark_ended(&self) {
        self.http.mark_ended();
    }

    /// The resource limits of the instance.
    pub fn limits(&mut self) -> &mut InstanceLimits {
        &mut self.limits
    }

    /// The view for `wasi:config`.
    pub(super) fn settings(&mut self) -> WasiConfig<'_> {
        WasiConfig::from(&self.access.settings)
    }

    /// The view for `wasi:sockets`.
    pub(super) fn sockets(&mut self) -> SocketsView<'_> {
        let wasi = WasiSocketsCtxView { ctx: self.wasi.sockets(), table: &mut self.table };
        SocketsView { ctx: &mut self.sockets, wasi, access: &self.access }
    }

    /// The view for `wasi:keyvalue`.
    pub(super) fn keyvalue(&mut self) -> KeyvalueView<'_> {
        KeyvalueView { ctx: &mut self.keyvalue, table: &mut self.table }
    }

    /// The view for `soloist:plugin/term`.
    pub(super) fn term(&mut self) -> TermView<'_> {
        TermView { ctx: &self.term, table: &mut self.table }
    }

    /// The view for `wasi:logging`.
    pub(super) fn logging(&mut self) -> LoggingView<'_> {
        LoggingView { log: &self.access.log }
    }

    /// The view for `soloist:plugin/tasks`.
    pub(super) fn tasks(&mut self) -> TasksView<'_> {
        TasksView { ctx: &self.tasks, table: &mut self.table }
    }
}

impl HttpState for GuestState {
    fn http_ctx(&self) -> &HttpCtx {
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
