//! Guests: how a plugin file becomes a running instance, and what that instance may do.
//!
//! - [`plugin`]: vets, recognises, lifts, compiles and links a file
//! - [`capability`]: what an instance may import, and where each effect passes the gate

pub mod capability;
pub mod plugin;
