//! End-to-end tests: real `soloist` processes, a real etcd, a real PostgreSQL and the embedded store,
//! real components, and clients that check everything.
//!
//! `cargo xtask test` runs them; it builds the components and finds etcd and PostgreSQL.

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
mod postgres_faults;
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

/// Makes a test of each function for each store: all stores must behave alike.
///
/// After `core:` are functions that `cargo xtask test` runs on a PostgreSQL as well. All others are
/// run there, and all of them behind a pooler, by `cargo xtask ci`.
macro_rules! on_all_stores {
    (core: $($name:ident),+ $(,)?) => {
        crate::on_all_stores!(@always sqlite Sqlite $($name)+);
        crate::on_all_stores!(@always etcd Etcd $($name)+);
        crate::on_all_stores!(@always postgres Postgres $($name)+);
        crate::on_all_stores!(@in_ci pgbouncer PgBouncer $($name)+);
    };
    (@always $store:ident $kind:ident $($name:ident)+) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::harness::cluster::Kind::$kind).await;
            })+
        }
    };
    (@in_ci $store:ident $kind:ident $($name:ident)+) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "it is slow: `cargo xtask ci` runs it"]
            async fn $name() {
                super::$name(crate::harness::cluster::Kind::$kind).await;
            })+
        }
    };
    ($($name:ident),+ $(,)?) => {
        crate::on_all_stores!(@always sqlite Sqlite $($name)+);
        crate::on_all_stores!(@always etcd Etcd $($name)+);
        crate::on_all_stores!(@in_ci postgres Postgres $($name)+);
        crate::on_all_stores!(@in_ci pgbouncer PgBouncer $($name)+);
    };
}
pub(crate) use on_all_stores;
