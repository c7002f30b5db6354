//! The gate, as requests of guests pass it.

use wasmtime_wasi_http::Error;

use soloist_leadership::Gate;

/// Passes the gate, or fails with an error for the guest.
pub(super) fn pass_gate(gate: &Gate) -> Result<(), Error> {
    gate.pass().map_err(|shut| Error::InternalError(Some(shut.to_string())))
}
