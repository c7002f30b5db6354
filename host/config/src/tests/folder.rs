//! What lies in the plugins folder: components, settings, and other things.

use super::*;

#[test]
fn settings_and_tokens_are_read_from_files_alone() {
    let endless = refusal("[api]\ntokens_file = \"/dev/zero\"\n", &Overrides::default());
    assert!(endless.contains("cannot read `/dev/zero`: it is no file"), "{endless}");
    let folder = folder("");
    let pipe = folder.path().join("plugins/web.toml");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    let message = load(folder.path(), &Overrides::default()).unwrap_err().to_string();
    assert!(message.contains("web.toml") && message.contains("it is no file"), "{message}");
}

#[test]
fn a_component_gives_its_name_without_one_ending() {
    let folder = folder("");
    fs::write(folder.path().join("plugins/twice.wasm.wasm"), "").unwrap();
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let names: Vec<_> = config.actions.iter().map(|action| &*action.name).collect();
    assert_eq!(names, ["report", "twice.wasm", "web"]);
}

#[test]
fn settings_may_lie_beside_a_plugin() {
    let folder = folder("");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join("plugins").join(name), text).unwrap();
    };
    write("web.toml", "state = true\ntls = { cert = \"cert.pem\", key = \"/etc/key.pem\" }\n");
    write("report.toml", "path = \"/reports/\"\n");
    write("Cargo.toml", "[workspace]\n");
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let names: Vec<_> = config.actions.iter().map(|action| &*action.name).collect();
    assert_eq!(names, ["report", "web"], "a file next to no component is not settings");
    let [report, web] = &config.actions[..] else { unreachable!() };
    let own = folder.path().join("plugins/web.toml").display().to_string();
    assert_eq!(*web.grants.written_in, *own, "hints name the file");
    assert!(web.grants.state && report.path.as_deref() == Some("/reports"));
    // Relative paths start from the file in which they are written.
    let tls = TlsFiles { cert: folder.path().join("plugins/cert.pem"), key: "/etc/key.pem".into() };
    assert_eq!(web.tls.as_deref(), Some(&tls));

    write("web.toml", "stat = true\n");
    let reading = config.source.read().unwrap();
    let refused: Vec<_> = reading.refused.iter().map(ToString::to_string).collect();
    assert!(refused[0].ends_with("unknown key `stat`: did you mean `state`?"), "{refused:?}");
    assert_eq!(reading.refused[0].name, "web");
    assert_eq!(reading.actions.len(), 1, "and it is not run with defaults");
}

#[test]
fn what_a_group_goes_by_is_no_action() {
    let folder = folder("[group.main]\nstrategy = \"web.wasm\"\n");
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let names: Vec<_> = config.actions.iter().map(|action| &*action.name).collect();
    assert_eq!(names, ["report"]);
}

#[test]
fn who_cannot_say_where_it_answers_keeps_its_path_at_every_address() {
    let other = "127.0.0.1:3999".parse().unwrap();
    for (text, everywhere) in [
        ("max_hold = \n", true),
        ("listen = 3999\n", true),
        ("lisen = \"127.0.0.1:3999\"\n", true),
        ("listen = \"127.0.0.1:3998\"\nmax_concurrent_requests = 0\n", false),
        ("max_concurrent_requests = 0\n", false),
    ] {
        let folder = folder("");
        fs::write(folder.path().join("plugins/report.toml"), text).unwrap();
        let refused = start(folder.path(), &Overrides::default()).unwrap().refused;
        let reserved = refused[0].reserved().unwrap();
        assert_eq!((&*reserved.path(), reserved.is_at(other)), ("/report", everywhere), "{text}");
    }
}

#[test]
fn what_is_wrong_beside_plugins_is_told_with_the_rest() {
    let folder = folder("[lease]\nttl = \"5\"\n[action.web]\nreqests = 8\n");
    fs::write(folder.path().join("plugins/report.toml"), "stat = true\n").unwrap();
    let told = load(folder.path(), &Overrides::default()).unwrap_err().to_string();
    for part in ["soloist.toml:2:7", "`reqests`", "report.toml:1:1"] {
        assert!(told.contains(part), "no {part} in:\n{told}");
    }
    // This does not keep the host from starting.
    let told = start(folder.path(), &Overrides::default()).unwrap_err().to_string();
    assert!(told.contains("`reqests`") && !told.contains("report.toml"), "{told}");
}

#[test]
fn settings_in_two_places_are_refused_and_both_are_named() {
    let folder = folder("[action.web]\nstate = true\n");
    // Whatever it contains, even if it cannot be read: the host starts without it.
    for text in ["state = false\n", "no such thing\n", "stat = true\n"] {
        fs::write(folder.path().join("plugins/web.toml"), text).unwrap();
        let config = start(folder.path(), &Overrides::default()).unwrap();
        let names: Vec<_> = config.actions.iter().map(|action| &*action.name).collect();
        assert_eq!((&names[..], &*config.refused[0].name), (&["report"][..], "web"), "{text}");
        let message = load(folder.path(), &Overrides::default()).unwrap_err().to_string();
        let (here, there) = ("plugins/web.toml`", "soloist.toml:1:9");
        assert!(message.contains(here) && message.contains(there), "{message}");
    }
}

#[test]
fn what_is_only_called_like_a_component_is_refused() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    let refused = |name: &str, make: &dyn Fn(&Path)| {
        let folder = folder("");
        make(&folder.path().join("plugins").join(name));
        load(folder.path(), &Overrides::default()).unwrap_err().to_string()
    };
    let message = refused("x.wasm", &|path| fs::create_dir(path).unwrap());
    assert!(message.contains("`x.wasm` in the plugins folder is not a file"), "{message}");
    let message =
        refused("link.wasm", &|path| std::os::unix::fs::symlink(outside.path(), path).unwrap());
    assert!(message.contains("`link.wasm` is a link out of the plugins folder"), "{message}");
    let message = refused("lost.wasm", &|path| std::os::unix::fs::symlink("no", path).unwrap());
    assert!(message.contains("cannot read `lost.wasm`"), "{message}");
    let message = refused("a b.wasm", &|path| fs::write(path, "").unwrap());
    assert!(message.contains("cannot give its name to an action"), "{message}");

    // A link that stays within the folder is a second name for a component.
    let folder = folder("");
    std::os::unix::fs::symlink("web.wasm", folder.path().join("plugins/site.wasm")).unwrap();
    let config = load(folder.path(), &Overrides::default()).unwrap();
    assert_eq!(config.actions.len(), 3);
}

/// Fills a plugins folder with entries that are named like plugins and are none.
fn litter(plugins: &Path) {
    use std::os::unix::{ffi::OsStrExt, fs::symlink};
    let put = |name: &str, content: &[u8]| fs::write(plugins.join(name), content).unwrap();
    let pipe = |name: &str| {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, plugins.join(name), kind, mode, 0).unwrap();
    };
    for name in ["._mac.wasm", ".half.wasm", ".web.toml", "old.wasm~", "new.wasm.tmp", "x.part"] {
        put(name, b"\0\x05\x16\x07");
    }
    symlink("ada@machine.1:2", plugins.join(".#web.wasm")).unwrap();
    fs::create_dir(plugins.join("directory.wasm")).unwrap();
    pipe("pipe.wasm");
    symlink("nowhere", plugins.join("dangling.wasm")).unwrap();
    symlink("circle.wasm", plugins.join("circle.wasm")).unwrap();
    for name in ["日本.wasm", "a b.wasm", "\x1b[2J.wasm", "\u{202e}msaw.wasm", ".wasm"] {
        put(name, b"");
    }
    fs::write(plugins.join(std::ffi::OsStr::from_bytes(b"not\xffutf8.wasm")), b"").unwrap();
    put(&format!("{}.wasm", "long".repeat(30)), b"");
    put("empty.toml", b"");
    put("alone.toml", b"stat = 1");
    pipe("piped.toml");
    for name in ["empty", "piped", "folded", "unknown", "cut", "binary"] {
        put(&format!("{name}.wasm"), b"");
    }
    fs::create_dir(plugins.join("folded.toml")).unwrap();
    put("unknown.toml", b"stat = true");
    put("cut.toml", b"state = tr");
    put("binary.toml", b"\xff\xfe\0");
}

#[test]
fn litter_in_the_plugins_folder_ends_no_start() {
    let folder = folder("");
    litter(&folder.path().join("plugins"));
    let config = start(folder.path(), &Overrides::default()).unwrap();
    let names: Vec<_> = config.actions.iter().map(|action| &*action.name).collect();
    assert_eq!(names, ["empty", "report", "web"]);
    let mut refused: Vec<_> = config.refused.iter().map(|refused| &*refused.name).collect();
    refused.retain(|name| !name.starts_with("longlong") && !name.starts_with("not"));
    let expected = [
        "\\u{1b}[2J",
        "\\u{202e}msaw",
        "a b",
        "binary",
        "circle",
        "cut",
        "dangling",
        "directory",
        "folded",
        "pipe",
        "piped",
        "unknown",
        "日本",
    ];
    assert_eq!(refused, expected);
    for refused in &config.refused {
        let reason = refused.to_string();
        let plain = !reason.contains(|c: char| c.is_control() || c == '\u{202e}');
        assert!(plain && reason.contains(": "), "{refused:?}");
    }
    // A running host reports the same.
    let again = config.source.read().unwrap();
    assert_eq!((again.actions, again.refused), (config.actions, config.refused));
    // With `all_or_none` all of it is reported.
    assert!(load(folder.path(), &Overrides::default()).is_err());
}

#[test]
fn what_the_settings_name_ends_no_start_and_is_missed() {
    let around = |text: &str| {
        let folder = folder(text);
        fs::create_dir(folder.path().join("plugins/directory.wasm")).unwrap();
        fs::write(folder.path().join("plugins/beside.toml"), "").unwrap();
        fs::write(folder.path().join("plugins/beside.wasm"), "").unwrap();
        folder
    };
    let named = |text: &str| start(around(text).path(), &Overrides::default());
    for text in [
        "[action.x]\ngroup = \"side\"\nplugin = \"nowhere.wasm\"\n",
        "[action.x]\ngroup = \"side\"\nplugin = \"directory.wasm\"\n",
        "[action.web]\ngroup = \"side\"\nsecrets = { KEY = \"file:nowhere\" }\n",
        "[action.web]\ngroup = \"side\"\nsecrets = { KEY = \"env:SOLOIST_NO_SUCH\" }\n",
        "[action.web]\ngroup = \"side\"\nmounts = [{ source = \"nowhere\", target = \"/data\" }]\n",
        "[action.beside]\ngroup = \"side\"\n",
    ] {
        let config = named(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let missed: Vec<_> = config
            .refused
            .iter()
            .filter_map(|it| config.source.configured_group(&it.name))
            .collect();
        assert_eq!(missed, ["side".into()], "{text}");
    }
    let strategy = "[group.main]\nstrategy = \"nowhere.wasm\"\n";
    assert!(named(strategy).is_ok());
    let told = load(around(strategy).path(), &Overrides::default()).unwrap_err().to_string();
    assert!(told.contains("nowhere.wasm"), "{told}");
    // Mistakes in the file's own text are for its author.
    assert!(
        named("[action.web]\nplugin = \"nowhere.wasm\"\nmax_concurrent_requests = 0\n").is_err()
    );
    assert!(named("[action.web]\ngroup = \"a b\"\n").is_err());
}

#[test]
fn an_empty_plugins_folder_is_allowed_and_a_missing_one_is_not() {
    let folder = folder("");
    fs::remove_dir_all(folder.path().join("plugins")).unwrap();
    assert!(load(folder.path(), &Overrides::default()).is_err());
    fs::create_dir(folder.path().join("plugins")).unwrap();
    assert_eq!(load(folder.path(), &Overrides::default()).unwrap().actions, []);
}

#[test]
fn no_secret_is_shown_where_it_was_written_in_a_wrong_form() {
    for wrong in [
        "[api]\npeer_token = [\"s3cret\"]\n",
        "[api.tokens]\nada = \"s3cret\"\n",
        "[action.web]\nsecrets = \"s3cret\"\n",
        "[action.web]\nsecrets = { KEY = [\"s3cret\"] }\n",
        "[action.web.secrets]\nKEY = s3cret\n",
        "[action.web.secrets]\n\"A=B\" = \"s3cret\"\n",
    ] {
        let message = refusal(wrong, &Overrides::default());
        assert!(message.contains("soloist.toml:2:"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
}
