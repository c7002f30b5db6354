//! `wasi:http`: the types of requests and responses, and the way out.
//!
//! Outgoing requests are denied: no setting grants the network yet. When one
//! does, the gate is asked here, before anything leaves the machine.

use std::sync::Arc;

use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::Gate;

type Transmission = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Exchange = Result<(::http::Response<WasiBody>, Transmission), Error>;

/// What the capability keeps for an instance.
pub(crate) struct HttpCtx {
    wasi: WasiHttpCtx,
    hooks: Outgoing,
}

impl HttpCtx {
    /// A context for an instance of `action`.
    pub(crate) fn new(action: Arc<str>, gate: Arc<Gate>) -> Self {
        Self { wasi: WasiHttpCtx::new(), hooks: Outgoing { action, gate } }
    }

    /// The context during one call, beside the table of the instance's resources.
    pub(crate) fn view<'a>(&'a mut self, table: &'a mut ResourceTable) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { ctx: &mut self.wasi, table, hooks: &mut self.hooks }
    }
}

/// Decides about requests that a guest sends.
struct Outgoing {
    action: Arc<str>,
    gate: Arc<Gate>,
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: ::http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Transmission,
    ) -> Box<dyn Future<Output = Exchange> + Send> {
        tracing::warn!(
            action = %self.action,
            token = self.gate.term().token.0,
            to = request.uri().authority().map_or("", |to| to.as_str()),
            "outgoing request denied: this version grants plugins no network",
        );
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}

/// Offers the interfaces to the components that `linker` links.
pub(crate) fn add_to_linker<T: WasiHttpView + 'static>(
    linker: &mut Linker<T>,
) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}
