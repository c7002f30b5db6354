//! The async runtime of commands.

use std::{process::ExitCode, time::Duration};

use tokio::runtime::{Builder, Runtime};

use super::{ExitError, exit::ExitKind};

/// How long blocking calls may delay the end of the process when all work is done.
const LINGER: Duration = Duration::from_millis(500);

/// Runs `work` on a runtime with one thread per core.
pub(super) fn in_runtime(
    work: impl Future<Output = Result<(), ExitError>>,
) -> Result<ExitCode, ExitError> {
    let runtime = runtime(&mut Builder::new_multi_thread())?;
    let done = runtime.block_on(work);
    // Dropping the runtime would wait for blocking calls, and one on a hanging file system never
    // ends.
    runtime.shutdown_timeout(LINGER);
    done.map(|()| ExitKind::Ok.into())
}

pub(super) fn runtime(builder: &mut Builder) -> Result<Runtime, ExitError> {
    let built = builder.enable_all().build();
    built.map_err(|error| ExitError::internal("cannot start the runtime", &error))
}
