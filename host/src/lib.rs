//! soloist: many hosts stand by, exactly one performs.
//!
//! The rooms, from the top down (arrows run downwards only):
//!
//! - [`cli`]: arguments in, exit code out; [`supervisor`]: a small parent that outlives its host;
//!   [`host`]: all rooms put together
//! - [`api`]: control API; [`term`]: drives the heart and owns what runs under a term
//! - [`tasks`]: what every host can do; [`relay`]: the leader's actions, from any host
//! - [`action`]: one runner a kind; [`cluster`]: who is there, who leads
//! - [`scaffold`]: new plugins; [`plugin`]: from a file to something instantiable; [`capability`]:
//!   what a guest may import
//! - [`store`]: etcd or SQLite; [`election`]: the heart, without I/O; [`config`]: `soloist.toml`;
//!   `tls`: certificates; [`budget`]: what is held in memory for others; `shares`, `descriptors`: what each client may have of what there is;
//!   [`clock`]: the boot-time clock; [`measure`]: every metric; [`trace`]: spans;
//!   [`journal`]: what has happened lately

pub mod action;
pub mod api;
pub mod budget;
pub mod capability;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
mod descriptors;
pub mod election;
pub mod host;
mod inode;
pub mod journal;
pub mod measure;
pub mod plugin;
pub mod relay;
mod repeats;
pub mod scaffold;
mod shares;
pub mod store;
pub mod supervisor;
pub mod tasks;
pub mod term;
mod tls;
pub mod trace;
mod words;
