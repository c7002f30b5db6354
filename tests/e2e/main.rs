//! End-to-end tests: real `soloist` processes, a real etcd and the embedded store, real components,
//! and clients that check everything.
//!
//! `cargo xtask test` runs them; it builds the components and finds etcd.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod accepted;
mod advertise;
mod backup;
mod clients;
mod commands;
mod dashboard;
mod demo;
mod events;
mod exit_codes;
mod first_party;
mod forward;
mod frozen;
mod guard;
mod harness;
mod health;
mod hooks;
mod hostile_store;
mod http;
mod hung_files;
mod jobs;
mod languages;
mod lifecycle;
mod logs;
mod metrics;
mod migrate;
mod namesakes;
mod openapi;
mod packaging;
mod plugin;
mod plugins;
mod refusals;
mod removal;
mod service_manager;
mod several_hosts;
mod signals;
mod soak;
mod spreading;
mod standards;
mod state;
mod status;
mod store_loss;
mod store_tls;
mod strangers;
mod strategies;
mod supervisor;
mod tasks;
mod terminal;
mod traces;
mod tutorial;
mod work;

/// Makes a test of each function for each store: both stores must behave alike.
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::harness::cluster::Kind::Sqlite).await;
            })+
        }
        mod etcd {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::harness::cluster::Kind::Etcd).await;
            })+
        }
    };
}
pub(crate) use on_both_stores;
