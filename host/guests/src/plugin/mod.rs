//! From a file to a component that can be instantiated.
//!
//! read → vet → recognise → lift, if it is a core module → compile → link. Each step relies on what
//! the one before has checked.
//!
//! Invariants:
//! - One [`PluginEngine`] serves the whole process, and every instance, of WASI 0.2 or 0.3, holds a
//!   slot of it from before it is created until after it was dropped. So
//!   [`PluginEngine::live_instances`] is zero exactly when no instance exists.
//! - A [`Plugin`] that was loaded can be instantiated: it is compiled, its kinds are known and all
//!   of its imports are on offer.
//! - Code from the compile cache is run only if it is identical to what was put there.
//! - A guest runs only while the gate of its term is open, even if everything else in the host
//!   hangs.

mod cache_record;
mod compile_process;
mod cpu_turns;
mod digest;
mod engine_error;
mod entry_points;
mod file_format;
mod folder_watch;
mod function_cache;
mod guest;
mod hooks;
mod inspection;
mod instance_limit;
mod kind;
mod lift;
mod load;
mod outline;
mod plugin_engine;
mod plugin_error;
mod ranker;
mod recognise;
mod task;
mod ticker;
mod vetting;
mod wasi_engine;
pub mod wit;
mod wit_changes;
mod wit_text;
mod world;

pub use compile_process::compile_stdin;
pub use cpu_turns::CpuTurns;
pub use engine_error::EngineError;
pub use entry_points::{EntryPoints, HttpEntryPoint, ServiceEntryPoint};
pub use file_format::FileFormat;
pub use folder_watch::FolderWatch;
pub use guest::Guest;
pub use hooks::HookLeader;
pub use hooks::{HooksEntryPoint, LeaderChange};
pub use inspection::{GrantRequest, Inspection};
pub use kind::{Kind, Kinds};
pub use load::Plugin;
pub use load::{kinds, needs_compiling, read_plugin};
pub use plugin_engine::{InstanceSlot, PluginEngine, PoolUsage};
pub use plugin_error::PluginError;
pub use ranker::{RankCandidate, Ranker};
pub use task::{TaskCall, TaskFailure, TaskOutput};
pub use task::{TaskEntryPoint, TaskInstance};
pub use ticker::FastTicks;
pub use vetting::{CompileLimits, CompileTarget, die_with_parent};
pub use world::INTERFACES_EXPORT;
