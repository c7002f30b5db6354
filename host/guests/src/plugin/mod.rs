//! From a file to something instantiable.
//!
//! read → vet → recognise → lift, if it is a core module → compile → link. What one
//! step lets through, the next one can rely on.
//!
//! Invariants:
//! - One [`Engine`] serves the whole process, and every instance, be it of WASI
//!   0.2 or 0.3, holds a slot of it from before it is made until after it is
//!   gone. So [`Engine::live`] is zero exactly when no instance exists.
//! - A [`Plugin`] that was loaded can be instantiated: it is compiled, its kinds
//!   are known and all of its imports are on offer.
//! - Code from the compile cache is run only if it is what was put there.
//! - A guest runs only while the gate of its term lets it, whatever else of
//!   the host may hang.

mod apart;
mod artefacts;
mod digest;
mod engine;
mod engine_error;
mod entry;
mod error;
mod form;
mod function_cache;
mod guest;
mod hooks;
mod inspect;
mod kind;
mod lift;
mod load;
mod machine;
mod outline;
mod pace;
mod pool;
mod ranker;
mod recognise;
mod task;
mod ticker;
mod vetting;
mod watch;
pub mod wit;
mod world;

pub use apart::compile_stdin;
pub use engine::{Engine, PoolUsage, Slot};
pub use engine_error::EngineError;
pub use entry::{Entries, HttpEntry, ServiceEntry};
pub use error::PluginError;
pub use form::Form;
pub use guest::Guest;
pub use hooks::Leader;
pub use hooks::{Change, HooksEntry};
pub use inspect::{Inspection, Request};
pub use kind::{Kind, Kinds};
pub use load::Plugin;
pub use load::{is_to_be_compiled, kinds, read};
pub use pace::Pace;
pub use ranker::{Ranked, Ranker};
pub use task::{Answer, Call, Undone};
pub use task::{TaskEntry, TaskInstance};
pub use ticker::Hurry;
pub use vetting::{CompileLimits, Craft, end_with};
pub use watch::FolderWatch;
