//! Formats a status.

mod format;
mod remarks;
mod tables;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use owo_colors::Style;

use crate::{
    api::{Status, StoreState},
    cli::terminal::{Paint, sanitize},
};
use format::{bad, good};
use remarks::remarks;
use tables::{actions, groups, hosts};

/// The whole status as text.
pub(crate) fn status(status: &Status, now: SystemTime, paint: Paint) -> String {
    let parts = [
        summary(status, paint),
        groups(status, now).render(paint) + &remarks(status, paint),
        hosts(status, now).render(paint),
        actions(status).render(paint),
    ];
    parts.join("\n")
}

fn summary(status: &Status, paint: Paint) -> String {
    let (host, store) = (&status.host, &status.store);
    let bold = |text: &str| paint.paint(sanitize(text), Style::new().bold());
    let state = match store.state {
        StoreState::Ok => paint.paint("ok", good()),
        StoreState::Unwritable => paint.paint("takes no writes", bad()),
        StoreState::Lost => paint.paint("lost", bad()),
    };
    let mut text = format!(
        "cluster {}, seen by host {} ({}, soloist {})\nstore {}: {state}\n",
        bold(&status.cluster),
        bold(&host.name),
        sanitize(&host.listen),
        sanitize(&host.version),
        sanitize(&store.label),
    );
    if let Some(error) = &store.last_error {
        text += &format!("  {}\n", sanitize(error));
    }
    text
}
