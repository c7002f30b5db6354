//! From a file to something instantiable.
//!
//! Invariants:
//! - One [`Engine`] serves the whole process, and every instance holds a slot of
//!   it from before it is made until after it is gone. So [`Engine::live`] is
//!   zero exactly when no instance exists.
//! - A [`Plugin`] that was loaded can be instantiated: it is compiled, its kind
//!   is known and all of its imports are on offer.
//! - A guest runs only while the gate of its term lets it, whatever else of
//!   the host may hang.

mod engine;
mod error;
mod guest;
mod kind;
mod load;
mod ticker;

pub use engine::{Engine, EngineError, PoolUsage, Slot};
pub use error::PluginError;
pub(crate) use guest::Guest;
pub use kind::Kind;
pub(crate) use load::Entry;
pub use load::Plugin;
pub use ticker::Hurry;
