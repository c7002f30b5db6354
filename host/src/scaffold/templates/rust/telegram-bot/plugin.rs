//! A bot for Telegram: it greets users that send `/start`, and repeats all other messages.
//!
//! Telegram hands the updates of a bot to one poller alone: a second one gets 409, and takes
//! updates away from the first. So the leader polls, and nobody else does. How far it has come is
//! in its state, where the next leader goes on.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "imports",
        // So that wstd can wait for the end of the term.
        with: { "wasi:io/poll@0.2.12": wasip2::io::poll },
        generate_all,
    });
}

use anyhow::{Context, Result, anyhow};
use bindings::{
    soloist::plugin::term,
    wasi::{
        config::store as config,
        keyvalue::store::{Bucket, open},
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use wstd::{
    http::{Body, Client, Request},
    prelude::*,
    runtime::AsyncPollable,
    time::{Duration, Timer},
};

/// How long Telegram may wait for an update before it says that there is none, in seconds.
const POLL: u64 = 50;
/// The pause after a failure, in seconds.
const PAUSE: u64 = 5;
/// Where the state has the number of the next update.
const OFFSET: &str = "offset";

#[wstd::main]
async fn main() -> Result<()> {
    let mut bot = Bot::from_settings()?;
    // Who has asked for it is given time to finish.
    let ending = AsyncPollable::new(term::subscribe_ending());
    // A poll that is cut off here has taken nothing: Telegram keeps its updates for the next one.
    while let Ok(updates) = bot.updates().timeout(ending.wait_for()).await {
        for update in updates {
            bot.take(update).await?;
        }
    }
    Ok(())
}

struct Bot {
    api: String,
    token: String,
    state: Bucket,
    offset: i64,
}

/// What Telegram wraps each answer in.
#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Update {
    update_id: i64,
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    chat: Chat,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Chat {
    id: i64,
}

impl Bot {
    fn from_settings() -> Result<Self> {
        let api = config::get("api")?.context("set `config.api` in {{name}}.toml")?;
        let token = std::env::var("TELEGRAM_TOKEN")
            .context("set `secrets.TELEGRAM_TOKEN` in {{name}}.toml")?;
        let state = open("default").context("set `state = true` in {{name}}.toml")?;
        let kept = state.get(OFFSET)?.and_then(|bytes| String::from_utf8(bytes).ok());
        let offset = kept.and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(Self { api, token, state, offset })
    }

    /// The next updates. None after a failure, which is told, and waited for a little.
    async fn updates(&self) -> Vec<Update> {
        let wanted =
            json!({ "offset": self.offset, "timeout": POLL, "allowed_updates": ["message"] });
        match self.call("getUpdates", &wanted).await {
            Ok(updates) => updates,
            Err(error) => {
                eprintln!("{error:#}");
                Timer::after(Duration::from_secs(PAUSE)).wait().await;
                Vec::new()
            }
        }
    }

    /// Answers one update.
    async fn take(&mut self, update: Update) -> Result<()> {
        self.offset = update.update_id + 1;
        // A host that leads no longer is refused here, and so answers nobody. Who would rather
        // answer twice than never when a host is lost puts this behind the answer.
        self.state.set(OFFSET, self.offset.to_string().as_bytes())?;
        let Some(Message { chat, text: Some(text) }) = update.message else { return Ok(()) };
        let text = match text.as_str() {
            "/start" => "Hello! Tell me something, and I say it back.",
            other => other,
        };
        let answer = json!({ "chat_id": chat.id, "text": text });
        // Somebody who has blocked the bot is no reason to end.
        if let Err(error) = self.call::<Value>("sendMessage", &answer).await {
            eprintln!("{error:#}");
        }
        Ok(())
    }

    /// Calls a method of the API: <https://core.telegram.org/bots/api>.
    async fn call<T: DeserializeOwned>(&self, method: &str, parameters: &Value) -> Result<T> {
        let body = parameters.to_string();
        let request = Request::post(format!("{}/bot{}/{method}", self.api, self.token))
            .header("content-type", "application/json")
            // Without it the body goes in pieces, which not every server takes.
            .header("content-length", body.len())
            .body(Body::from(body))?;
        let mut client = Client::new();
        client.set_first_byte_timeout(Duration::from_secs(POLL + 10));
        let response = client.send(request).await.with_context(|| method.to_owned())?;
        let status = response.status();
        let answer = response.into_body().json::<Answer<T>>().await;
        let answer = answer.with_context(|| format!("{method} was answered with {status}"))?;
        answer.result.ok_or_else(|| {
            let why = answer.description.unwrap_or_default();
            anyhow!("{method} was answered with {status}: {why}")
        })
    }
}
