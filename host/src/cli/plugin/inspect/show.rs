//! The report on a plugin, as text for people.

use std::time::Duration;

use owo_colors::Style;

use super::report::{InspectReport, InspectedSettings};
use crate::cli::{
    terminal::{Paint, sanitize},
    text_table::{TableCell, TextTable},
};

/// The footnote below the settings.
const IMPORTED_IS_NOT_USED: &str = "an import does nothing until its setting grants it; this does \
                                    not show whether the plugin uses its imports\n";

/// The whole report.
pub(super) fn text(report: &InspectReport, paint: Paint) -> String {
    let mut parts = vec![summary(report, paint)];
    if !report.asks_for.is_empty() {
        parts.push(needed_settings(report).render(paint) + IMPORTED_IS_NOT_USED);
    }
    if report.has_names {
        parts.push(names("EXPORTS", &report.exports).render(paint));
        parts.push(names("IMPORTS", &report.imports).render(paint));
    }
    parts.join("\n")
}

fn summary(report: &InspectReport, paint: Paint) -> String {
    let mut about = vec![report.form.clone()];
    if report.lifted {
        about.push("lifted to a component".to_owned());
    }
    match &report.wasi[..] {
        [] if report.has_names => about.push("no WASI".to_owned()),
        [] => {}
        versions => about.push(format!("WASI {}", versions.join(" and "))),
    }
    about.push(size(report.size));
    let file = bold(&report.file, paint);
    let mut text = format!("plugin {file}: {}\n", about.join(", "));
    text += &format!("sha256 {}\n", report.sha256);
    text += &verdict(report, paint);
    text += &settings(report, paint);
    text
}

/// Whether this host can run the plugin, and as what.
fn verdict(report: &InspectReport, paint: Paint) -> String {
    let (good, bad) = (Style::new().green(), Style::new().red());
    match (&report.kinds, report.compile_ms, &report.refusal) {
        (Some(kinds), Some(took), _) => {
            let took = humantime::format_duration(Duration::from_millis(took));
            let compiled = if report.known {
                "it is compiled already".to_owned()
            } else {
                format!("compiling it took {took}, which this user's hosts now reuse")
            };
            let runs = paint.paint("this host can run it", good);
            let more = more_kinds(report);
            format!("{runs} as {}{more}; {compiled}\n", bold(kinds, paint))
        }
        _ if report.strategy => {
            let runs = paint.paint("this host can run it", good);
            format!("{runs} as a strategy: name it by `strategy` in the settings of a group\n")
        }
        (_, _, refusal) => {
            let runs = paint.paint("this host cannot run it", bad);
            format!("{runs}: {}\n", sanitize(refusal.as_deref().unwrap_or_default()))
        }
    }
}

/// How it runs with the settings that were found, if there are any.
fn settings(report: &InspectReport, paint: Paint) -> String {
    match &report.settings {
        Some(InspectedSettings { file, kinds: Some(kinds), .. }) => {
            let kinds = bold(kinds, paint);
            format!("with the settings in {} it runs as {kinds}\n", sanitize(file))
        }
        Some(InspectedSettings { file, wrong: Some(wrong), .. }) => {
            let refused = paint.paint("no host runs it", Style::new().red());
            let wrong = wrong.trim_end();
            format!("with the settings in {} {refused}:\n{wrong}\n", sanitize(file))
        }
        _ => String::new(),
    }
}

/// The further kinds, which need settings.
fn more_kinds(report: &InspectReport) -> String {
    if report.more_kinds.is_empty() {
        return String::new();
    }
    let known = report.kinds.iter().flat_map(|kinds| kinds.split('+'));
    let all: Vec<_> = known.chain(report.more_kinds.iter().map(String::as_str)).collect();
    let kinds = all.iter().map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(", ");
    let job = if report.more_kinds.iter().any(|kind| kind == "service") {
        ", or with a `schedule` as job"
    } else {
        ""
    };
    format!(
        " (with `kinds = [{kinds}]` in its settings as {} as well{job})",
        report.more_kinds.join("+")
    )
}

fn needed_settings(report: &InspectReport) -> TextTable {
    let mut table = TextTable::new(["SETTING", "FOR THE IMPORTS"]);
    for ask in &report.asks_for {
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

fn bold(text: &str, paint: Paint) -> String {
    paint.paint(sanitize(text), Style::new().bold())
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
    use crate::cli::plugin::inspect::report::NeededSetting;

    fn example() -> InspectReport {
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
                    setting: "mounts",
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
            ..example()
        };
        assert_eq!(
            super::text(&text, Paint::OFF),
            "plugin report.wasm: text, 9 bytes\nsha256 ab12\nthis host cannot run it: it is none\n"
        );
    }

    #[test]
    fn a_main_beside_a_handler_is_told_of() {
        let both = InspectReport {
            kinds: Some("http+hooks".into()),
            more_kinds: vec!["service".into()],
            ..example()
        };
        let told = text(&both, Paint::OFF);
        let kinds = "as http+hooks (with `kinds = [\"http\", \"hooks\", \"service\"]` in its \
                     settings as service as well, or with a `schedule` as job)";
        assert!(told.contains(kinds), "{told}");
    }

    #[test]
    fn a_plugin_at_a_glance() {
        assert_eq!(
            text(&example(), Paint::OFF),
            "\
plugin report.wasm: core module, lifted to a component, WASI 0.2.6, 91.2 KiB
sha256 ab12
this host can run it as service; compiling it took 57ms, which this user's hosts now reuse

SETTING  FOR THE IMPORTS
state    wasi:keyvalue/store@0.2.0-draft
mounts   wasi:filesystem/types@0.2.6, as most programs do
an import does nothing until its setting grants it; this does not show whether the plugin uses its imports

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
            ..example()
        };
        assert!(text(&refused, Paint::OFF).contains("this host cannot run it: a\\u{1b}[2J\n"));
    }

    #[test]
    fn sizes_are_rounded_down() {
        assert_eq!([size(9), size(2047), size(19_293_798)], ["9 bytes", "1.9 KiB", "18.3 MiB"]);
    }
}
