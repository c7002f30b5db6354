//! Settings that choose one of several words.

use super::{problem::Problem, spelling::did_you_mean};

/// A setting that takes one of several words; [`choice!`] implements it.
pub(super) trait Choice: Copy + 'static {
    /// Every value with its word.
    const WORDS: &'static [(&'static str, Self)];

    /// The setting that takes the words.
    const SETTING: &'static str;

    /// What to write instead, if the text resembles none of the words.
    const HELP: &'static str;

    /// The word for this value.
    fn word(self) -> &'static str;

    /// All words.
    fn words() -> impl Iterator<Item = &'static str> {
        Self::WORDS.iter().map(|(word, _)| *word)
    }

    /// The value that `text` stands for.
    fn parse(text: &str) -> Result<Self, Problem> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let help = did_you_mean(text, Self::words()).unwrap_or_else(|| Self::HELP.to_owned());
            Problem::new(format!("`{text}` is not a value of `{}`", Self::SETTING), help)
        })
    }
}

/// Implements [`Choice`] and `Display` for an enum: its values with their words, the setting that
/// takes them, and what to write instead of any other text.
macro_rules! choice {
    ($type:ty { $($value:ident = $word:literal),+ $(,)? }, $setting:literal, $help:literal) => {
        impl $crate::choice::Choice for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$value)),+];
            const SETTING: &'static str = $setting;
            const HELP: &'static str = $help;

            fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }
        }

        /// Formats as in the settings.
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::choice::Choice::word(*self))
            }
        }
    };
}

pub(super) use choice;
