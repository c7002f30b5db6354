//! Recipes: the templates and the build of a project, for each language and kind.

use super::{Language, ProjectKind};

/// One text for each kind, in the order of [`ProjectKind`].
type ByKind = [&'static str; 4];

/// The name of the settings file of a plugin that needs one.
pub(super) const SETTINGS: &str = "{{name}}.toml";

/// Includes `templates/FOLDER/KIND.EXTENSION` for each kind.
macro_rules! by_kind {
    ($folder:literal, $extension:literal) => {
        [
            include_str!(concat!("templates/", $folder, "/http.", $extension)),
            include_str!(concat!("templates/", $folder, "/service.", $extension)),
            include_str!(concat!("templates/", $folder, "/job.", $extension)),
            include_str!(concat!("templates/", $folder, "/task.", $extension)),
        ]
    };
}

const RUST: ByKind = by_kind!("rust", "rs");
const JAVASCRIPT: ByKind = by_kind!("javascript", "js");
const PYTHON: ByKind = by_kind!("python", "py");
const C: ByKind = by_kind!("c", "c");
const GO: ByKind = by_kind!("go", "go");

/// Replaces the version of WASI in the WIT, for a language whose engine is built for an older
/// one. Hosts run every 0.2.
#[derive(Clone, Copy)]
pub(super) struct WitRewrite {
    from: &'static str,
    to: &'static str,
}

impl WitRewrite {
    pub(super) fn apply(self, wit: &str) -> String {
        wit.replace(self.from, self.to)
    }
}

/// The WASI version of HTTP in componentize-js 0.23.
const STARLINGMONKEY: WitRewrite = WitRewrite { from: "0.2.12", to: "0.2.10" };

/// The recipe for one language and kind.
pub(super) struct Recipe {
    /// The world of `soloist:plugin` that the plugin is built for.
    pub(super) world: &'static str,
    /// The tools that the build needs.
    pub(super) needs: &'static str,
    pub(super) build: Vec<&'static str>,
    /// The file that the build makes.
    pub(super) output: String,
    /// The files that the README explains.
    pub(super) files: Vec<(&'static str, &'static str)>,
    pub(super) rewrite: Option<WitRewrite>,
    pub(super) source: (&'static str, &'static str),
    pub(super) rest: Vec<(&'static str, &'static str)>,
}

impl Recipe {
    pub(super) fn of(language: Language, kind: ProjectKind) -> Self {
        let mut recipe = match language {
            Language::Rust => rust(kind),
            Language::JavaScript => javascript(kind),
            Language::Python => python(kind),
            Language::C => c(kind),
            Language::Go => go(kind),
        };
        if kind.has_settings() {
            recipe.rest.push((SETTINGS, include_str!("templates/job.toml")));
            recipe.files.push((SETTINGS, "its settings: when it is run"));
        }
        recipe
    }

    /// The files made from templates, with their placeholders still open.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [self.source].into_iter().chain(self.rest.clone())
    }
}

/// The world of a language whose compiler generates a `main`.
fn world_with_main(kind: ProjectKind) -> &'static str {
    match kind {
        ProjectKind::Http => "http-plugin",
        ProjectKind::Service | ProjectKind::Job => "imports",
        ProjectKind::Task => "task-plugin",
    }
}

/// The world of a language that exports `run` itself.
fn world_without_main(kind: ProjectKind) -> &'static str {
    match kind {
        ProjectKind::Http => "http-plugin",
        ProjectKind::Service => "service-plugin",
        ProjectKind::Job => "job-plugin",
        ProjectKind::Task => "task-plugin",
    }
}

/// Whether it is a program with a `main`, where the language has one.
fn is_program(kind: ProjectKind) -> bool {
    matches!(kind, ProjectKind::Service | ProjectKind::Job)
}

fn rust(kind: ProjectKind) -> Recipe {
    // Cargo replaces hyphens by underscores only in the file names of libraries.
    let (path, manifest, made) = if is_program(kind) {
        ("src/main.rs", include_str!("templates/rust/program.toml"), "{{name}}")
    } else {
        ("src/lib.rs", include_str!("templates/rust/library.toml"), "{{file}}")
    };
    Recipe {
        world: world_with_main(kind),
        needs: "Rust 1.85 or later with its target `wasm32-wasip2` (`rustup target add wasm32-wasip2`)",
        build: vec!["cargo build --release --target wasm32-wasip2"],
        output: format!("target/wasm32-wasip2/release/{made}.wasm"),
        files: vec![(path, "the plugin"), ("Cargo.toml", "its build")],
        rewrite: None,
        source: (path, RUST[kind as usize]),
        rest: vec![("Cargo.toml", manifest), (".gitignore", "/target\n")],
    }
}

fn javascript(kind: ProjectKind) -> Recipe {
    Recipe {
        world: world_without_main(kind),
        needs: "Node.js 20 or later with npm",
        build: vec!["npm install --no-fund --no-audit", "npm run build"],
        output: "{{name}}.wasm".to_owned(),
        files: vec![
            ("plugin.js", "the plugin"),
            (
                "package.json",
                "its build: esbuild bundles it with the packages of npm that it imports, and [componentize-js](https://github.com/bytecodealliance/ComponentizeJS) makes it a component",
            ),
        ],
        // Its `fetch` events accept only one version of `wasi:http`.
        rewrite: (kind == ProjectKind::Http).then_some(STARLINGMONKEY),
        source: ("plugin.js", JAVASCRIPT[kind as usize]),
        rest: vec![
            ("package.json", include_str!("templates/javascript/package.json")),
            (".gitignore", "/node_modules\n/dist\n/*.wasm\n"),
        ],
    }
}

fn python(kind: ProjectKind) -> Recipe {
    let mut files = vec![
        ("plugin.py", "the plugin"),
        (
            "requirements.txt",
            "its build; for your editor, `componentize-py -d wit -w {{world}} bindings .` writes the types",
        ),
    ];
    let mut rest = vec![
        ("requirements.txt", include_str!("templates/python/requirements.txt")),
        (".gitignore", "/*.wasm\n__pycache__/\n/componentize_py_*\n/poll_loop.py\n/wit_world/\n"),
    ];
    if kind == ProjectKind::Http {
        files.insert(1, ("web.py", "routes, and JSON in and out; yours to change"));
        rest.push(("web.py", include_str!("templates/python/web.py")));
    }
    Recipe {
        world: world_without_main(kind),
        needs: "Python 3.10 or later and componentize-py (`pip install -r requirements.txt`)",
        build: vec!["componentize-py -d wit -w {{world}} componentize plugin -o {{name}}.wasm"],
        output: "{{name}}.wasm".to_owned(),
        files,
        rewrite: None,
        source: ("plugin.py", PYTHON[kind as usize]),
        rest,
    }
}

fn c(kind: ProjectKind) -> Recipe {
    let build = if is_program(kind) {
        "python3 -m ziglang cc -target wasm32-wasi -Oz -s plugin.c gen/bindings.c gen/bindings_component_type.o -o {{name}}.wasm"
    } else {
        "python3 -m ziglang cc -target wasm32-wasi -mexec-model=reactor -Oz -s plugin.c gen/bindings.c gen/bindings_component_type.o -o {{name}}.wasm"
    };
    Recipe {
        world: world_with_main(kind),
        needs: "a clang that knows WASI, as zig is (`pip install ziglang`); that of wasi-sdk takes the same arguments",
        build: vec![build],
        output: "{{name}}.wasm".to_owned(),
        files: vec![
            ("plugin.c", "the plugin"),
            ("gen/", "the bindings, made by wit-bindgen; `gen/bindings.h` is what to read"),
        ],
        rewrite: None,
        source: ("plugin.c", C[kind as usize]),
        rest: vec![(".gitignore", "/*.wasm\n")],
    }
}

/// The main file of a Go program.
const PROGRAM: &str = "main.go";
/// The export that a host calls to handle a request.
const GO_EXPORT: &str = "export_wasi_http_incoming_handler/handler.go";

/// Always a library: interfaces call into the module, which Go's runtime allows only after its
/// initialisation, and in a program that would be within `main`.
fn go(kind: ProjectKind) -> Recipe {
    let path = match kind {
        // A handler of net/http, next to the package that passes requests to it.
        ProjectKind::Http => PROGRAM,
        ProjectKind::Service | ProjectKind::Job => "export_wasi_cli_run/run.go",
        ProjectKind::Task => "export_soloist_plugin_task/handler.go",
    };
    let mut files = vec![
        (path, "the plugin"),
        ("gen/", "the bindings, made by wit-bindgen: a package an interface"),
        ("vendor/", "the runtime of the bindings"),
    ];
    let exports = match kind {
        ProjectKind::Http => {
            files.insert(1, (GO_EXPORT, "what a host calls; it can stay as it is"));
            files.insert(2, ("gen/wasihttp/", "hands requests to a handler of `net/http`"));
            (GO_EXPORT, include_str!("templates/go/http_export.go"))
        }
        _ => (PROGRAM, include_str!("templates/go/exports.go")),
    };
    Recipe {
        world: world_without_main(kind),
        needs: "Go 1.25 or later",
        // The bindings allocate through a function of Go's runtime that is not public.
        build: vec![
            "GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-checklinkname=0 -s -w' -o {{name}}.wasm .",
        ],
        output: "{{name}}.wasm".to_owned(),
        files,
        rewrite: None,
        source: (path, GO[kind as usize]),
        rest: vec![
            ("go.mod", include_str!("templates/go/go.mod.in")),
            exports,
            (".gitignore", "/*.wasm\n"),
        ],
    }
}
