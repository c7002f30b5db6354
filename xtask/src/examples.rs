//! `cargo xtask examples`: builds the plugins in `examples/plugins/` with the commands in their
//! READMEs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use soloist_devtools::cargo::for_guests;
use soloist_devtools::guests::{self, put};
use soloist_devtools::languages::{self, Language};
use soloist_devtools::wasm_target::TARGET;
use soloist_devtools::{cmd, paths, tools};

/// The examples: folders of `examples/plugins`, and their languages.
const EXAMPLES: &[(&str, Language)] = &[
    ("links", Language::Rust),
    ("echo", Language::Rust),
    ("scores", Language::Rust),
    ("stock", Language::Rust),
    ("badge", Language::C),
    ("stats", Language::Python),
    ("todo", Language::Go),
    ("flags", Language::JavaScript),
    ("polls", Language::JavaScript),
];

/// Examples that are tested with databases, when all languages are tested.
const WITH_SERVERS: [&str; 2] = ["scores", "stock"];

/// Generated files and build output of an example: changes here do not call for another build.
const MADE: &[&str] = &["gen", "vendor", "wit", "node_modules", "dist", "__pycache__"];

/// Builds the examples in these languages, if their sources have changed, and returns the output
/// folder. `soloist` generates the bindings; the compilers are found on `path`.
pub(crate) fn build(soloist: &Path, path: &OsStr, languages: &[Language]) -> Result<PathBuf> {
    let to = paths::target().join("examples");
    fs::create_dir_all(&to)?;
    let all = languages == languages::ALL;
    let wanted = EXAMPLES.iter().filter(|(name, language)| {
        languages.contains(language) && (all || !WITH_SERVERS.contains(name))
    });
    for (name, language) in wanted {
        let folder = paths::repo().join("examples/plugins").join(name);
        let place = to.join(name).with_extension("wasm");
        if !is_newer(&place, &[&folder, &paths::repo().join("wit")])? {
            let built = build_one(&folder, name, *language, soloist, path)?;
            put(&built, &place)?;
            // The content may be unchanged, but a fresh time shows that the build is up to date.
            fs::File::options().append(true).open(&place)?.set_modified(SystemTime::now())?;
            eprintln!("built {}", place.display());
        }
    }
    Ok(to)
}

fn build_one(
    folder: &Path,
    name: &str,
    language: Language,
    soloist: &Path,
    path: &OsStr,
) -> Result<PathBuf> {
    let soloist = soloist.parent().context("soloist is in a folder")?.to_owned();
    let path = tools::before(vec![soloist], path)?;
    if language == Language::JavaScript {
        share_modules(folder)?;
    }
    for line in commands(&folder.join("README.md"))? {
        let mut command = Command::new("sh");
        command.args(["-ec", &line]).current_dir(folder);
        command.env("PATH", &path);
        // The examples in Rust share their compiled dependencies.
        for_guests(&mut command).env("CARGO_TARGET_DIR", guests::target());
        cmd::run(&mut command)?;
    }
    let file = format!("{name}.wasm");
    Ok(match language {
        Language::Rust => guests::target().join(TARGET).join("release").join(file),
        _ => folder.join(file),
    })
}

/// The commands in the ```` ```sh ```` block of a README, without `npm install`: its packages are
/// provided by [`share_modules`].
fn commands(readme: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(readme);
    let text = text.with_context(|| format!("cannot read {}", readme.display()))?;
    let block = text.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let Some(block) = block else { bail!("{} says no way to build it", readme.display()) };
    Ok(block.lines().filter(|line| !line.starts_with("npm install")).map(str::to_owned).collect())
}

/// Links the shared npm packages into a project, which then needs no copies of its own.
fn share_modules(folder: &Path) -> Result<()> {
    let link = folder.join("node_modules");
    if link.is_symlink() {
        fs::remove_file(&link)?;
    }
    if !link.exists() {
        symlink(languages::node_modules(), &link)?;
    }
    Ok(())
}

/// Whether `file` exists and is newer than every file in `folders`.
fn is_newer(file: &Path, folders: &[&Path]) -> Result<bool> {
    let Ok(made) = file.metadata().and_then(|meta| meta.modified()) else { return Ok(false) };
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let generated = path.file_name().is_some_and(|n| MADE.iter().any(|made| n == *made));
            if generated || path.extension().is_some_and(|extension| extension == "wasm") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.metadata()?.modified()? > made {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_says_how_it_is_built() -> Result<()> {
        let folder = paths::repo().join("examples/plugins");
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                let known = EXAMPLES.iter().any(|(name, _)| path.ends_with(name));
                assert!(known, "{} is built by nobody", path.display());
                assert!(!commands(&path.join("README.md"))?.is_empty());
            }
        }
        Ok(())
    }

    #[test]
    fn what_has_changed_is_built_again() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let (folder, built) = (scratch.path().join("in"), scratch.path().join("out.wasm"));
        fs::create_dir_all(folder.join("gen"))?;
        fs::write(folder.join("source"), "")?;
        assert!(!is_newer(&built, &[&folder])?);
        fs::write(&built, "")?;
        let set =
            |path: &Path, time| fs::File::options().append(true).open(path)?.set_modified(time);
        let now = SystemTime::now();
        set(&folder.join("source"), now - std::time::Duration::from_secs(1))?;
        fs::write(folder.join("gen/made"), "")?;
        set(&folder.join("gen/made"), now + std::time::Duration::from_secs(60))?;
        set(&built, now)?;
        assert!(is_newer(&built, &[&folder])?);
        set(&folder.join("source"), now + std::time::Duration::from_secs(1))?;
        assert!(!is_newer(&built, &[&folder])?);
        Ok(())
    }
}
