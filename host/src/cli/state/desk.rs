//! The requests of `soloist state`.

use std::time::Duration;

use reqwest::{Method, Response, Url};
use serde::Deserialize;

use crate::{
    api::StateKeys,
    cli::{
        ExitError,
        client::{self, Client},
    },
};

/// How long a host may take: longer than its store takes to fail.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to remove all keys of an action.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// The state as a host hands it out.
pub(super) struct Desk {
    client: Client,
    url: String,
}

#[derive(Deserialize)]
struct Removed {
    deleted: u64,
}

impl Desk {
    pub(super) fn new(url: String) -> Result<Self, ExitError> {
        Ok(Self { client: Client::new()?, url })
    }

    /// A page of keys, those after `after`.
    pub(super) async fn list(
        &self,
        action: &str,
        after: Option<&str>,
    ) -> Result<StateKeys, ExitError> {
        let options: Vec<_> = after.iter().map(|after| ("after", *after)).collect();
        let answer = self.ask(Method::GET, action, &options, None).await?;
        answer.json().await.map_err(|error| client::odd(&self.url, &error))
    }

    pub(super) async fn get(&self, action: &str, key: &str) -> Result<Vec<u8>, ExitError> {
        let answer = self.ask(Method::GET, action, &[("key", key)], None).await?;
        let value = answer.bytes().await.map_err(|error| client::refusal(&self.url, error))?;
        Ok(value.into())
    }

    pub(super) async fn put(
        &self,
        action: &str,
        key: &str,
        value: Vec<u8>,
    ) -> Result<(), ExitError> {
        self.ask(Method::PUT, action, &[("key", key)], Some(value)).await.map(drop)
    }

    pub(super) async fn remove(&self, action: &str, key: &str) -> Result<(), ExitError> {
        self.ask(Method::DELETE, action, &[("key", key)], None).await.map(drop)
    }

    /// Removes all keys of an action and says how many they were.
    pub(super) async fn remove_all(&self, action: &str) -> Result<u64, ExitError> {
        let answer = self.ask(Method::DELETE, action, &[("all", "true")], None).await?;
        let removed: Removed =
            answer.json().await.map_err(|error| client::odd(&self.url, &error))?;
        Ok(removed.deleted)
    }

    async fn ask(
        &self,
        method: Method,
        action: &str,
        options: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Response, ExitError> {
        let patience = if options == [("all", "true")] { LONG_PATIENCE } else { PATIENCE };
        let url = self.address(action, options)?;
        let request = self.client.http().request(method, url).timeout(patience);
        let request = request.body(body.unwrap_or_default());
        let answer = request.send().await.map_err(|error| client::refusal(&self.url, error))?;
        client::done(&self.url, answer).await
    }

    fn address(&self, action: &str, options: &[(&str, &str)]) -> Result<Url, ExitError> {
        // A name that would lead elsewhere is for the host to refuse.
        let action =
            percent_encoding::utf8_percent_encode(action, percent_encoding::NON_ALPHANUMERIC);
        let path = format!("{}/v1/state/{action}", self.url.trim_end_matches('/'));
        let mut url = Url::parse(&path).map_err(|_| client::no_url(&self.url))?;
        // The key is no part of the path, from which `..` would be taken out.
        url.query_pairs_mut().extend_pairs(options);
        Ok(url)
    }
}
