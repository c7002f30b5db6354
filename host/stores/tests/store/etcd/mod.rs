//! The properties that only the etcd store has.

mod entries;
mod login;
mod outages;
mod state;
mod trust;

use std::{sync::Arc, time::Duration};

use soloist_config::StoreUrl;
use soloist_stores::{self as store, Store, StoreError};

use crate::world::{LONG, TestHost, soon};

fn open(endpoints: Vec<String>, login: Option<(&str, &str)>, timeout: Duration) -> Arc<dyn Store> {
    let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
    store::open(&StoreUrl::Etcd { endpoints, login, tls: None }, "test", timeout).unwrap()
}

async fn session(store: &Arc<dyn Store>, name: &str) -> TestHost {
    let lease = soon(store.grant(LONG)).await.unwrap().id;
    TestHost { store: store.clone(), lease, name: name.into() }
}

fn refusal(answer: Result<(), StoreError>) -> String {
    match answer {
        Err(StoreError::Refused { problem, .. }) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

/// The text of an error, and that of its cause.
fn text(error: &StoreError) -> String {
    let below = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", below.unwrap_or_default())
}
