//! What a guest may import, one file a capability, and the gate that every effect passes.

mod gate;

pub use gate::{Deadline, Gate, Shut};
