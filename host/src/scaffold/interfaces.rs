//! What is generated into a project: the WIT, the bindings, and what those stand on.

use std::{fs, path::Path};

use super::{
    Kind, Language, ProjectManifest, ScaffoldError, bindings,
    files::{ProjectFile, put},
    recipe::Recipe,
};
use soloist_guests::plugin::wit;

/// The module that a new Go program is, and that its bindings are in.
pub(super) const MODULE: &str = "example.com/{{name}}";

/// The world of what answers requests.
const HTTP: &str = "http";

/// Where the Go modules are that a program carries along, and what lists them.
const VENDOR: &str = "vendor";

/// The Go module that the generated bindings stand on, as `go mod vendor` lays
/// it out: a build then needs no network. It is a copy of what the crate
/// `wit-bindgen-go` 0.60 brings, without its asynchronous half, and with another
/// `cabi_realloc`, in which no garbage is collected.
const GO_VENDOR: &[(&str, &str)] = &[
    ("vendor/modules.txt", include_str!("templates/go/vendor/modules.txt")),
    ("vendor/go.bytecodealliance.org/pkg/LICENSE", include_str!("templates/go/vendor/LICENSE")),
    (
        "vendor/go.bytecodealliance.org/pkg/wit/runtime/runtime.go",
        include_str!("templates/go/vendor/wit/runtime/runtime.go"),
    ),
    (
        "vendor/go.bytecodealliance.org/pkg/wit/types/option.go",
        include_str!("templates/go/vendor/wit/types/option.go"),
    ),
    (
        "vendor/go.bytecodealliance.org/pkg/wit/types/result.go",
        include_str!("templates/go/vendor/wit/types/result.go"),
    ),
    (
        "vendor/go.bytecodealliance.org/pkg/wit/types/tuple.go",
        include_str!("templates/go/vendor/wit/types/tuple.go"),
    ),
    (
        "vendor/go.bytecodealliance.org/pkg/wit/types/unit.go",
        include_str!("templates/go/vendor/wit/types/unit.go"),
    ),
];

/// What hands requests to a handler of Go's `net/http`, for the module that it is in.
const GO_HTTP: &[(&str, &str)] = &[
    ("gen/wasihttp/body.go", include_str!("templates/go/wasihttp/body.go")),
    ("gen/wasihttp/request.go", include_str!("templates/go/wasihttp/request.go")),
    ("gen/wasihttp/response.go", include_str!("templates/go/wasihttp/response.go")),
    ("gen/wasihttp/transport.go", include_str!("templates/go/wasihttp/transport.go")),
];

/// Generates into the project in `folder` anew what `soloist plugin new`
/// generated there, or what would be there if it had: `wit`, and `gen` and
/// `vendor` where the language has such. What is not said of it is what its `dev.toml` says.
///
/// # Errors
/// When there is no such project, it is not known what it is, or something cannot be written.
pub fn regenerate(
    folder: &Path,
    language: Option<Language>,
    kind: Option<Kind>,
) -> Result<(), ScaffoldError> {
    let (language, kind) = match (language, kind) {
        (Some(language), Some(kind)) => (language, kind),
        (language, kind) => {
            let written = ProjectManifest::read(folder)?;
            let both = language.or(written.lang).zip(kind.or(written.kind));
            both.ok_or_else(|| ScaffoldError::Unknown { folder: folder.to_owned() })?
        }
    };
    let module = match language {
        Language::Go => go_module(folder)?,
        _ => String::new(),
    };
    let mut files = generated_files(language, &Recipe::of(language, kind), &module)?;
    // Who carries modules of their own along keeps them.
    if folder.join(VENDOR).exists() {
        files.retain(|(path, _)| !path.starts_with(VENDOR));
    }
    put(folder, files)
}

/// All of it, as files of a project.
pub(super) fn generated_files(
    language: Language,
    recipe: &Recipe,
    module: &str,
) -> Result<Vec<ProjectFile>, ScaffoldError> {
    let wit = wit::FILES.iter().map(|(path, text)| {
        let text = recipe.rewrite.map_or_else(|| (*text).to_owned(), |wasi| wasi.apply(text));
        (Path::new("wit").join(path), text.into_bytes())
    });
    let mut files: Vec<ProjectFile> = wit.collect();
    files.extend(bindings::generate(language, recipe.world, module)?);
    if language == Language::Go {
        files.extend(GO_VENDOR.iter().map(|(path, text)| ((*path).into(), (*text).into())));
        if recipe.world == HTTP {
            let filled = |text: &str| text.replace("{{module}}", module).into_bytes();
            files.extend(GO_HTTP.iter().map(|(path, text)| ((*path).into(), filled(text))));
        }
    }
    Ok(files)
}

/// The module that the Go program in `folder` says that it is.
fn go_module(folder: &Path) -> Result<String, ScaffoldError> {
    let path = folder.join("go.mod");
    let text = fs::read_to_string(&path);
    let text = text.map_err(|source| ScaffoldError::Read { path: path.clone(), source })?;
    let module = text.lines().find_map(|line| line.trim().strip_prefix("module "));
    module.map(|name| name.trim().to_owned()).ok_or(ScaffoldError::NoModule { path })
}
