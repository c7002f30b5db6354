//! The project of a plugin: how it is built, and what the build makes.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::{
    cli::{ExitError, terminal::remark},
    scaffold::ProjectManifest,
};
use soloist_config::small_file;
use soloist_heart::clock::BootTime;

/// The file that describes the build.
const FILE: &str = ProjectManifest::FILE;
/// The build of a cargo project that has no such file.
const CARGO: &str = "cargo build --release --target wasm32-wasip2";
/// The folder where that build puts its components.
const CARGO_OUTPUT: &str = "target/wasm32-wasip2/release";

/// The exit code of a shell that did not find a command (POSIX, 2.8.2).
const NOT_FOUND: i32 = 127;

/// A project that can be built.
#[derive(Debug)]
pub(super) struct DevProject {
    folder: PathBuf,
    prepare: Option<String>,
    build: String,
    /// The file that the build makes; `None` means the newest component in `CARGO_OUTPUT`.
    output: Option<PathBuf>,
}

impl DevProject {
    /// The project in `folder`, by its `dev.toml`; flags take precedence.
    pub(super) fn read(
        folder: &Path,
        build: Option<String>,
        output: Option<PathBuf>,
    ) -> Result<Self, ExitError> {
        check_folder(folder)?;
        let written = ProjectManifest::read(folder)?;
        let (build, output) = (build.or(written.build), output.or(written.output));
        let of_cargo = build.is_none() && folder.join("Cargo.toml").is_file();
        let build = match build {
            Some(build) => build,
            None if of_cargo => CARGO.to_owned(),
            None => return Err(unknown(folder, "the build command is not known")),
        };
        if output.is_none() && !of_cargo {
            return Err(unknown(folder, "the output of the build is not known"));
        }
        Ok(Self { folder: folder.to_owned(), prepare: written.prepare, build, output })
    }

    /// The project's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs the command that is needed once, before the first build.
    pub(super) async fn prepare(&self) -> Result<(), ExitError> {
        match &self.prepare {
            Some(command) if !self.run(command).await? => {
                Err(ExitError::failed(format!("`{command}` failed"))
                    .help(format!("it is `prepare` in {FILE}: see above what it said")))
            }
            _ => Ok(()),
        }
    }

    /// Runs the build, and returns whether it succeeded.
    pub(super) async fn build(&self) -> Result<bool, ExitError> {
        let began = BootTime::now();
        let well = self.run(&self.build).await?;
        if well {
            let took = BootTime::now().since(began);
            remark(&format!("built in {:.1} s", took.as_secs_f64()));
        }
        Ok(well)
    }

    async fn run(&self, command: &str) -> Result<bool, ExitError> {
        remark(&format!("$ {command}"));
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(&self.folder).kill_on_drop(true);
        let ended = shell.status().await;
        let ended = ended.map_err(|error| ExitError::internal("cannot start a shell", &error))?;
        if ended.code() == Some(NOT_FOUND) {
            remark("it needs a tool that is not installed: README.md of the project names it");
        }
        Ok(ended.success())
    }

    /// The file that the build made.
    pub(super) fn output(&self) -> Result<PathBuf, ExitError> {
        let made = match &self.output {
            Some(output) => Some(self.folder.join(output)),
            None => newest(&self.folder.join(CARGO_OUTPUT)),
        };
        made.filter(|file| file.is_file()).ok_or_else(|| {
            let expected = self.output.as_deref().unwrap_or(Path::new(CARGO_OUTPUT));
            ExitError::missing(format!("the build made no {}", expected.display()))
                .help(format!("name the file that it makes: `output` in {FILE}, or --output FILE"))
        })
    }

    /// The settings file next to it with the same stem, if there is one.
    pub(super) fn settings(&self) -> Option<PathBuf> {
        let stem = match &self.output {
            Some(output) => output.file_stem()?.to_owned(),
            None => package(&self.folder)?.into(),
        };
        Some(self.folder.join(stem).with_extension("toml"))
    }
}

/// Rejects a path that is not a folder, before looking for anything in it.
fn check_folder(folder: &Path) -> Result<(), ExitError> {
    let shown = folder.display();
    if folder.is_dir() {
        return Ok(());
    }
    Err(if folder.exists() {
        ExitError::usage(format!("{shown} is no folder"))
            .help("name the folder of a project; `soloist plugin run FILE` runs a plugin")
    } else {
        ExitError::missing(format!("there is no folder {shown}")).help(
            "name the folder of a project, or go there and name none; `soloist plugin new NAME` \
             makes one",
        )
    })
}

fn unknown(folder: &Path, problem: &str) -> ExitError {
    ExitError::config(format!("{}: {problem}", folder.display())).help(format!(
        "write `build = \"COMMAND\"` and `output = \"FILE.wasm\"` into its {FILE}, or give \
         --build COMMAND --output FILE; `soloist plugin new NAME` makes a project that has it"
    ))
}

/// The package name in Cargo.toml.
fn package(folder: &Path) -> Option<String> {
    let text = small_file::read_named(&folder.join("Cargo.toml")).ok()?;
    let manifest: toml::Table = text.parse().ok()?;
    Some(manifest.get("package")?.get("name")?.as_str()?.to_owned())
}

/// The newest component in `folder`.
fn newest(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let components = entries.filter(|entry| entry.path().extension() == Some("wasm".as_ref()));
    let last = components.max_by_key(|entry| entry.metadata().and_then(|it| it.modified()).ok());
    last.map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<DevProject, ExitError>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let project = DevProject::read(folder.path(), None, None);
        (folder, project)
    }

    #[test]
    fn its_file_says_how() {
        let text = "prepare = \"npm install\"\nbuild = \"npm run build\"\noutput = \"web.wasm\"";
        let (folder, project) = project(&[(FILE, text)]);
        let project = project.unwrap();
        assert_eq!(project.build, "npm run build");
        assert_eq!(project.prepare.as_deref(), Some("npm install"));
        assert_eq!(project.settings(), Some(folder.path().join("web.toml")));
        let missing = project.output().unwrap_err().to_string();
        assert!(missing.contains("made no web.wasm"), "{missing}");
    }

    #[test]
    fn a_project_of_cargo_says_nothing() {
        let (folder, project) = project(&[("Cargo.toml", "[package]\nname = \"my-web\"")]);
        let project = project.unwrap();
        assert_eq!(project.build, CARGO);
        assert_eq!(project.settings(), Some(folder.path().join("my-web.toml")));
        let made = folder.path().join(CARGO_OUTPUT).join("my_web.wasm");
        fs::create_dir_all(made.parent().unwrap()).unwrap();
        fs::write(&made, "").unwrap();
        assert_eq!(project.output().unwrap(), made);
    }

    #[test]
    fn what_is_no_folder_is_called_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.wasm");
        fs::write(&file, "").unwrap();
        for (path, problem, help) in [
            (folder.path().join("nofolder"), "there is no folder", "`soloist plugin new NAME`"),
            (file, "is no folder", "`soloist plugin run FILE`"),
        ] {
            let error = DevProject::read(&path, None, None).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains(help), "{error}");
        }
    }

    #[test]
    fn what_is_not_known_is_asked_for() {
        for (file, text, problem) in [
            ("other", "", "the build command is not known"),
            (FILE, "build = \"make\"", "the output of the build is not known"),
            (FILE, "biuld = \"make\"", "unknown field `biuld`"),
        ] {
            let error = project(&[(file, text)]).1.unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
