//! Asking other hosts, by their control API.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::commands::{CommandError, Done, Obstacle, ResignOrder};

/// Names the host that passes a request on; whoever gets one does not pass it on again.
pub const PASSED_ON: &str = "soloist-passed-on";

/// How long a host that answers line by line may be quiet.
const QUIET: Duration = Duration::from_secs(7);

/// A line that is longer is no answer of a host's.
const LINE_MAX: usize = 1 << 20;

/// How long another host may take to say how it is.
const QUESTION: Duration = Duration::from_secs(1);

/// Has the host at `url` hand over.
pub(super) async fn resign(
    url: &str,
    host: &str,
    order: &ResignOrder,
    within: Duration,
) -> Result<Result<Done, CommandError>, reqwest::Error> {
    let request = client(within)?.post(format!("{url}/v1/resign"));
    let answer = request.header(PASSED_ON, host).json(order).send().await?;
    if answer.status().is_success() {
        return Ok(Ok(answer.json().await?));
    }
    let kind = Obstacle::of_code(answer.status().as_u16());
    let reason: Value = answer.json().await?;
    let text = |key: &str| reason[key].as_str().unwrap_or_default().to_owned();
    Ok(Err(CommandError { kind, error: text("error"), help: text("help") }))
}

/// What the host at `url` says of `group`, if it says anything.
pub(super) async fn part(url: &str, group: &str) -> Option<Part> {
    let answer = client(QUESTION).ok()?.get(format!("{url}/v1/status")).send().await.ok()?;
    let mut status: Value = answer.json().await.ok()?;
    serde_json::from_value(status["groups"][group].take()).ok()
}

/// A host's part in a group.
#[derive(Deserialize)]
pub(super) struct Part {
    /// What keeps it from standing for election.
    pub(super) obstacle: Option<String>,
    /// Who stands by, as it sees it.
    pub(super) standbys: Vec<String>,
}

/// Passes a POST without a body on to the host at `url`, and returns the code and the text
/// of its answer; without a limit, whenever that comes.
///
/// # Errors
/// It does not answer.
pub async fn pass_on(
    url: &str,
    path: &str,
    host: &str,
    within: Option<Duration>,
) -> Result<(u16, String), reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().connect_timeout(QUESTION);
    let client = match within {
        Some(within) => client.timeout(within),
        None => client,
    };
    let request = client.build()?.post(format!("{url}{path}"));
    let answer = request.header(PASSED_ON, host).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// A host's answer, line by line as it comes.
pub struct Reading {
    answer: reqwest::Response,
    unread: Vec<u8>,
}

impl Reading {
    /// Asks the host at `url`, on behalf of `host`.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn of(url: &str, path: &str, host: &str) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().no_proxy();
        let client = client.connect_timeout(QUESTION).read_timeout(QUIET).build()?;
        let request = client.get(format!("{url}{path}")).header(PASSED_ON, host);
        let answer = request.send().await?.error_for_status()?;
        Ok(Self { answer, unread: Vec::new() })
    }

    /// The next line; nothing at the end.
    ///
    /// # Errors
    /// The answer broke off, or was quiet for too long.
    pub async fn next(&mut self) -> Result<Option<String>, reqwest::Error> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                let line = std::mem::replace(&mut self.unread, rest);
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            match self.answer.chunk().await? {
                Some(piece) if self.unread.len() < LINE_MAX => {
                    self.unread.extend_from_slice(&piece);
                }
                Some(_) | None => return Ok(None),
            }
        }
    }
}

fn client(within: Duration) -> reqwest::Result<reqwest::Client> {
    // Hosts are near: no proxy.
    reqwest::Client::builder().no_proxy().timeout(within).build()
}
