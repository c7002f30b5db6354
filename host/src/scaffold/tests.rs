use clap::ValueEnum;

use super::*;
use soloist_config as config;
use soloist_guests::plugin::{INTERFACES_EXPORT, wit};

fn project(language: Language, kind: ProjectKind) -> Project {
    Project::new("guest-book", language, kind).unwrap()
}

fn of_template(template: Template) -> Project {
    Project::of_template("guest-book", template, None, None).unwrap()
}

fn templates() -> impl Iterator<Item = Template> {
    Template::value_variants().iter().copied()
}

/// A project for each language and kind, and one for each template.
fn every() -> impl Iterator<Item = Project> {
    let languages = Language::value_variants().iter();
    let plain =
        languages.flat_map(|l| ProjectKind::value_variants().iter().map(|k| project(*l, *k)));
    plain.chain(templates().map(of_template))
}

#[test]
fn nothing_in_a_project_is_left_open() {
    for project in every() {
        let files = project.files().unwrap();
        let place = |name: &str| files.iter().position(|(path, _)| path == Path::new(name));
        for (path, bytes) in &files {
            let text = String::from_utf8_lossy(bytes);
            let generated = path.starts_with("gen") || path.starts_with("vendor");
            assert!(generated || !text.contains("{{"), "{project:?} {}: {text}", path.display());
            assert_eq!(place(path.to_str().unwrap()), files.iter().position(|(p, _)| p == path));
        }
        let dev: toml::Table =
            String::from_utf8(files[place(ProjectManifest::FILE).unwrap()].1.clone())
                .unwrap()
                .parse()
                .unwrap();
        assert_eq!(dev["output"].as_str(), Some(&*project.output()));
        assert_eq!(dev["build"].as_str(), project.build().last().map(String::as_str));
        assert!(place("wit/worlds.wit").is_some() && place("README.md").is_some());
        for (name, _) in project.recipe().files {
            let name = project.fill(name);
            let there = files.iter().any(|(path, _)| path.starts_with(&name));
            assert!(there, "{project:?} has no {name}");
        }
        for line in project.build() {
            assert!(!line.contains("{{"), "{line}");
        }
    }
}

#[test]
fn every_world_is_one_of_the_package() {
    let (resolve, package) = wit::resolve().unwrap();
    for project in every() {
        let world = project.recipe().world;
        assert!(resolve.packages[package].worlds.contains_key(world), "{world}");
    }
}

#[test]
fn the_readme_says_what_the_command_says() {
    for project in every() {
        let readme = project.readme(&project.recipe());
        for line in project.build() {
            assert!(readme.contains(&line), "{readme}");
        }
        assert!(readme.contains(&project.output()), "{readme}");
        assert!(project.first().is_none_or(|first| readme.contains(&first)), "{readme}");
    }
}

#[test]
fn a_job_has_a_schedule_that_a_host_takes() {
    for project in every() {
        let files = project.files().unwrap();
        let of = |name: &str| files.iter().find(|(path, _)| path == Path::new(name));
        let Some(settings) = project.settings() else {
            assert!(of("guest-book.toml").is_none(), "{project:?}");
            continue;
        };
        let text = String::from_utf8(of(&settings).unwrap().1.clone()).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let schedule = table.get("schedule").map(|schedule| schedule.as_str().unwrap());
        assert_eq!(schedule.is_some(), project.kind() == ProjectKind::Job, "{project:?}");
        assert!(schedule.is_none_or(|text| text.parse::<croner::Cron>().is_ok()), "{schedule:?}");
        assert!(project.readme(&project.recipe()).contains("`guest-book.toml`"));
    }
}

#[test]
fn a_host_takes_the_settings_of_each_template() {
    let scratch = tempfile::tempdir().unwrap();
    let (plugin, file) = (scratch.path().join("x.wasm"), scratch.path().join("x.toml"));
    fs::write(&plugin, "").unwrap();
    for project in templates().map(of_template) {
        let files = project.files().unwrap();
        let (_, text) =
            files.iter().find(|(path, _)| path == Path::new("guest-book.toml")).unwrap();
        let mut table: toml::Table = String::from_utf8(text.clone()).unwrap().parse().unwrap();
        // The files of the secrets do not exist here.
        for (_, secret) in
            table.get_mut("secrets").into_iter().flat_map(|it| it.as_table_mut().unwrap())
        {
            *secret = "env:PATH".into();
        }
        fs::write(&file, table.to_string()).unwrap();
        let settings = config::read_action_settings(&file, "guest-book", &plugin);
        assert!(settings.is_ok(), "{project:?}: {}", settings.unwrap_err());
    }
}

#[test]
fn a_template_goes_with_its_own_kind_and_language() {
    let told = |template, language, kind| {
        Project::of_template("guest-book", template, language, kind).map_err(|e| e.to_string())
    };
    for template in templates() {
        let kind = Some(template.kind());
        assert!(told(template, Some(Language::Rust), kind).is_ok());
        assert!(told(template, Some(Language::Go), kind).unwrap_err().contains("in Rust"));
        // The name on the command line is the one that is shown.
        assert_eq!(template.to_possible_value().unwrap().get_name(), template.to_string());
    }
    let refused = told(Template::CronReport, None, Some(ProjectKind::Http)).unwrap_err();
    assert!(refused.contains("`--kind job`"), "{refused}");
}

#[test]
fn names_are_taken_or_mended() {
    for name in ["a", "web", "guest-book", "a1-2b"] {
        assert!(Project::new(name, Language::Rust, ProjectKind::Http).is_ok(), "{name}");
    }
    let better = [
        ("", "my-plugin"),
        ("Guest Book", "guest-book"),
        ("guest_book", "guest-book"),
        ("../up", "up"),
        ("a/b", "a-b"),
        ("-a", "a"),
        ("a-", "a"),
        ("a--b", "a-b"),
        ("9lives", "lives"),
        ("ä", "my-plugin"),
        (&"x".repeat(41), &"x".repeat(40)),
    ];
    for (name, help) in better {
        let refused = Project::new(name, Language::C, ProjectKind::Job).unwrap_err().to_string();
        assert!(refused.contains(&format!("`{help}` would do")), "{name}: {refused}");
    }
    assert!(Project::new("match", Language::Rust, ProjectKind::Http).is_err());
    assert!(Project::new("match", Language::Go, ProjectKind::Http).is_ok());
}

#[test]
fn what_is_there_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let project = project(Language::Rust, ProjectKind::Http);
    let full = scratch.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("mine"), "text").unwrap();
    assert!(matches!(project.write(&full), Err(ScaffoldError::NotEmpty { .. })));
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
    let file = full.join("mine");
    assert!(matches!(project.write(&file), Err(ScaffoldError::NotAFolder { .. })));
    assert_eq!(fs::read(&file).unwrap(), b"text");
    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).unwrap();
    project.write(&empty).unwrap();
    assert!(empty.join("src/lib.rs").is_file());
}

/// A host refuses a module of Go that does not export it.
#[test]
fn bindings_for_go_say_for_which_interfaces_they_are() {
    let files = project(Language::Go, ProjectKind::Http).files().unwrap();
    let export = format!("//go:wasmexport {INTERFACES_EXPORT}\n");
    let says = files.iter().any(|(path, bytes)| {
        path.ends_with("runtime.go") && String::from_utf8_lossy(bytes).contains(&export)
    });
    assert!(says);
}

#[test]
fn bindings_are_made_again_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    assert!(matches!(regenerate(folder, None, None), Err(ScaffoldError::Unknown { .. })));
    let (go, http) = (Some(Language::Go), Some(ProjectKind::Http));
    assert!(matches!(regenerate(folder, go, http), Err(ScaffoldError::Read { .. })));
    fs::write(folder.join("go.mod"), "// mine\nmodule my.org/x/y\n\ngo 1.25\n").unwrap();
    fs::create_dir_all(folder.join("vendor")).unwrap();
    regenerate(folder, go, http).unwrap();
    let exports = fs::read_to_string(folder.join("gen/wit_exports/wit_exports.go")).unwrap();
    assert!(exports.contains("\"my.org/x/y/export_wasi_http_incoming_handler\""), "{exports}");
    assert!(exports.contains("\"my.org/x/y/gen/wasi_http_types\""), "{exports}");
    assert_eq!(fs::read_dir(folder.join("vendor")).unwrap().count(), 0, "it is the user's");
    let mut there: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["gen", "go.mod", "vendor", "wit"]);
}

#[test]
fn a_project_knows_what_its_bindings_are_for() {
    for language in Language::value_variants() {
        for kind in ProjectKind::value_variants() {
            let scratch = tempfile::tempdir().unwrap();
            let folder = scratch.path().join("it");
            project(*language, *kind).write(&folder).unwrap();
            let read = ProjectManifest::read(&folder).unwrap();
            assert_eq!((read.lang, read.kind), (Some(*language), Some(*kind)));
            fs::remove_dir_all(folder.join("wit")).unwrap();
            regenerate(&folder, None, None).unwrap();
            assert!(folder.join("wit").is_dir(), "{language} {kind}");
        }
    }
}
