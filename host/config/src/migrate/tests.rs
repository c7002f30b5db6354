//! Files with old names, and what becomes of them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use super::*;
use crate::{
    lenient,
    renames::{Change, Section},
    settings_file::{ActionTable, SettingsFile},
};

fn source(text: &str) -> SourceFile {
    SourceFile::new("s.toml".into(), text.to_owned())
}

/// The migrated text, and what is said of it.
fn migrated(text: &str) -> (String, Vec<String>) {
    let Migration { text, changes } = migrate_text(&source(text)).unwrap();
    (text, changes)
}

fn refused(text: &str) -> String {
    migrate_text(&source(text)).unwrap_err().to_string()
}

/// A file from before the names changed, and the same file of today, if there is one.
struct Before {
    name: &'static str,
    old: &'static str,
    new: Option<&'static str>,
    of_an_action: bool,
}

macro_rules! before {
    ($name:literal, $of_an_action:literal $(, $new:literal)?) => {
        Before {
            name: $name,
            old: include_str!(concat!("../../tests/migrate/before/", $name)),
            new: [$(include_str!(concat!("../../../../", $new)))?].first().copied(),
            of_an_action: $of_an_action,
        }
    };
}

const BEFORE: &[Before] = &[
    before!("soloist.toml", false, "examples/soloist.toml"),
    before!("etcd.toml", false, "examples/etcd.toml"),
    before!("compose.toml", false, "examples/compose/soloist.toml"),
    before!("uptime.toml", true, "examples/compose/uptime.toml"),
    before!("kubernetes.toml", false),
    before!("template-job.toml", true, "host/src/scaffold/templates/job.toml"),
    before!("template-axum.toml", true, "host/src/scaffold/templates/rust/axum/settings.toml"),
    before!(
        "template-cron-report.toml",
        true,
        "host/src/scaffold/templates/rust/cron-report/settings.toml"
    ),
    before!(
        "template-telegram-bot.toml",
        true,
        "host/src/scaffold/templates/rust/telegram-bot/settings.toml"
    ),
    before!(
        "template-webhook-receiver.toml",
        true,
        "host/src/scaffold/templates/rust/webhook-receiver/settings.toml"
    ),
    before!("readme.toml", false),
    before!("docs-elections.toml", false),
    before!("docs-jobs.toml", true),
];

/// What a host would say of the text.
fn problems(text: &str, of_an_action: bool) -> String {
    let source = source(text);
    let problems = match of_an_action {
        true => lenient::read::<ActionTable>(&source).1,
        false => lenient::read::<SettingsFile>(&source).1,
    };
    problems.iter().map(ToString::to_string).collect()
}

/// The comments, in their order. None of these files has a `#` in a text.
fn comments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_once('#')).map(|(_, comment)| comment).collect()
}

/// Removes the settings of actions that the examples of before did not have.
fn remove_added(settings: &mut toml::Table) {
    const ADDED: [&str; 1] = ["max_state_size"];
    let actions = settings.get_mut("action").and_then(toml::Value::as_table_mut);
    let actions = actions.into_iter().flatten().filter_map(|(_, action)| action.as_table_mut());
    for action in actions {
        ADDED.iter().for_each(|key| drop(action.remove(*key)));
    }
}

#[test]
fn files_of_before_become_files_of_today() {
    for Before { name, old, new, of_an_action } in BEFORE {
        let (text, changes) = migrated(old);
        assert_eq!(problems(&text, *of_an_action), "", "{name}:\n{text}");
        assert_eq!(changes.is_empty(), problems(old, *of_an_action).is_empty(), "{name}");
        // `cool_down` moves with its comment.
        let (mut before, mut after) = (comments(old), comments(&text));
        if *name == "soloist.toml" {
            before.sort_unstable();
            after.sort_unstable();
        }
        assert_eq!(before, after, "{name}:\n{text}");
        if let Some(new) = new {
            let [is, mut wanted] = [&text, *new].map(|text| text.parse::<toml::Table>().unwrap());
            remove_added(&mut wanted);
            assert_eq!(is, wanted, "{name}:\n{text}");
        }
        let again = migrated(&text);
        assert_eq!(again, (text, Vec::new()), "{name}: a second time");
    }
}

#[test]
fn every_old_name_is_renamed() {
    for rename in crate::renames::RENAMES {
        let (head, value) = match rename.section {
            Section::Lease => ("[lease]", "\"1s\""),
            Section::Group => ("[group.main]", "\"1s\""),
            Section::Action => ("[action.web]", "1"),
            Section::Mount => ("[[action.web.mounts]]", "true"),
        };
        let (text, changes) = migrated(&format!("{head}\n{} = {value} # why\n", rename.old));
        let old = format!("\n{} =", rename.old);
        assert!(text.contains("# why") && !text.contains(&old), "{rename:?}:\n{text}");
        let home = if rename.change == Change::OfTask("call_timeout") {
            "call_timeout"
        } else {
            rename.new
        };
        assert!(text.contains(&format!("{home} = ")), "{rename:?}:\n{text}");
        assert_eq!(changes.len(), 1, "{changes:?}");
    }
}

#[test]
fn values_change_with_their_meaning() {
    let (text, changes) = migrated(
        "[action.job]\nschedule = \"none\"\nretries = 3 # more\nmissed = \"once\"\ntimeout = \"1h\"\n\
         [action.task]\ntimeout = \"9s\"\nlog = \"1MiB\"\nmissed = \"all\"\n\
         folders = [{ from = \"a\", at = \"/a\", write = true }, { from = \"b\", at = \"/b\" }]\n\
         [[action.list.folders]]\nfrom = \"c\"\nat = \"/c\"\nwrite = false\n",
    );
    assert_eq!(
        text,
        "[action.job]\nschedule = \"none\"\nmax_attempts = 4 # more\ncatch_up = \"latest\"\n\
         run_timeout = \"1h\"\n\
         [action.task]\ncall_timeout = \"9s\"\nmax_log_rate = \"1MiB/s\"\ncatch_up = \"all\"\n\
         mounts = [{ source = \"a\", target = \"/a\", read_only = false }, { source = \"b\", \
         target = \"/b\" }]\n\
         [[action.list.mounts]]\nsource = \"c\"\ntarget = \"/c\"\nread_only = true\n"
    );
    assert_eq!(changes[0], "s.toml:3:1: `retries = 3` is `max_attempts = 4` now");
    assert_eq!(changes[2], "s.toml:5:1: `timeout` is `run_timeout` now");
    assert_eq!(changes.last().unwrap(), "s.toml:14:1: `write = false` is `read_only = true` now");
}

#[test]
fn a_setting_that_moves_takes_its_comments_along() {
    let moved = |text: &str| migrated(text).0;
    assert_eq!(
        moved("[host]\nname = \"a\"\n\n[lease]\nttl = \"5s\"\n# why\ncool_down = \"4s\" # so\n"),
        "[host]\nname = \"a\"\n# why\ncooldown = \"4s\" # so\n\n[lease]\nttl = \"5s\"\n"
    );
    assert_eq!(
        moved("[lease]\nttl = \"5s\"\ncool_down = \"4s\"\n\n[api]\n"),
        "[lease]\nttl = \"5s\"\n\n[host]\ncooldown = \"4s\"\n\n[api]\n"
    );
    assert_eq!(moved("lease.cool_down = \"4s\"\n"), "host.cooldown = \"4s\"\n");
    let inline = moved("lease = { ttl = \"5s\", cool_down = \"4s\" }\nhost = { name = \"a\" }\n");
    let wanted = "lease = { ttl = \"5s\" }\nhost = { name = \"a\", cooldown = \"4s\" }\n";
    let [inline, wanted] = [&inline, wanted].map(|text| text.parse::<toml::Table>().unwrap());
    assert_eq!(inline, wanted);
}

#[test]
fn equals_signs_stay_in_line_where_there_is_room() {
    let (text, _) = migrated("[action.web]\nhold         = \"1s\"\nhook_timeout = \"2s\"\n");
    assert_eq!(text, "[action.web]\nmax_hold     = \"1s\"\nhook_timeout = \"2s\"\n");
}

#[test]
fn what_is_written_under_both_names_is_refused() {
    let text = refused("[action.web]\nhold = \"1s\"\nmax_hold = \"2s\"\n");
    assert!(text.contains("`hold` is called `max_hold` now, and both are written"), "{text}");
    assert!(text.contains("s.toml:2:1\n"), "{text}");
    let text = refused("[host]\ncooldown = \"1s\"\n[lease]\ncool_down = \"2s\"\n");
    assert!(text.contains("s.toml:4:1\n"), "{text}");
    // A name of the one kind of action is no obstacle to that of another.
    let both = "[action.a]\nschedule = \"none\"\ntimeout = \"1s\"\ncall_timeout = \"2s\"\n";
    assert!(migrated(both).0.contains("run_timeout = \"1s\"\ncall_timeout = \"2s\"\n"));
}

/// A file in a folder of its own, with this text.
fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soloist.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    let mut names: Vec<_> = folder.read_dir().unwrap().map(|entry| name(entry).unwrap()).collect();
    names.sort();
    names
}

const OLD: &str = "[lease]\ndrain = \"1s\"\n";
const NEW: &str = "[lease]\ndrain_timeout = \"1s\"\n";

#[test]
fn the_file_is_replaced_with_its_permissions_and_only_if_asked() {
    let (folder, path) = file(OLD);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(migrate(&path, false).unwrap().text, NEW);
    assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
    assert_eq!(migrate(&path, true).unwrap().changes.len(), 1);
    assert_eq!(fs::read_to_string(&path).unwrap(), NEW);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(names(folder.path()), ["soloist.toml"], "nothing is left next to it");
    // Nothing to change: the file is not even replaced.
    let before = fs::metadata(&path).unwrap();
    assert!(migrate(&path, true).unwrap().changes.is_empty());
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&before),
        std::os::unix::fs::MetadataExt::ino(&after)
    );
}

#[test]
fn a_link_stays_a_link() {
    let (folder, path) = file(OLD);
    let link = folder.path().join("link.toml");
    symlink("soloist.toml", &link).unwrap();
    migrate(&link, true).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), NEW);
}

#[test]
fn what_cannot_be_read_or_written_is_left_as_it_is() {
    let (folder, path) = file(OLD);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let text = migrate(&path, true).unwrap_err().to_string();
    assert!(text.contains("cannot write `") && text.contains("help: "), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
    assert_eq!(names(folder.path()), ["soloist.toml"]);

    let broken = "[lease]\ndrain = 1s\n";
    let (_folder, path) = file(broken);
    let text = migrate(&path, true).unwrap_err().to_string();
    assert!(text.contains("soloist.toml:2:9"), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), broken);

    let text = migrate(Path::new("no/such.toml"), true).unwrap_err().to_string();
    assert!(text.contains("cannot read `no/such.toml`"), "{text}");
}
