//! What commands that wait run on.

use std::{process::ExitCode, time::Duration};

use tokio::runtime::{Builder, Runtime};

use super::{ExitError, exit::ExitKind};

/// How long calls that block may keep the process when all work is done and told.
const LINGER: Duration = Duration::from_millis(500);

/// Does `work` on a runtime with a thread for each core.
pub(super) fn in_runtime(
    work: impl Future<Output = Result<(), ExitError>>,
) -> Result<ExitCode, ExitError> {
    let runtime = runtime(&mut Builder::new_multi_thread())?;
    let done = runtime.block_on(work);
    // Dropping it would wait for each of them: one on a file system that hangs never ends.
    runtime.shutdown_timeout(LINGER);
    done.map(|()| ExitKind::Ok.into())
}

pub(super) fn runtime(builder: &mut Builder) -> Result<Runtime, ExitError> {
    let built = builder.enable_all().build();
    built.map_err(|error| ExitError::internal("cannot start the runtime", &error))
}
