//! `wasi:logging`: messages with a level, as lines of the action's log.
//!
//! They go the same way as stdout and stderr: the same rate limit applies, and the latest ones are
//! kept.

use wasmtime::component::{HasData, Linker};

use super::action_log::ActionLog;
use bindings::wasi::logging::logging::{Host, Level};

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package soloist:host;

            world logging { import wasi:logging/logging@0.1.0-draft; }

            package wasi:logging@0.1.0-draft {
                interface logging {
                    enum level { trace, debug, info, warn, error, critical }
                    log: func(level: level, context: string, message: string);
                }
            }
        ",
        imports: { default: trappable },
    });
}

/// The log of an action during one call.
pub(crate) struct LoggingView<'a> {
    pub log: &'a ActionLog,
}

impl Host for LoggingView<'_> {
    fn log(&mut self, level: Level, context: String, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        };
        let text = if context.is_empty() { message } else { format!("{context}: {message}") };
        self.log.log_at_level(level, &text);
        Ok(())
    }
}

struct HasLogging;

impl HasData for HasLogging {
    type Data<'a> = LoggingView<'a>;
}

/// Adds the interface to `linker`.
pub(crate) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> LoggingView<'_>,
) -> wasmtime::Result<()> {
    bindings::wasi::logging::logging::add_to_linker::<T, HasLogging>(linker, view)
}
