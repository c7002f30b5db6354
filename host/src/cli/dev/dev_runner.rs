//! The host that runs the built plugin, as a separate process.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    process::{self, Child, Command},
    time::timeout,
};

use crate::cli::{ExitError, temporary_folder};

/// How long it may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the newest copy of the built plugin.
pub(super) struct DevRunner {
    folder: TempDir,
    settings: Option<PathBuf>,
    flags: Vec<OsString>,
    /// What was built, and the copy of it that is run, once there is one.
    built: Option<BuiltPlugin>,
    host: Option<DevHost>,
}

struct BuiltPlugin {
    file: PathBuf,
    copy: PathBuf,
}

struct DevHost {
    child: Child,
    /// The host stops when this closes.
    stdin: process::ChildStdin,
}

impl DevRunner {
    /// Creates a folder for the copies. The plugin uses the settings of this file if it exists
    /// when it is started.
    pub(super) fn set_up(
        settings: Option<PathBuf>,
        flags: Vec<OsString>,
    ) -> Result<Self, ExitError> {
        let folder = temporary_folder::folder("soloist-dev-").map_err(|error| failed(&error))?;
        Ok(Self { folder, settings, flags, built: None, host: None })
    }

    /// Whether a built plugin is running.
    pub(super) fn runs(&self) -> bool {
        self.host.is_some()
    }

    /// Runs `file` from now on.
    pub(super) fn show(&mut self, file: &Path) -> Result<(), ExitError> {
        let name = file.file_name().unwrap_or("plugin.wasm".as_ref());
        let copy = self.folder.path().join(name);
        let partial = copy.with_extension("partial");
        fs::copy(file, &partial)
            .and_then(|_| fs::rename(&partial, &copy))
            .map_err(|error| failed(&error))?;
        self.built = Some(BuiltPlugin { file: file.to_owned(), copy });
        if self.host.is_none() {
            self.start()?;
        }
        Ok(())
    }

    /// Restarts the host with the current settings.
    pub(super) async fn restart(&mut self) -> Result<(), ExitError> {
        self.stop().await;
        self.start()
    }

    /// Waits until the host ends by itself, and describes how.
    pub(super) async fn ended(&mut self) -> String {
        let Some(host) = &mut self.host else { return std::future::pending().await };
        let end = host.child.wait().await;
        self.host = None;
        end.map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    /// Stops the host, and deletes the folder.
    pub(super) async fn end(mut self) -> Result<(), ExitError> {
        self.stop().await;
        temporary_folder::remove(self.folder)
    }

    fn start(&mut self) -> Result<(), ExitError> {
        let Some(BuiltPlugin { file, copy }) = &self.built else { return Ok(()) };
        let failed = |error| ExitError::internal("cannot start the plugin's host", &error);
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["plugin", "run", "--watch", "--exit-with-parent", "--functions"]);
        command.arg(self.folder.path().join("functions"));
        command.arg("--store").arg(self.folder.path().join("state.db"));
        command.arg(copy).arg("--stands-for").arg(file);
        if let Some(settings) = self.settings.as_ref().filter(|file| file.is_file()) {
            command.arg("--settings").arg(settings);
        }
        // A process group of its own: Ctrl-C in the terminal goes to this process only, which
        // then stops it.
        command.args(&self.flags).stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        self.host = child.stdin.take().map(|stdin| DevHost { child, stdin });
        Ok(())
    }

    async fn stop(&mut self) {
        let Some(DevHost { mut child, stdin }) = self.host.take() else { return };
        drop(stdin);
        if timeout(PATIENCE, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

fn failed(error: &std::io::Error) -> ExitError {
    temporary_folder::failed("for what is built", error)
}
