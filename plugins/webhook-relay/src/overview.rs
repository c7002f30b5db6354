//! What `GET /` shows. Neither headers nor bodies: they may hold secrets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use kit::{
    clock::wall_ms,
    html::{self, Text, span},
    state::{State, StateError},
};
use serde::Serialize;

use crate::{
    keys::{self, Index},
    topic::{Topic, Turn},
};

/// How many dead letters of a topic are shown; the latest are.
const SHOWN: usize = 50;

#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    topics: BTreeMap<String, Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    target: Option<String>,
    max_attempts: Option<u32>,
    waiting: usize,
    next: Option<Next>,
    dead: usize,
    dead_letters: Vec<Letter>,
}

/// The webhook whose turn it is.
#[derive(Debug, Serialize)]
struct Next {
    id: String,
    attempts: u32,
    in_ms: u64,
    last_error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Letter {
    id: String,
    attempts: Option<u32>,
    last_error: Option<String>,
}

impl Overview {
    pub(crate) fn read(state: &State) -> Result<Self, StateError> {
        let index = Index::read(state)?;
        let (waiting, dead) = (index.waiting.keys(), index.dead.keys());
        let names: BTreeSet<_> = index.topics.iter().chain(waiting).chain(dead).collect();
        let mut topics = BTreeMap::new();
        for name in names {
            topics.insert(name.clone(), Row::read(state, &index, name)?);
        }
        Ok(Self { topics })
    }

    pub(crate) fn page(&self, prefix: &str) -> String {
        let mut body = String::new();
        for (name, row) in &self.topics {
            row.draw(name, &mut body);
        }
        if body.is_empty() {
            let prefix = Text(prefix);
            body = format!(
                "<p>No topic yet. Make one: <code>curl -X PUT -d https://ci.example.com/hook \
                 http://…{prefix}/push/target</code>, and send webhooks to \
                 <code>{prefix}/push</code>.</p>\n"
            );
        }
        html::page("webhook-relay", &body)
    }
}

impl Row {
    fn read(state: &State, index: &Index, name: &str) -> Result<Self, StateError> {
        let topic: Option<Topic> = state.read(&keys::topic(name))?;
        let waiting = index.waiting.get(name);
        let next = match waiting.and_then(|ids| ids.first()) {
            Some(id) => Some(Next::read(state, name, id)?),
            None => None,
        };
        let dead = index.dead.get(name);
        let shown: Vec<_> = dead.into_iter().flatten().rev().take(SHOWN).collect();
        let whys: Vec<_> = shown.iter().map(|id| keys::why(name, id)).collect();
        let mut whys: BTreeMap<_, Turn> = state.read_all(&whys)?.into_iter().collect();
        let letters = shown.into_iter().map(|id| {
            let why = whys.remove(&keys::why(name, id));
            let attempts = why.as_ref().map(|why| why.attempts);
            Letter { id: id.clone(), attempts, last_error: why.map(|why| why.last_error) }
        });
        Ok(Self {
            max_attempts: topic.as_ref().map(|topic| topic.attempts),
            target: topic.and_then(|topic| topic.target),
            waiting: waiting.map_or(0, |ids| ids.len()),
            next,
            dead: dead.map_or(0, |ids| ids.len()),
            dead_letters: letters.collect(),
        })
    }

    fn draw(&self, name: &str, page: &mut String) {
        let name = Text(name);
        let target = Text(self.target.as_deref().unwrap_or("no target: nothing is taken"));
        // Writing into a string does not fail.
        let _ = writeln!(
            page,
            "<h2>{name}</h2>\n<p><code>{target}</code><br>{} waiting, {} dead</p>",
            self.waiting, self.dead
        );
        if let Some(Next { id, attempts, in_ms, last_error: Some(error) }) = &self.next {
            let (error, wait) = (Text(error), span(*in_ms));
            let _ = writeln!(
                page,
                "<p class=\"bad\">{id} failed {attempts} times: {error}. Tried again in {wait}.</p>"
            );
        }
        if self.dead_letters.is_empty() {
            return;
        }
        page.push_str("<table><tr><th>Dead letter<th>Attempts<th>Last error\n");
        for letter in &self.dead_letters {
            let (id, attempts) = (Text(&letter.id), letter.attempts.unwrap_or_default());
            let error = Text(letter.last_error.as_deref().unwrap_or_default());
            let _ = writeln!(page, "<tr><td><code>{id}</code><td>{attempts}<td>{error}");
        }
        page.push_str("</table>\n");
    }
}

impl Next {
    fn read(state: &State, name: &str, id: &str) -> Result<Self, StateError> {
        let turn = state.read::<Turn>(&keys::turn(name))?.unwrap_or_default().of(id);
        let in_ms = turn.wait(wall_ms());
        let last_error = Some(turn.last_error).filter(|error| !error.is_empty());
        Ok(Self { id: turn.id, attempts: turn.attempts, in_ms, last_error })
    }
}
