//! Creates new plugins: a small project that builds without changes.
//!
//! Invariants:
//! - A project only needs the language's own compiler, and nothing of this repository: it
//!   contains the WIT, and the bindings where the language has no generator of its own.
//! - A new project overwrites nothing, and [`regenerate`] only replaces files that were
//!   generated.

mod bindings;
mod choice;
mod error;
mod files;
mod interfaces;
mod manifest;
mod recipe;
mod template;

use std::{fs, io::ErrorKind, path::Path};

pub use choice::{Language, ProjectKind};
pub use error::ScaffoldError;
pub use interfaces::regenerate;
pub use manifest::ProjectManifest;
pub use template::Template;

use self::{
    files::{ProjectFile, put},
    recipe::{Recipe, SETTINGS},
};

/// The greatest length of a name, which becomes part of file names and commands.
const NAME_MAX: usize = 40;

/// A project that has not been written yet.
#[derive(Clone, Debug)]
pub struct Project {
    name: String,
    language: Language,
    kind: ProjectKind,
    template: Option<Template>,
}

impl Project {
    /// A project with this name.
    ///
    /// # Errors
    /// Some of the tools would not accept the name.
    pub fn new(name: &str, language: Language, kind: ProjectKind) -> Result<Self, ScaffoldError> {
        if !is_name(name) {
            return Err(ScaffoldError::Name { name: name.to_owned(), better: better_name(name) });
        }
        if language == Language::Rust && RUST_WORDS.contains(&name) {
            return Err(ScaffoldError::Word { name: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), language, kind, template: None })
    }

    /// A project with this name that begins as `template`. A language and a kind, if given, must
    /// be those of the template.
    ///
    /// # Errors
    /// They differ, or the name is invalid.
    pub fn of_template(
        name: &str,
        template: Template,
        language: Option<Language>,
        kind: Option<ProjectKind>,
    ) -> Result<Self, ScaffoldError> {
        let (its_language, its_kind) = (Language::Rust, template.kind());
        if language.is_some_and(|it| it != its_language) || kind.is_some_and(|it| it != its_kind) {
            return Err(ScaffoldError::Template { template });
        }
        let project = Self::new(name, its_language, its_kind)?;
        Ok(Self { template: Some(template), ..project })
    }

    /// The language that it is written in.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }

    /// The kind of its plugin.
    #[must_use]
    pub fn kind(&self) -> ProjectKind {
        self.kind
    }

    /// The name of the project and its plugin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The commands that build it, to be run in its folder one after the other.
    #[must_use]
    pub fn build(&self) -> Vec<String> {
        self.recipe().build.iter().map(|line| self.fill(line)).collect()
    }

    /// The tools that the build needs, in words.
    #[must_use]
    pub fn needs(&self) -> &'static str {
        self.recipe().needs
    }

    /// The file that the build makes, relative to the project's folder.
    #[must_use]
    pub fn output(&self) -> String {
        self.fill(&self.recipe().output)
    }

    /// The settings file, relative to the project's folder, if it needs one.
    #[must_use]
    pub fn settings(&self) -> Option<String> {
        self.has_settings().then(|| self.fill(SETTINGS))
    }

    /// What has to be done before it can run, in words.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        self.template.and_then(Template::first).map(|text| self.fill(text))
    }

    fn has_settings(&self) -> bool {
        self.template.is_some() || self.kind.has_settings()
    }

    /// Writes the project to `folder`, which must not exist yet, or be empty.
    ///
    /// # Errors
    /// The folder is not empty, or something cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ScaffoldError> {
        // All content is made first, so that a failure leaves nothing behind.
        let files = self.files()?;
        claim(folder)?;
        put(folder, files)
    }

    fn recipe(&self) -> Recipe {
        self.template.map_or_else(|| Recipe::of(self.language, self.kind), Template::recipe)
    }

    fn files(&self) -> Result<Vec<ProjectFile>, ScaffoldError> {
        let recipe = self.recipe();
        let filled =
            |(path, text): (&str, &str)| (self.fill(path).into(), self.fill(text).into_bytes());
        let mut files: Vec<ProjectFile> = recipe.sources().map(filled).collect();
        files.push(("README.md".into(), self.readme(&recipe).into_bytes()));
        files.push((ProjectManifest::FILE.into(), self.manifest(&recipe)?.into_bytes()));
        files.extend(interfaces::generated_files(
            self.language,
            &recipe,
            &self.fill(interfaces::MODULE),
        )?);
        Ok(files)
    }

    /// The last command is the build; those before it prepare it.
    fn manifest(&self, recipe: &Recipe) -> Result<String, ScaffoldError> {
        let (build, before) = recipe.build.split_last().unwrap_or((&"true", &[]));
        ProjectManifest {
            prepare: (!before.is_empty()).then(|| before.join(" && ")),
            build: Some(self.fill(build)),
            output: Some(self.output().into()),
            lang: Some(self.language),
            kind: Some(self.kind),
        }
        .text()
    }

    fn readme(&self, recipe: &Recipe) -> String {
        let dev = (
            ProjectManifest::FILE,
            "the settings of `soloist dev`: how it is built, and which file that makes",
        );
        let files = recipe.files.iter().chain([&dev]);
        let listed = files.map(|(path, says)| format!("| `{path}` | {says} |\n"));
        let first = self.first().map_or(String::new(), |first| format!("## First\n\n{first}\n\n"));
        let text = README
            .replace("{{language}}", &self.language.to_string())
            .replace("{{does}}", self.template.map_or(self.kind.does(), Template::does))
            .replace("{{first}}", &first)
            .replace("{{needs}}", recipe.needs)
            .replace("{{build}}", &recipe.build.join("\n"))
            .replace("{{copy}}", copy(self.has_settings()))
            .replace("{{output}}", &recipe.output)
            .replace("{{run}}", self.kind.run())
            .replace("{{files}}", &listed.collect::<String>());
        self.fill(&text)
    }

    /// `text` with its placeholders filled in.
    fn fill(&self, text: &str) -> String {
        text.replace("{{name}}", &self.name)
            .replace("{{file}}", &self.name.replace('-', "_"))
            .replace("{{kind}}", &self.kind.to_string())
            .replace("{{world}}", self.recipe().world)
    }
}

const README: &str = include_str!("templates/README.md");

/// Names that cargo does not accept for a package.
const RUST_WORDS: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(allowed)
        && !name.ends_with('-')
        && !name.contains("--")
}

/// A valid name similar to `name`.
fn better_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    let begun = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let cut = begun.get(..NAME_MAX).unwrap_or(begun).trim_end_matches('-');
    if is_name(cut) { cut.to_owned() } else { "my-plugin".to_owned() }
}

/// Creates `folder`, or checks that it is empty.
fn claim(folder: &Path) -> Result<(), ScaffoldError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(ScaffoldError::NotEmpty { folder: folder.to_owned() }),
        },
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Err(ScaffoldError::NotAFolder { path: folder.to_owned() })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => fs::create_dir_all(folder)
            .map_err(|source| ScaffoldError::Write { path: folder.to_owned(), source }),
        Err(source) => Err(ScaffoldError::Write { path: folder.to_owned(), source }),
    }
}

/// How to install the plugin into the plugins folder.
fn copy(with_settings: bool) -> &'static str {
    if with_settings {
        "Copy `{{name}}.toml`, and then `{{output}}` as `{{name}}.wasm`, into the plugins folder of your hosts."
    } else {
        "Copy `{{output}}` into the plugins folder of your hosts as `{{name}}.wasm`."
    }
}

#[cfg(test)]
mod spelling;
#[cfg(test)]
mod tests;
