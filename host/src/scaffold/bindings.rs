//! Bindings for languages without a generator of their own. Generating them here saves users a
//! tool.

use std::path::{Path, PathBuf};

use wit_bindgen_c as c;
use wit_bindgen_go as go;

use super::{Language, ScaffoldError, files::ProjectFile};
use soloist_guests::plugin::wit;

/// The folder of the bindings within a project.
const FOLDER: &str = "gen";

/// The bindings for `world`, as files of a project; a Go program is in `module`.
pub(super) fn generate(
    language: Language,
    world: &str,
    module: &str,
) -> Result<Vec<ProjectFile>, ScaffoldError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| ScaffoldError::Bindings {
        language: language.to_string(),
        source,
    };
    let mut generator = match language {
        Language::C => c_options().build(),
        Language::Go => go_options(module).build(),
        Language::Rust | Language::JavaScript | Language::Python => return Ok(Vec::new()),
    };
    let (mut resolve, package) = wit::resolve().map_err(failed)?;
    let world = resolve.select_world(&[package], Some(world)).map_err(|e| failed(e.into()))?;
    let mut files = Default::default();
    generator.generate(&mut resolve, world, &mut files).map_err(|e| failed(e.into()))?;
    let folder = Path::new(FOLDER);
    Ok(files.iter().map(|(path, bytes)| (folder.join(path), tidy(path, bytes))).collect())
}

/// The same name for every world, so that every plugin includes `gen/bindings.h`.
fn c_options() -> c::Opts {
    c::Opts { rename_world: Some("bindings".to_owned()), ..Default::default() }
}

/// Generated as a library, so that the program around it is the user's own.
fn go_options(module: &str) -> go::Opts {
    go::Opts {
        // Formatting would run whatever `gofmt` is installed.
        format: go::Format::False,
        pkg_name: Some(format!("{module}/{FOLDER}")),
        export_pkg_name: Some(module.to_owned()),
        ..Default::default()
    }
}

/// Removes trailing blanks that the generators leave.
fn tidy(path: &str, bytes: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) if PathBuf::from(path).extension().is_some_and(|extension| extension != "o") => {
            text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect::<String>().into_bytes()
        }
        _ => bytes.to_owned(),
    }
}
