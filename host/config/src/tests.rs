//! What people see when a setting is wrong, message by message.

use std::{fs, path::Path, time::Duration};

use super::*;
use soloist_heart::Timings;

/// A folder with `plugins/web.wasm` and `plugins/report.wasm`, and `text` as its settings.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    for plugin in ["web.wasm", "report.wasm", "README.md"] {
        fs::write(folder.path().join("plugins").join(plugin), "").unwrap();
    }
    fs::write(folder.path().join("soloist.toml"), text).unwrap();
    folder
}

/// Loads the settings as a person who needs all of the actions.
fn load(folder: &Path, overrides: &Overrides) -> Result<Config, ConfigError> {
    start(folder, &Overrides { all_or_none: true, ..overrides.clone() })
}

/// Loads the settings as a host that starts.
fn start(folder: &Path, overrides: &Overrides) -> Result<Config, ConfigError> {
    resolve::load(folder, &Overrides { name: Some("a".into()), ..overrides.clone() })
}

/// The error message for `text`, without the path of the temporary folder.
fn refusal(text: &str, overrides: &Overrides) -> String {
    let folder = folder(text);
    let message = load(folder.path(), overrides).unwrap_err().to_string();
    message.replace(&format!("{}/", folder.path().display()), "")
}

/// `refusals.txt` holds every bad file with its message. After a change of wording, `BLESS=1
/// cargo test refuses` writes it again: read the diff.
#[test]
fn refuses_with_place_and_mend() {
    let expected = include_str!("refusals.txt");
    let told: Vec<String> = expected
        .split("=====\n")
        .filter_map(|case| case.split_once("-----\n"))
        .map(|(text, _)| format!("{text}-----\n{}", refusal(text, &Overrides::default())))
        .collect();
    let told = told.join("=====\n");
    if std::env::var_os("BLESS").is_some() {
        fs::write("src/config/refusals.txt", &told).unwrap();
    }
    assert!(told == expected, "the messages are now:\n{told}");
}

#[test]
fn a_flag_is_named_where_it_is_wrong() {
    let overrides = Overrides { store: Some("me:s3cret@h:1".into()), ..Overrides::default() };
    assert_eq!(
        refusal("", &overrides),
        "\
error: `…@h:1` is not the address of a store
 --> --store or SOLOIST_STORE
help: write `etcd://…@h:1`
"
    );
}

#[test]
fn a_file_that_is_named_must_exist() {
    let overrides = Overrides { config: Some("no/such.toml".into()), ..Overrides::default() };
    assert_eq!(
        refusal("", &overrides),
        "\
error: cannot read `no/such.toml`: No such file or directory (os error 2)
 --> --config or SOLOIST_CONFIG
help: name a settings file that can be read, or none: every setting has a default
"
    );
}

#[test]
fn everything_has_a_default() {
    let folder = folder("");
    fs::remove_file(folder.path().join("soloist.toml")).unwrap();
    let config = load(folder.path(), &Overrides::default()).unwrap();
    assert_eq!(config.cluster, "soloist");
    assert_eq!(config.store, StoreUrl::Sqlite(folder.path().join("soloist.db")));
    assert_eq!(config.host.url(config.host.listen), "http://127.0.0.1:4000");
    let seconds = std::time::Duration::from_secs;
    let timings = Timings::derive(seconds(5), seconds(1) / 2, seconds(10));
    assert_eq!(config.timings, timings);
    let names: Vec<_> = config.actions.iter().map(|action| &*action.name).collect();
    assert_eq!(names, ["report", "web"]);
}

#[test]
fn a_flag_beats_the_file_and_starts_from_the_working_folder() {
    let folder = folder("store = \"sqlite:file.db\"\n[host]\nlisten = \"127.0.0.1:1\"\n");
    let config = load(folder.path(), &Overrides::default()).unwrap();
    assert_eq!(config.store, StoreUrl::Sqlite(folder.path().join("file.db")));
    assert_eq!(config.host.listen.port(), 1);
    let overrides = Overrides {
        store: Some("sqlite:flag.db".into()),
        listen: Some("127.0.0.1:2".into()),
        ..Overrides::default()
    };
    let config = load(folder.path(), &overrides).unwrap();
    assert_eq!(config.store, StoreUrl::Sqlite("flag.db".into()));
    assert_eq!(config.host.listen.port(), 2);
}

#[test]
fn etcd_is_spoken_to_by_tls() {
    let tls = |text: &str, overrides: &Overrides| {
        let folder = folder(text);
        let config = load(folder.path(), overrides).unwrap();
        let StoreUrl::Etcd { tls, .. } = config.store else { panic!("{:?}", config.store) };
        (tls, folder)
    };
    let none = Overrides::default();
    assert_eq!(tls("store = \"etcd://h\"", &none).0, None);
    assert_eq!(tls("store = \"etcds://h\"", &none).0, Some(StoreTls::default()));
    let text = "store = \"etcds://h\"\n[store_tls]\nca = \"ca.pem\"\ncert = \"/c.pem\"\n\
                key = \"c.key\"\n";
    let (read, folder) = tls(text, &none);
    let own = TlsFiles { cert: "/c.pem".into(), key: folder.path().join("c.key") };
    let ca = Some(folder.path().join("ca.pem"));
    assert_eq!(read, Some(StoreTls { ca, own: Some(own.into()) }));
    // A flag overrides the file, and its paths start from the working folder.
    let overrides = Overrides {
        store_ca: Some("flag.pem".into()),
        store_cert: Some("own.pem".into()),
        store_key: Some("own.key".into()),
        ..Overrides::default()
    };
    let own = TlsFiles { cert: "own.pem".into(), key: "own.key".into() };
    let flags = Some(StoreTls { ca: Some("flag.pem".into()), own: Some(own.into()) });
    assert_eq!(tls(text, &overrides).0, flags);
    assert_eq!(tls("store = \"etcds://h\"", &overrides).0, flags);
    let plain = refusal("store = \"etcd://h\"", &overrides);
    assert!(plain.contains("--store-ca or SOLOIST_STORE_CA"), "{plain}");
}

#[test]
fn an_action_takes_what_its_table_says_and_leaves_the_rest_to_defaults() {
    let folder = folder("[action.site]\nplugin = \"web.wasm\"\ngroup = \"front\"\n");
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let [report, site] = &config.actions[..] else { panic!("{:?}", config.actions) };
    assert_eq!((&*report.name, report.group.as_str()), ("report", "main"));
    assert_eq!((&*site.name, site.group.as_str()), ("site", "front"));
    assert_eq!(site.plugin, folder.path().join("plugins/web.wasm"));
    assert_eq!(site.listen.to_string(), "127.0.0.1:3000");
}

#[test]
fn instances_are_fresh_unless_they_are_to_be_reused() {
    let folder = folder("[action.web]\ninstances = \"reuse\"\nmax_reuse = 7\n");
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let [report, web] = &config.actions[..] else { panic!("{:?}", config.actions) };
    assert_eq!(report.instances, InstancePolicy::Fresh);
    assert_eq!(
        web.instances,
        InstancePolicy::Reuse(ReuseLimits { max: 7, idle: Duration::from_secs(10) })
    );
}

#[test]
fn grants_are_read_and_nothing_is_granted_unasked() {
    let folder = folder(
        "[action.web]\nstate = true\ntasks = [\"resize\"]\noutbound = [\"https://a.example\"]\n\
         outbound_private = true\noutbound_token = false\nsockets = [\"tcp://[::1]:5432\"]\n\
         folders = [{ from = \"plugins\", at = \"/data/\", write = true }]\n\
         args = [\"-v\"]\nenv = { A = \"b\" }\nsecrets = { KEY = \"file:key\" }\n\
         config = { \"any key\" = \"c\" }\n",
    );
    fs::write(folder.path().join("key"), "s3cret\n").unwrap();
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let [report, web] = &config.actions[..] else { panic!("{:?}", config.actions) };
    assert_eq!((&report.limits, &*report.grants), (&Limits::default(), &Grants::default()));
    let granted = Grants {
        state: true,
        tasks: vec!["resize".to_owned()],
        outbound: web.grants.outbound.clone(),
        outbound_private: true,
        outbound_token: false,
        folders: vec![FolderGrant {
            from: folder.path().join("plugins"),
            at: "/data".to_owned(),
            write: true,
        }],
        sockets: vec!["tcp://[::1]:5432".parse().unwrap()],
        args: vec!["-v".to_owned()],
        env: [("A".to_owned(), "b".to_owned())].into(),
        secrets: [("KEY".to_owned(), Secret::new("s3cret"))].into(),
        config: [("any key".to_owned(), "c".to_owned())].into(),
    };
    assert_eq!(*web.grants, granted);
    assert!(web.grants.outbound[0].names(true, "a.example", 443));
}

#[test]
fn limits_are_read() {
    let folder = folder(
        "[action.web]\nrequests = 1000\nqueue = 0\nfirst_byte = \"1s\"\n\
         request_timeout = \"2s\"\nhook_timeout = \"5s\"\nbody = \"1KiB\"\nmemory = \"1GiB\"\ncpu = 1\nlog = \"1MiB\"\n\
         [action.report]\nrestart = \"on-failure\"\nrequest_timeout = \"3s\"\n",
    );
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let [report, web] = &config.actions[..] else { panic!("{:?}", config.actions) };
    let seconds = std::time::Duration::from_secs;
    let limits = Limits {
        requests: 1000,
        queue: 0,
        first_byte: seconds(1),
        request_timeout: seconds(2),
        hook_timeout: seconds(5),
        body: 1024,
        memory: MEMORY_MAX,
        cpu: std::num::NonZeroUsize::new(1),
        log: 1 << 20,
    };
    assert_eq!((&web.limits, web.restart), (&limits, None));
    assert_eq!(report.restart, Some(RestartPolicy::OnFailure));
    // The default is longer than the whole time of a request.
    assert_eq!(report.limits.first_byte, seconds(3));
}

#[test]
fn who_is_believed_about_requests_and_whether_they_are_logged_is_read() {
    let text = "[action.web]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\naccess_log = true\n\
                [action.report]\n";
    let folder = folder(text);
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let [report, web] = &config.actions[..] else { panic!("{:?}", config.actions) };
    assert!(web.access_log && web.trusted_proxies[0].contains([10, 1, 2, 3].into()));
    assert!(!report.access_log && report.trusted_proxies.is_empty());
    let wrong =
        refusal("[action.web]\ntrusted_proxies = [\"10.0.0.0/33\"]\n", &Overrides::default());
    assert!(wrong.contains("10.0.0.0/33") && wrong.contains("0 to 32"), "{wrong}");
}

#[test]
fn a_folder_with_a_named_pipe_is_refused() {
    let folder = folder("[action.web]\nfolders = [{ from = \"plugins\", at = \"/data\" }]\n");
    let pipe = folder.path().join("plugins/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let message = load(folder.path(), &Overrides::default()).unwrap_err().to_string();
    assert!(message.contains("`pipe` in the folder `plugins` is a named pipe"), "{message}");
}

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
    let beside = |name: &str, text: &str| {
        fs::write(folder.path().join("plugins").join(name), text).unwrap();
    };
    beside("web.toml", "state = true\ntls = { cert = \"cert.pem\", key = \"/etc/key.pem\" }\n");
    beside("report.toml", "path = \"/reports/\"\n");
    beside("Cargo.toml", "[workspace]\n");
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let names: Vec<_> = config.actions.iter().map(|action| &*action.name).collect();
    assert_eq!(names, ["report", "web"], "what lies beside no component is no settings");
    let [report, web] = &config.actions[..] else { unreachable!() };
    assert!(web.grants.state && report.path.as_deref() == Some("/reports"));
    // Relative paths start from the file in which they are written.
    let tls = TlsFiles { cert: folder.path().join("plugins/cert.pem"), key: "/etc/key.pem".into() };
    assert_eq!(web.tls.as_deref(), Some(&tls));

    beside("web.toml", "stat = true\n");
    let reading = config.source.read().unwrap();
    let refused: Vec<_> = reading.refused.iter().map(ToString::to_string).collect();
    assert!(refused[0].starts_with("unknown key `stat`: did you mean `state`?"), "{refused:?}");
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
        ("requests = \n", true),
        ("listen = 3999\n", true),
        ("lisen = \"127.0.0.1:3999\"\n", true),
        ("listen = \"127.0.0.1:3998\"\nrequests = 0\n", false),
        ("requests = 0\n", false),
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
        "[action.web]\ngroup = \"side\"\nfolders = [{ from = \"nowhere\", at = \"/data\" }]\n",
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
    assert!(named("[action.web]\nplugin = \"nowhere.wasm\"\nrequests = 0\n").is_err());
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
fn the_control_api_may_listen_anywhere_where_it_is_guarded() {
    const TLS: &str = "tls = { cert = \"c.pem\", key = \"c.key\"";
    let hash = "0".repeat(64);
    let tokens = format!("[api.tokens]\nops = {{ role = \"read\", sha256 = \"{hash}\" }}\n");
    let may = |listen: &str, host: &str, rest: &str, overrides: &Overrides| {
        let folder = folder(&format!("[host]\nlisten = \"{listen}\"\n{host}\n{rest}"));
        load(folder.path(), overrides).is_ok()
    };
    let none = &Overrides::default();
    for listen in ["127.0.0.1:4000", "127.8.9.1:0", "[::1]:4000", "[::ffff:127.0.0.1]:4000"] {
        assert!(may(listen, "", "", none), "{listen}");
    }
    let insecure = &Overrides { insecure: true, ..Overrides::default() };
    let client_ca = format!("{TLS}, client_ca = \"ca.pem\" }}");
    for listen in ["0.0.0.0:4000", "[::]:4000", "10.0.0.1:4000", "[::ffff:10.0.0.1]:4000"] {
        assert!(!may(listen, "", "", none), "{listen}");
        assert!(!may(listen, &format!("{TLS} }}"), "", none), "{listen}");
        assert!(!may(listen, "", &tokens, none), "{listen}");
        assert!(may(listen, &format!("{TLS} }}"), &tokens, none), "{listen}");
        assert!(may(listen, &client_ca, "", none), "{listen}");
        assert!(may(listen, "insecure = true", "", none), "{listen}");
        assert!(may(listen, "", "", insecure), "{listen}");
    }
}

#[test]
fn secrets_of_the_control_api_are_shown_nowhere() {
    let folder = folder("[api]\npeer_token = \"file:peer\"\n");
    let token = "soloist_0123456789abcdefghijklmnopqrstuv";
    fs::write(folder.path().join("peer"), format!("{token}\n")).unwrap();
    let config = load(folder.path(), &Overrides::default()).unwrap();
    assert_eq!(config.host.api.peer_token.as_ref().unwrap().reveal(), token);
    assert!(!format!("{config:?}").contains(token));
}

/// The warnings for `text`, where `look` gives the kinds of each plugin.
fn remarks(text: &str, look: PluginCheck) -> Vec<String> {
    let folder = folder(text);
    let overrides = Overrides { plugin_check: Some(look), ..Overrides::default() };
    let config = load(folder.path(), &overrides).unwrap();
    let shown = |remark: String| remark.replace(&format!("{}/", folder.path().display()), "");
    config.warnings.into_iter().map(shown).collect()
}

/// `web` answers requests, `report` is a job, and everything else is a service.
fn by_name(action: &ActionConfig) -> Result<Kinds, PluginMismatch> {
    let kind = match &*action.name {
        "web" => Kind::Http,
        "report" => Kind::Job,
        _ => Kind::Service,
    };
    Ok([kind].into_iter().collect())
}

#[test]
fn what_does_nothing_is_told_with_its_place() {
    let told = remarks("[group.side]\npreempt = true\n[action.web]\ngroup = \"sides\"\n", by_name);
    assert_eq!(
        told,
        ["\
warning: `[group.side]` does nothing: no action is of this group
  --> soloist.toml:1:8
   |
1  | [group.side]
   |        ^^^^
help: did you mean `sides`? write `group = \"side\"` into the settings of one, or drop it
"]
    );
    // A plugin that is added later, or one whose settings are wrong, may be of this group.
    assert!(remarks("[group.main]\npreempt = true\n", by_name).is_empty());
    let tokens = remarks("[api.tokens]\n", by_name);
    assert!(tokens[0].contains("nobody is asked who they are") && tokens[0].contains(":1:6"));
    assert_eq!(tokens.len(), 1, "{tokens:?}");
}

#[test]
fn keys_that_say_nothing_of_what_an_action_is_are_told() {
    let keys = |text: &str| -> Vec<String> {
        let told = remarks(text, by_name);
        let key = |text: &String| text.split('`').nth(1).unwrap_or_default().to_owned();
        told.iter().map(key).collect()
    };
    let web = "[action.web]\n";
    assert_eq!(keys(&format!("{web}requests = 8\nwindow = \"2m\"\n")), [""; 0]);
    let idle = "restart = \"never\"\nhook_timeout = \"1s\"\ntimeout = \"1s\"\nkeep = \"1h\"\n";
    let mut told = keys(&format!("{web}{idle}"));
    told.sort();
    assert_eq!(told, ["hook_timeout", "keep", "restart", "timeout"]);
    assert_eq!(keys("[action.web]\nmax_reuse = 8\n"), ["max_reuse"]);
    assert_eq!(keys("[action.web]\ninstances = \"reuse\"\nmax_reuse = 8\n"), [""; 0]);
    let report = "[action.report]\nschedule = \"none\"\ntimeout = \"1s\"\ntls = { cert = \"c\", key = \"k\" }\n";
    assert_eq!(keys(report), ["tls"]);
}

/// Problems that need a look at plugins are reported together with all others, and so are
/// warnings.
#[test]
fn what_a_plugin_cannot_be_is_told_with_the_rest() {
    let folder = folder("[lease]\nttl = \"5\"\n[group.side]\n[action.web]\nstate = true\n");
    fs::write(folder.path().join("plugins/report.toml"), "\nschedule = \"none\"\n").unwrap();
    let look = |action: &ActionConfig| match &*action.name {
        "report" => Err(PluginMismatch { why: "it has no program".to_owned(), key: "schedule" }),
        _ => Ok(Kinds::default()),
    };
    let overrides = Overrides { plugin_check: Some(look), ..Overrides::default() };
    let told = load(folder.path(), &overrides).unwrap_err().to_string();
    for part in ["soloist.toml:2:7", "error: it has no program\n", "report.toml:2:12", "warning: "]
    {
        assert!(told.contains(part), "no {part:?} in:\n{told}");
    }
}

#[test]
fn the_examples_are_right() {
    for text in [
        include_str!("../../../examples/soloist.toml").to_owned(),
        include_str!("../../../examples/etcd.toml").to_owned(),
        // The plugins are elsewhere in a container.
        include_str!("../../../examples/compose/soloist.toml")
            .replace("\"/plugins\"", "\"plugins\""),
        manifest_settings().replace("\"/plugins\"", "\"plugins\""),
    ] {
        let folder = folder(&text);
        for plugin in ["i-am-server", "resize"] {
            fs::write(folder.path().join(format!("plugins/{plugin}.wasm")), "").unwrap();
        }
        fs::remove_file(folder.path().join("plugins/web.wasm")).unwrap();
        let config = load(folder.path(), &Overrides::default());
        assert!(config.is_ok(), "{}", config.unwrap_err());
    }
}

/// The settings within the Kubernetes manifests, without their indentation.
fn manifest_settings() -> String {
    let manifests = include_str!("../../../examples/kubernetes/soloist.yaml");
    let (_, settings) = manifests.split_once("  soloist.toml: |\n").unwrap();
    let (settings, _) = settings.split_once("---\n").unwrap();
    settings.lines().map(|line| line.trim_start().to_owned() + "\n").collect()
}
