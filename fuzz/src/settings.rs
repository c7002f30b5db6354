//! Reading settings: whatever they say, they are taken or refused with a reason and a mend.
//!
//! The first byte says where the rest stands: in `soloist.toml`, or in `NAME.toml` beside a
//! plugin, which is read anew while a host runs.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use soloist::clock::unix_ms;
use soloist::config::{ActionConfig, Config, Overrides, check_mounts};
use tempfile::TempDir;

/// A folder with a plugin, whose settings are written anew each time.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("plugins")).expect("a folder");
    fs::write(folder.path().join("plugins/web.wasm"), "").expect("a file");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let Some((where_to, text)) = bytes.split_first() else { return };
    let (host, action) = if where_to % 2 == 0 { (text, &[][..]) } else { (&[][..], text) };
    fs::write(FOLDER.path().join("soloist.toml"), host).expect("a file");
    fs::write(FOLDER.path().join("plugins/web.toml"), action).expect("a file");
    let overrides = Overrides {
        config: Some(FOLDER.path().join("soloist.toml")),
        name: Some("a".to_owned()),
        ..Overrides::default()
    };
    match Config::load(&overrides) {
        Ok(config) => {
            assert!(!format!("{config:?}{}", config.store).is_empty(), "settings without a word");
            config.actions.iter().for_each(fires);
            let _ = check_mounts(&config.actions);
            for refused in config.source.read().map(|read| read.refused).unwrap_or_default() {
                assert!(!refused.to_string().is_empty(), "an action refused without a word");
            }
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with("error: "), "no error: {text}");
            assert!(text.contains("\nhelp: "), "no mend: {text}");
        }
    }
});

/// What a schedule takes, it can say of now: when it fires next, and when it did last.
fn fires(action: &ActionConfig) {
    let Some(job) = &action.job else { return };
    let now = i64::try_from(unix_ms()).ok().and_then(chrono::DateTime::from_timestamp_millis);
    let now = now.expect("a time");
    assert!(job.schedule.after(now).is_none_or(|next| next > now), "{} goes back", job.schedule);
    assert!(job.schedule.before(now).is_none_or(|last| last < now), "{} runs ahead", job.schedule);
}
