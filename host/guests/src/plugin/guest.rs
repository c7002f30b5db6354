//! One instance: its store and its slot.

use wasmtime::{Store, UpdateDeadline};

use super::InstanceSlot;
use crate::capability::{GuestState, HOSTCALL};

/// The store of one instance.
pub struct Guest {
    // The order matters: the slot is returned after the whole store was dropped.
    store: Store<GuestState>,
    _slot: InstanceSlot,
}

impl Guest {
    /// An empty store of `engine`, in which to instantiate.
    pub fn new(engine: &wasmtime::Engine, slot: InstanceSlot, state: GuestState) -> Self {
        let mut store = Store::new(engine, state);
        store.limiter(|guest| guest.limits());
        store.set_hostcall_fuel(HOSTCALL);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|guest| Ok(on_epoch(guest.data())));
        Self { store, _slot: slot }
    }

    /// The store.
    pub fn store(&mut self) -> &mut Store<GuestState> {
        &mut self.store
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // This must be first: a store drops its streams before its data, and a body that the guest
        // was sending would look complete.
        self.store.data_mut().mark_ended();
    }
}

/// Decides what happens to a guest that computes when an epoch ends. Depends only on the clock and
/// the gate, so that it works even if all other control hangs.
fn on_epoch(state: &GuestState) -> UpdateDeadline {
    if state.gate().pass().is_err() {
        return UpdateDeadline::Interrupt;
    }
    // tokio's own yield lets the runtime poll its sockets and timers first. A task that simply
    // wakes itself would not.
    UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
}
