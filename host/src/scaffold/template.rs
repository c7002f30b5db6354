//! Templates: projects that start with a complete example of something that only one host may do.
//!
//! All are in Rust and use `wstd`, which provides requests, timers and `async`. The interfaces of
//! soloist, such as state and settings, come from the world `imports`.

use std::fmt;

use clap::ValueEnum;

use super::{
    Language, ProjectKind,
    recipe::{Recipe, SETTINGS},
};

/// What a project can begin as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// A service: it polls Telegram, greets and echoes.
    TelegramBot,
    /// A job: it posts what has changed in a page since the last time.
    CronReport,
    /// It answers HTTP: it takes signed webhooks, each of them once.
    WebhookReceiver,
    /// It answers HTTP, by an app of axum with state.
    Axum,
}

/// Includes the files of `templates/rust/FOLDER`: source, manifest and settings.
macro_rules! texts {
    ($folder:literal) => {
        [
            include_str!(concat!("templates/rust/", $folder, "/plugin.rs")),
            include_str!(concat!("templates/rust/", $folder, "/manifest.toml")),
            include_str!(concat!("templates/rust/", $folder, "/settings.toml")),
        ]
    };
}

/// The files of each template, in the order of the enum.
const TEXTS: [[&str; 3]; 4] =
    [texts!("telegram-bot"), texts!("cron-report"), texts!("webhook-receiver"), texts!("axum")];

impl Template {
    /// The kind of the template's plugin.
    #[must_use]
    pub fn kind(self) -> ProjectKind {
        match self {
            Self::TelegramBot => ProjectKind::Service,
            Self::CronReport => ProjectKind::Job,
            Self::WebhookReceiver | Self::Axum => ProjectKind::Http,
        }
    }

    /// The recipe of its language and kind, with the template's own files.
    pub(super) fn recipe(self) -> Recipe {
        let [source, manifest, settings] = TEXTS[self as usize];
        let mut recipe = Recipe::of(Language::Rust, self.kind());
        recipe.world = "imports";
        recipe.needs = "Rust 1.92 or later with its target `wasm32-wasip2` (`rustup target add wasm32-wasip2`)";
        recipe.source.1 = source;
        recipe.rest.retain(|(path, _)| ![SETTINGS, "Cargo.toml"].contains(path));
        recipe.rest.extend([("Cargo.toml", manifest), (SETTINGS, settings)]);
        recipe.files.retain(|(path, _)| *path != SETTINGS);
        recipe.files.push((SETTINGS, "its settings: what it may reach, and its options"));
        recipe
    }

    pub(super) fn does(self) -> &'static str {
        match self {
            Self::TelegramBot => {
                "It polls Telegram as long as its host leads, greets users that send `/start`, and \
                 repeats all other messages."
            }
            Self::CronReport => {
                "It looks at a page by its schedule, and posts to a webhook what has changed since the last time."
            }
            Self::WebhookReceiver => {
                "It takes webhooks that are signed as GitHub signs them, each of them once."
            }
            Self::Axum => "It is an app of axum: a board of notes, which outlives every leader.",
        }
    }

    /// What has to be done before it can run, if anything.
    pub(super) fn first(self) -> Option<&'static str> {
        match self {
            Self::TelegramBot => Some(
                "Ask [@BotFather](https://t.me/BotFather) for a bot, and put its token into the environment of\nyour hosts, as `TELEGRAM_TOKEN`.",
            ),
            Self::CronReport => Some(
                "Write into `{{name}}.toml` the page to watch (`source`), the address to notify \
                 (`webhook`), and the\nhosts of both (`outbound`).",
            ),
            Self::WebhookReceiver => Some(
                "Choose a secret, give it to the sender of the webhooks, and put it into the \
                 environment of your\nhosts, as `WEBHOOK_SECRET`.",
            ),
            Self::Axum => None,
        }
    }
}

/// Formats as on the command line.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TelegramBot => "telegram-bot",
            Self::CronReport => "cron-report",
            Self::WebhookReceiver => "webhook-receiver",
            Self::Axum => "axum",
        })
    }
}
