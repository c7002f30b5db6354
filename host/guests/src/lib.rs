//! Guests: from a file to an instance behind a gate.
//!
//! - [`plugin`]: a file is vetted, recognised, lifted, compiled and linked
//! - [`capability`]: what an instance may import, and where each effect asks the gate

pub mod capability;
pub mod plugin;
