//! `soloist plugin inspect`: what a plugin is, and whether this host can run it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use owo_colors::Style;
use serde::Serialize;

use super::plugin_folder;
use crate::{
    action::Action,
    cli::{
        ExitError, ExitKind,
        terminal::{Paint, sanitize, say, say_json},
        text_table::{TableCell, TextTable},
    },
};
use soloist_config as config;
use soloist_guests::plugin::{Inspection, Kinds, PluginEngine};
use soloist_text::{millis, with_causes};

/// Show what a plugin is, what it imports, and whether this host can run it
///
/// Nothing of the plugin runs. The settings that lie beside it (NAME.toml), or in the working
/// folder, are checked as well. The exit code is 1 for one that this host cannot run.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The plugin: a component, or a core module for WASI preview 1
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Inspects the plugin, and prints the report.
pub(super) fn main(args: &InspectArgs) -> Result<ExitCode, ExitError> {
    let engine = PluginEngine::for_this_program(None)
        .map_err(|error| ExitError::failed(&error).with_causes_of(&error))?;
    let inspection = Inspection::of(&engine, &args.file)
        .map_err(|error| ExitError::usage(&error).with_causes_of(&error))?;
    let mut sheet = InspectReport::of(&args.file.display().to_string(), &inspection);
    if sheet.runs && !sheet.strategy {
        sheet.settings = plugin_folder::settings_file(&args.file)
            .map(|it| InspectedSettings::of(&it, &args.file));
        sheet.runs = sheet.settings.as_ref().is_none_or(|settings| settings.wrong.is_none());
    }
    if args.json {
        let text = serde_json::to_string_pretty(&sheet);
        let failed = |error| ExitError::internal("cannot write JSON", &error);
        say_json(&(text.map_err(failed)? + "\n"));
    } else {
        say(&sheet.show(Paint::stdout()));
    }
    Ok(if sheet.runs { ExitKind::Ok } else { ExitKind::Missing }.into())
}

/// The report on a plugin.
#[derive(Debug, Serialize)]
struct InspectReport {
    file: String,
    size: u64,
    sha256: String,
    /// `component`, or `core module` for one that a host turns into a component if possible.
    form: String,
    wasi: Vec<String>,
    runs: bool,
    /// The kinds that it runs as without settings, joined by `+`.
    kinds: Option<String>,
    /// Further kinds, which it runs as only if `kinds` in its settings says so.
    more_kinds: Vec<String>,
    compile_ms: Option<u64>,
    /// Whether it was compiled before; the time then says nothing about a first start.
    known: bool,
    /// Whether it can be the `strategy` of a group.
    strategy: bool,
    refusal: Option<String>,
    /// The settings file that was found for it.
    settings: Option<InspectedSettings>,
    asks_for: Vec<NeededSetting>,
    exports: Vec<String>,
    imports: Vec<String>,
    #[serde(skip)]
    lifted: bool,
    /// Whether a file of this form has exports and imports.
    #[serde(skip)]
    has_names: bool,
}

/// The settings that were found for a plugin.
#[derive(Debug, Serialize)]
struct InspectedSettings {
    file: String,
    /// The kinds that it runs as with these settings.
    kinds: Option<String>,
    wrong: Option<String>,
}

impl InspectedSettings {
    fn of(file: &Path, plugin: &Path) -> Self {
        let action = config::read_action(file, &plugin_folder::action_name(plugin), plugin);
        let kinds = action
            .map_err(|error| error.to_string())
            .and_then(|action| Action::inspect_kinds(&action).map_err(|error| with_causes(&error)));
        let file = file.display().to_string();
        match kinds {
            Ok(kinds) => Self { file, kinds: Some(kinds.to_string()), wrong: None },
            Err(wrong) => Self { file, kinds: None, wrong: Some(wrong) },
        }
    }
}

/// A setting that some of the plugin's imports need in order to do anything. Whether these
/// imports are ever used is unknown: compilers and libraries import more than a program needs,
/// and JavaScript imports all of HTTP.
#[derive(Debug, Serialize)]
struct NeededSetting {
    setting: &'static str,
    /// Whether most languages import it, whatever the program does.
    perhaps: bool,
    imports: Vec<String>,
}

impl InspectReport {
    fn of(file: &str, seen: &Inspection) -> Self {
        let verdict = seen.verdict.as_ref();
        let asks_for = seen.grant_requests().into_iter().map(|request| NeededSetting {
            setting: request.setting,
            perhaps: request.unasked,
            imports: request.imports,
        });
        Self {
            file: file.to_owned(),
            size: seen.size,
            sha256: seen.sha256.to_string(),
            form: seen.form.to_string(),
            wasi: wasi_versions(seen),
            runs: verdict.is_ok() || seen.strategy,
            kinds: verdict.ok().map(|(kinds, _)| kinds.by_default().to_string()),
            more_kinds: verdict.map(|(kinds, _)| more(kinds)).unwrap_or_default(),
            compile_ms: verdict.ok().map(|(_, took)| millis(*took)),
            known: seen.compiled_before,
            strategy: seen.strategy,
            settings: None,
            refusal: verdict.err().filter(|_| !seen.strategy).map(|error| with_causes(error)),
            asks_for: asks_for.collect(),
            exports: seen.exports.clone(),
            imports: seen.imports.clone(),
            lifted: seen.lifted,
            has_names: seen.form.is_wasm(),
        }
    }

    fn show(&self, paint: Paint) -> String {
        let mut parts = vec![self.summary(paint)];
        if !self.asks_for.is_empty() {
            parts.push(self.asks().render(paint) + IMPORTED_IS_NOT_USED);
        }
        if self.has_names {
            parts.push(names("EXPORTS", &self.exports).render(paint));
            parts.push(names("IMPORTS", &self.imports).render(paint));
        }
        parts.join("\n")
    }

    fn summary(&self, paint: Paint) -> String {
        let bold = |text: &str| paint.paint(sanitize(text), Style::new().bold());
        let mut about = vec![self.form.clone()];
        if self.lifted {
            about.push("lifted to a component".to_owned());
        }
        match &self.wasi[..] {
            [] if self.has_names => about.push("no WASI".to_owned()),
            [] => {}
            versions => about.push(format!("WASI {}", versions.join(" and "))),
        }
        about.push(size(self.size));
        let mut text = format!("plugin {}: {}\n", bold(&self.file), about.join(", "));
        text += &format!("sha256 {}\n", self.sha256);
        let (good, bad) = (Style::new().green(), Style::new().red());
        text += &match (&self.kinds, self.compile_ms, &self.refusal) {
            (Some(kinds), Some(took), _) => {
                let took = humantime::format_duration(Duration::from_millis(took));
                let compiled = if self.known {
                    "it is compiled already".to_owned()
                } else {
                    format!("compiling it took {took}, which this user's hosts are spared")
                };
                let runs = paint.paint("this host can run it", good);
                let more = self.more();
                format!("{runs} as {}{more}; {compiled}\n", bold(kinds))
            }
            _ if self.strategy => {
                let runs = paint.paint("this host can run it", good);
                format!("{runs} as a strategy: name it by `strategy` in the settings of a group\n")
            }
            (_, _, refusal) => {
                let runs = paint.paint("this host cannot run it", bad);
                format!("{runs}: {}\n", sanitize(refusal.as_deref().unwrap_or_default()))
            }
        };
        text += &match &self.settings {
            Some(InspectedSettings { file, kinds: Some(kinds), .. }) => {
                format!("with the settings in {} it runs as {}\n", sanitize(file), bold(kinds))
            }
            Some(InspectedSettings { file, wrong: Some(wrong), .. }) => {
                let refused = paint.paint("no host runs it", bad);
                format!(
                    "with the settings in {} {refused}:\n{}\n",
                    sanitize(file),
                    wrong.trim_end()
                )
            }
            _ => String::new(),
        };
        text
    }

    /// The further kinds, which need settings.
    fn more(&self) -> String {
        if self.more_kinds.is_empty() {
            return String::new();
        }
        let known = self.kinds.iter().flat_map(|kinds| kinds.split('+'));
        let all: Vec<_> = known.chain(self.more_kinds.iter().map(String::as_str)).collect();
        let kinds = all.iter().map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(", ");
        format!(
            " (with `kinds = [{kinds}]` in its settings as {} as well)",
            self.more_kinds.join("+")
        )
    }

    fn asks(&self) -> TextTable {
        let mut table = TextTable::new(["SETTING", "FOR THE IMPORTS"]);
        for ask in &self.asks_for {
            let imports = ask.imports.join(" ");
            let imports = if ask.perhaps {
                TableCell::new(imports + ", as most programs do", Style::new().dimmed())
            } else {
                imports.into()
            };
            table.row([ask.setting.into(), imports]);
        }
        table
    }
}

/// The footnote below the settings.
const IMPORTED_IS_NOT_USED: &str = "an import does nothing until its setting grants it; whether \
                                    the plugin uses what it imports is not seen here\n";

/// The kinds that run only if the settings ask for them.
fn more(kinds: &Kinds) -> Vec<String> {
    let unasked = kinds.by_default();
    kinds.iter().filter(|kind| !unasked.has(*kind)).map(|kind| kind.to_string()).collect()
}

fn names(heading: &str, names: &[String]) -> TextTable {
    let mut table = TextTable::new([heading]);
    for name in names {
        table.row([name.into()]);
    }
    if names.is_empty() {
        table.row([TableCell::new("nothing", Style::new().dimmed())]);
    }
    table
}

/// The imports of WASI in a core module.
const PREVIEW_1: &str = "wasi_snapshot_preview1::";

/// The versions of WASI that a plugin names, as in `0.2.6`.
fn wasi_versions(seen: &Inspection) -> Vec<String> {
    let names = seen.imports.iter().chain(&seen.exports);
    // Proposals such as `wasi:keyvalue` have version numbers of their own.
    let part = |name: &&String| {
        ["wasi:cli/", "wasi:io/", "wasi:http/"].iter().any(|it| name.starts_with(it))
    };
    let preview_1 = names.clone().any(|name| name.starts_with(PREVIEW_1));
    let mut versions: Vec<_> = names
        .filter(part)
        .filter_map(|name| name.split_once('@'))
        .map(|(_, version)| version.to_owned())
        .chain(preview_1.then(|| "preview 1".to_owned()))
        .collect();
    versions.sort();
    versions.dedup();
    versions
}

/// Formats as in `91.2 KiB`.
fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", tenths(1 << 10)),
        _ => format!("{} MiB", tenths(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> InspectReport {
        InspectReport {
            file: "report.wasm".into(),
            size: 93_400,
            sha256: "ab12".into(),
            form: "core module".into(),
            wasi: vec!["0.2.6".into()],
            runs: true,
            kinds: Some("service".into()),
            more_kinds: Vec::new(),
            compile_ms: Some(57),
            known: false,
            strategy: false,
            settings: None,
            refusal: None,
            asks_for: vec![
                NeededSetting {
                    setting: "state",
                    perhaps: false,
                    imports: vec!["wasi:keyvalue/store@0.2.0-draft".into()],
                },
                NeededSetting {
                    setting: "folders",
                    perhaps: true,
                    imports: vec!["wasi:filesystem/types@0.2.6".into()],
                },
            ],
            exports: vec!["wasi:cli/run@0.2.6".into()],
            imports: Vec::new(),
            lifted: true,
            has_names: true,
        }
    }

    #[test]
    fn what_is_no_plugin_is_called_what_it_is() {
        let text = InspectReport {
            form: "text".into(),
            size: 9,
            wasi: Vec::new(),
            runs: false,
            kinds: None,
            compile_ms: None,
            refusal: Some("it is none".into()),
            asks_for: Vec::new(),
            exports: Vec::new(),
            lifted: false,
            has_names: false,
            ..sheet()
        };
        assert_eq!(
            text.show(Paint::OFF),
            "plugin report.wasm: text, 9 bytes\nsha256 ab12\nthis host cannot run it: it is none\n"
        );
    }

    #[test]
    fn a_main_beside_a_handler_is_told_of() {
        let both = InspectReport {
            kinds: Some("http+hooks".into()),
            more_kinds: vec!["service".into()],
            ..sheet()
        };
        let told = both.show(Paint::OFF);
        let kinds = "as http+hooks (with `kinds = [\"http\", \"hooks\", \"service\"]` in its \
                     settings as service as well)";
        assert!(told.contains(kinds), "{told}");
    }

    #[test]
    fn a_plugin_at_a_glance() {
        assert_eq!(
            sheet().show(Paint::OFF),
            "\
plugin report.wasm: core module, lifted to a component, WASI 0.2.6, 91.2 KiB
sha256 ab12
this host can run it as service; compiling it took 57ms, which this user's hosts are spared

SETTING  FOR THE IMPORTS
state    wasi:keyvalue/store@0.2.0-draft
folders  wasi:filesystem/types@0.2.6, as most programs do
an import does nothing until its setting grants it; whether the plugin uses what it imports is \
not seen here

EXPORTS
wasi:cli/run@0.2.6

IMPORTS
nothing
"
        );
    }

    #[test]
    fn a_refusal_is_told_without_control_characters() {
        let refused = InspectReport {
            kinds: None,
            compile_ms: None,
            refusal: Some("a\x1b[2J".into()),
            runs: false,
            ..sheet()
        };
        assert!(refused.show(Paint::OFF).contains("this host cannot run it: a\\u{1b}[2J\n"));
    }

    #[test]
    fn sizes_are_rounded_down() {
        assert_eq!([size(9), size(2047), size(19_293_798)], ["9 bytes", "1.9 KiB", "18.3 MiB"]);
    }
}
