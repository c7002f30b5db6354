//! The requests of `soloist state`.

use std::time::Duration;

use http::Method;

use crate::{
    api::{DeletedKeys, StateKeys},
    cli::{
        ExitError,
        api_client::{ApiClient, ApiRequest, STORE_PATIENCE},
    },
};

/// How long it may take to delete all keys of an action.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// Reads and changes state through a host.
pub(super) struct StateClient {
    client: ApiClient,
}

impl StateClient {
    pub(super) const fn new(client: ApiClient) -> Self {
        Self { client }
    }

    /// A page of keys: those after `after`.
    pub(super) async fn list(
        &self,
        action: &str,
        after: Option<&str>,
    ) -> Result<StateKeys, ExitError> {
        let mut question = self.of(Method::GET, action);
        if let Some(after) = after {
            question = question.option("after", after);
        }
        question.send(STORE_PATIENCE).await?.json()
    }

    /// Checks that the host knows the action, since no state of it was found.
    pub(super) async fn knows(&self, action: &str) -> Result<(), ExitError> {
        let actions = self.client.status().await?.actions;
        if actions.iter().any(|known| known.name == action) {
            return Ok(());
        }
        let known: Vec<_> = actions.iter().map(|known| known.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(ExitError::missing(format!("there is no action {action}, and nothing is kept for it"))
            .help(format!("the actions of this host are: {known}")))
    }

    pub(super) async fn get(&self, action: &str, key: &str) -> Result<Vec<u8>, ExitError> {
        let question = self.of(Method::GET, action).option("key", key);
        Ok(question.send(STORE_PATIENCE).await?.bytes().into())
    }

    pub(super) async fn set(
        &self,
        action: &str,
        key: &str,
        value: Vec<u8>,
    ) -> Result<(), ExitError> {
        let question = self.of(Method::PUT, action).option("key", key).body(value, None)?;
        question.send(STORE_PATIENCE).await.map(drop)
    }

    pub(super) async fn delete(&self, action: &str, key: &str) -> Result<(), ExitError> {
        let question = self.of(Method::DELETE, action).option("key", key);
        question.send(STORE_PATIENCE).await.map(drop)
    }

    /// Deletes all keys of an action, and returns how many there were.
    pub(super) async fn delete_all(&self, action: &str) -> Result<usize, ExitError> {
        let question = self.of(Method::DELETE, action).option("all", "true");
        let deleted: DeletedKeys = question.send(LONG_PATIENCE).await?.json()?;
        Ok(deleted.deleted)
    }

    /// The key is not part of the path, where `..` would be removed. An action name that would
    /// lead to another path is left for the host to refuse.
    fn of(&self, method: Method, action: &str) -> ApiRequest {
        self.client.request(method, &["v1", "state", action])
    }
}
