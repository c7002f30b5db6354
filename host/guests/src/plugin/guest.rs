//! One instance: its store, its slot, and the hold on it.

use wasmtime::{Store, UpdateDeadline};

use super::InstanceSlot;
use crate::capability::{GuestState, HOSTCALL};

/// A store that one instance lives in.
pub struct Guest {
    // In this order: the slot is given back after all of the store has gone.
    store: Store<GuestState>,
    _slot: InstanceSlot,
}

impl Guest {
    /// An empty store of `engine`, to instantiate in.
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
        // First of all: a store lets go of its streams before its data, and what
        // the guest was sending would look complete.
        self.store.data_mut().mark_ended();
    }
}

/// What becomes of a guest that computes while an epoch ends. It asks the clock
/// and the gate, and nobody else: this must hold when all other control hangs.
fn on_epoch(state: &GuestState) -> UpdateDeadline {
    if state.gate().pass().is_err() {
        return UpdateDeadline::Interrupt;
    }
    // tokio's own yield: it lets the runtime look at its sockets and timers
    // first, which a task that simply wakes itself again would not.
    UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
}
