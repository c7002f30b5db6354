//! A request that waits for an instance of WASI 0.3, and how the instance answers it.

use ::http::{Request, header, uri::Scheme};
use wasmtime::component::Accessor;
use wasmtime_wasi_http::{
    FieldMap, WasiHttpView,
    p3::{self, bindings::Service},
};

use super::{
    guest_request::ResponseSender, limited_body::LimitedBody, pending_responses::PendingResponses,
};
use crate::http::is_over_tls;
use soloist_guests::capability::GuestState;

/// A request, and where the head of its response goes.
pub(super) type QueuedRequest = (Request<LimitedBody>, ResponseSender);

/// Hands one request to the guest, and passes its response on. An error is a trap, which ends the
/// instance.
pub(super) async fn answer_request(
    accessor: &Accessor<GuestState>,
    service: &Service,
    responses: &PendingResponses,
    (request, sender): QueuedRequest,
) -> wasmtime::Result<()> {
    if sender.is_closed() {
        return Ok(());
    }
    let (request, sent) = accessor.with(|mut store| to_guest_request(store.data_mut(), request));
    match service.handle(accessor, request).await? {
        Ok(response) => {
            let response = accessor.with(|store| response.into_http(store, sent))?;
            responses.add(response, sender);
        }
        // The client may be gone.
        Err(code) => drop(sender.send(Err(code.to_string()))),
    }
    Ok(())
}

/// The request as the guest sees it, and a future that tells whether its body could be read.
fn to_guest_request(
    state: &mut GuestState,
    mut request: Request<LimitedBody>,
) -> (p3::Request, impl Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send + use<>) {
    let scheme = if is_over_tls(&request) { Scheme::HTTPS } else { Scheme::HTTP };
    state.set_trace(request.extensions_mut().remove());
    let (parts, body) = request.into_parts();
    let uri = parts.uri.into_parts();
    let named = || parts.headers.get(header::HOST)?.to_str().ok()?.parse().ok();
    let authority = uri.authority.or_else(named);
    let headers = FieldMap::new_immutable(state.http().hooks, parts.headers);
    let path = uri.path_and_query;
    p3::Request::new(parts.method, Some(scheme), authority, path, headers, None, body)
}
