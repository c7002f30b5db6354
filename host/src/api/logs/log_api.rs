//! What the log routes share: it finds the host that has the lines.

use std::sync::Arc;

use axum::{body::Bytes, http::StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;

use crate::{
    action::Programme,
    api::api_error::ApiError,
    cluster::{PeerAddress, PeerClient, PeerError},
};
use soloist_guests::capability::{LINES_MAX, LogBuffer, LogBuffers, LogLine};
use soloist_heart::Group;
use soloist_stores::{Roster, ThisHost};
use soloist_text::{rfc3339, with_causes};

/// Looks up the lines that actions printed.
pub struct LogApi {
    /// This host.
    pub host: ThisHost,
    /// The actions of this host.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// The client for other hosts.
    pub peers: PeerClient,
    /// The members, and who leads which group.
    pub roster: watch::Receiver<Option<Roster>>,
    /// The lines that were printed on this host.
    pub lines: LogBuffers,
}

/// Which lines to return, and in which format.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogQuery {
    /// How many of the latest lines; 100 by default.
    pub(super) lines: Option<usize>,
    /// Whether further lines follow as they are printed.
    pub(super) follow: bool,
    /// Text, or JSON with an object a line.
    pub(super) format: LogOutput,
    /// Only lines of this host, whether it leads or not.
    pub(super) host: Option<String>,
    /// Only lines of this term and later ones.
    pub(super) fencing_token: Option<i64>,
    /// Only lines after the one with this id.
    pub(super) after: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogOutput {
    #[default]
    Text,
    Json,
}

/// The host whose lines are wanted.
pub(super) enum LogHost {
    /// This host.
    Own,
    /// Another host, by name and URL.
    Of(String, String),
}

impl LogApi {
    /// The action of this name and its group.
    pub(super) fn action(&self, name: &str) -> Result<(Arc<str>, Option<Group>), ApiError> {
        let programme = self.programme.borrow();
        if let Some(action) = programme.actions.iter().find(|action| **action.name() == *name) {
            // Tasks run on every host, so they have no leader: the host that was asked shows its
            // own lines.
            let group = action.kinds().need_term().then(|| action.group().clone());
            return Ok((Arc::clone(action.name()), group));
        }
        // A refused action may have printed something earlier.
        if programme.refusal(name).is_some() {
            return Ok((name.into(), None));
        }
        let names: Vec<_> = programme.actions.iter().map(|action| &**action.name()).collect();
        let help = match &names[..] {
            [] => "this host has no actions: put a component into its plugins folder".to_owned(),
            names => format!("the actions are {}", names.join(", ")),
        };
        Err(ApiError::new(StatusCode::NOT_FOUND, format!("there is no action `{name}`"), help))
    }

    /// The host whose lines are wanted: the named one, or the leader, or this host if nobody
    /// leads.
    pub(super) fn host_for(
        &self,
        group: &Option<Group>,
        wanted: &LogQuery,
    ) -> Result<LogHost, ApiError> {
        let roster = self.roster.borrow();
        match (&wanted.host, group) {
            (Some(host), _) => match roster.as_ref().and_then(|roster| roster.member(host)) {
                Some(member) if self.host.is_other(&**member) => {
                    Ok(LogHost::Of(member.name.clone(), member.url.clone()))
                }
                None if **host != **self.host.name() => Err(no_host(host, roster.as_ref())),
                _ => Ok(LogHost::Own),
            },
            (None, Some(group)) => {
                Ok(self.leader(roster.as_ref(), group).map_or(LogHost::Own, |(_, whose)| whose))
            }
            (None, None) => Ok(LogHost::Own),
        }
    }

    /// The leader and its fencing token.
    pub(super) fn leader(&self, roster: Option<&Roster>, group: &Group) -> Option<(i64, LogHost)> {
        let leader = roster?.leader(group)?;
        let candidate = &leader.candidate;
        let whose = if self.host.is_other(candidate) {
            LogHost::Of(candidate.host.clone(), candidate.url.clone())
        } else {
            LogHost::Own
        };
        Some((leader.key.fencing_token.0, whose))
    }

    pub(super) fn buffer(&self, action: &Arc<str>) -> LogBuffer {
        self.lines.of(action)
    }

    /// Checks that the address of another host leads there, before its lines are followed. It need
    /// not answer: there may be another leader soon.
    pub(super) async fn check_address(
        &self,
        of: PeerAddress<'_>,
        action: &str,
        wanted: &LogQuery,
    ) -> Result<(), ApiError> {
        let nothing = LogQuery { lines: Some(0), ..LogQuery::default() };
        match self.peers.read_lines(of, &nothing.path(action), self.host.name()).await {
            Err(error @ PeerError::Misdirected(_)) => Err(no_answer(of, wanted, error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) async fn ask(
        &self,
        of: PeerAddress<'_>,
        action: &str,
        wanted: &LogQuery,
    ) -> Result<Vec<Arc<LogLine>>, ApiError> {
        let asked = async {
            let mut reading =
                self.peers.read_lines(of, &wanted.path(action), self.host.name()).await?;
            let mut lines = Vec::new();
            while let Some(line) = reading.next().await? {
                lines.extend(serde_json::from_str(&line).map(Arc::new));
            }
            Ok::<_, PeerError>(lines)
        };
        asked.await.map_err(|error| no_answer(of, wanted, error))
    }
}

/// The error where another host did not send its lines.
fn no_answer(of: PeerAddress<'_>, wanted: &LogQuery, error: PeerError) -> ApiError {
    let (what, help) = match error {
        PeerError::Misdirected(it) => {
            let it = if wanted.host.is_none() { it.to_leader() } else { it };
            (it.error(), it.help())
        }
        error => {
            let why = with_causes(&error);
            let help = "ask again when it does, or see what another host printed: \
                        `soloist logs ACTION --host HOST`, or ?host=HOST";
            (format!("{} does not answer at {}: {why}", of.host, of.url), help.to_owned())
        }
    };
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, what, help)
}

fn no_host(host: &str, roster: Option<&Roster>) -> ApiError {
    let members = roster.into_iter().flat_map(|roster| &roster.members);
    let names: Vec<_> = members.map(|(_, member)| &*member.name).collect();
    let kept = format!("these hosts are alive and keep lines: {}", names.join(", "));
    let known = roster.and_then(|roster| roster.notes.known.get(host));
    let Some(known) = known else {
        return ApiError::new(StatusCode::NOT_FOUND, format!("there is no host `{host}`"), kept);
    };
    let seen = rfc3339(known.last_seen);
    let error = format!("{host} is not alive; it was seen last at {seen}");
    let help = format!(
        "{kept}. What {host} printed before is in the log of its process, on its own machine"
    );
    ApiError::new(StatusCode::CONFLICT, error, help)
}

impl LogQuery {
    pub(super) fn pick(&self, buffer: &LogBuffer) -> Vec<Arc<LogLine>> {
        let most = self.lines.unwrap_or(LINES).min(LINES_MAX);
        buffer.latest(most, |line| {
            let in_time = self.fencing_token.is_none_or(|from| line.fencing_token >= Some(from));
            in_time && self.after.is_none_or(|after| line.id > after)
        })
    }

    /// The path that asks another host for the same lines of its own.
    pub(super) fn path(&self, action: &str) -> String {
        let name =
            percent_encoding::utf8_percent_encode(action, percent_encoding::NON_ALPHANUMERIC);
        let lines = self.lines.unwrap_or(LINES);
        let mut path = format!("/v1/logs/{name}?format=json&lines={lines}&follow={}", self.follow);
        self.fencing_token
            .iter()
            .for_each(|fencing_token| path += &format!("&fencing_token={fencing_token}"));
        self.after.iter().for_each(|after| path += &format!("&after={after}"));
        path
    }
}

impl LogOutput {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/x-ndjson",
        }
    }

    pub(super) fn write(self, line: &LogLine) -> Bytes {
        let text = match self {
            Self::Text => line.to_string(),
            Self::Json => serde_json::to_string(line).unwrap_or_default(),
        };
        Bytes::from(text + "\n")
    }

    /// What to send as a heartbeat, if the format allows one.
    pub(super) fn heartbeat(self) -> Option<Bytes> {
        (self == Self::Json).then(|| Bytes::from_static(b"\n"))
    }
}

/// How many lines are shown by default.
const LINES: usize = 100;
