//! soloist: many hosts stand by, exactly one performs.
//!
//! The rooms, from the top down (arrows run downwards only):
//!
//! - [`cli`]: arguments in, exit code out
//! - [`api`]: control API; [`term`]: drives the heart and owns what runs under a term
//! - [`action`]: one runner a kind; [`cluster`]: who is there, who leads
//! - [`plugin`]: from a file to something instantiable; [`capability`]: what a guest may import
//! - [`store`]: etcd or SQLite; [`election`]: the heart, without I/O; [`config`]: `soloist.toml`

pub mod capability;
pub mod clock;
pub mod config;
pub mod election;
pub mod store;
