//! How far a host has come with its plugins while it starts.

use std::{fmt, sync::Arc};

/// What a host is doing before it has started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StartupProgress {
    /// It has just begun.
    #[default]
    Starting,
    /// It is compiling the plugin of an action; others may follow.
    Compiling {
        /// The action.
        action: Arc<str>,
        /// Its number, starting at 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// All plugins are compiled.
    Compiled,
}

/// Continues the sentence "this host starts: ".
impl fmt::Display for StartupProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("it compiles its plugins, or waits for the store"),
            Self::Compiling { action, number, of } => {
                write!(f, "it compiles its plugins, now that of {action} ({number} of {of})")
            }
            Self::Compiled => f.write_str("its plugins are compiled, and it waits for the store"),
        }
    }
}
