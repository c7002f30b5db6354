//! The generated part of a project: WIT, bindings, and what the bindings depend on.

use std::{fs, path::Path};

use super::{
    Language, ProjectKind, ProjectManifest, ScaffoldError, bindings,
    files::{ProjectFile, put},
    recipe::Recipe,
};
use soloist_guests::plugin::wit;

/// The module of a new Go program, which also contains its bindings.
pub(super) const MODULE: &str = "example.com/{{name}}";

/// The world of plugins that answer requests.
const HTTP: &str = "http-plugin";

/// The folder of bundled Go modules and of their index.
const VENDOR: &str = "vendor";

/// The Go module that the generated bindings depend on, in the layout of `go mod vendor`, so that
/// a build needs no network. It is a copy of what the crate `wit-bindgen-go` 0.60 contains,
/// without its asynchronous half, and with another `cabi_realloc`, in which no garbage is
/// collected.
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

/// Passes requests on to a handler of Go's `net/http`; generated for the program's own module.
const GO_HTTP: &[(&str, &str)] = &[
    ("gen/wasihttp/body.go", include_str!("templates/go/wasihttp/body.go")),
    ("gen/wasihttp/request.go", include_str!("templates/go/wasihttp/request.go")),
    ("gen/wasihttp/response.go", include_str!("templates/go/wasihttp/response.go")),
    ("gen/wasihttp/transport.go", include_str!("templates/go/wasihttp/transport.go")),
];

/// Generates again what `soloist plugin new` generates in the project in `folder`: `wit`, and
/// `gen` and `vendor` where the language has them. Arguments that are `None` are taken from its
/// `dev.toml`.
///
/// # Errors
/// There is no such project, its language or kind is unknown, or something cannot be written.
pub fn regenerate(
    folder: &Path,
    language: Option<Language>,
    kind: Option<ProjectKind>,
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
    // A project with modules of its own keeps them.
    if folder.join(VENDOR).exists() {
        files.retain(|(path, _)| !path.starts_with(VENDOR));
    }
    put(folder, files)
}

/// All generated files of a project.
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

/// The name of the module in the go.mod of `folder`.
fn go_module(folder: &Path) -> Result<String, ScaffoldError> {
    let path = folder.join("go.mod");
    let text = fs::read_to_string(&path);
    let text = text.map_err(|source| ScaffoldError::Read { path: path.clone(), source })?;
    let module = text.lines().find_map(|line| line.trim().strip_prefix("module "));
    module.map(|name| name.trim().to_owned()).ok_or(ScaffoldError::NoModule { path })
}
