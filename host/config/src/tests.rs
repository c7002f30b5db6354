//! What people see when a setting is wrong, message by message.

mod actions;
mod control;
mod defaults;
mod examples;
mod folder;
mod review;

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
        fs::write("src/refusals.txt", &told).unwrap();
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
