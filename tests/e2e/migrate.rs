//! `soloist config migrate`, as people run it.

use std::fs;

use crate::harness::process::{run, soloist};

const OLD: &str = "\
cluster = \"prod\"

[lease]
drain = \"3s\"        # for slow clients
cool_down = \"4s\"

[action.report]
schedule = \"none\"
retries  = 3
";

const NEW: &str = "\
cluster = \"prod\"

[lease]
drain_timeout = \"3s\"        # for slow clients

[host]
cooldown = \"4s\"

[action.report]
schedule = \"none\"
max_attempts = 4
";

#[tokio::test]
async fn a_file_with_old_names_is_refused_and_then_migrated() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("soloist.toml");
    fs::write(&file, OLD).expect("a file");
    fs::create_dir(folder.path().join("plugins")).expect("a folder");
    fs::write(folder.path().join("plugins/report.wasm"), "").expect("a file");
    let config = async |arguments: &[&str]| {
        let ended = run(soloist().arg("config").args(arguments).arg(&file)).await;
        (ended.status.code(), ended.output)
    };

    let (code, text) = config(&["check"]).await;
    assert!(code != Some(0) && text.contains("soloist config migrate"), "{text}");

    let (code, text) = config(&["migrate", "--check"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(":9:1: `retries = 3` is `max_attempts = 4` now"), "{text}");
    assert!(text.contains("3 settings of "), "{text}");
    assert_eq!(fs::read_to_string(&file).expect("a file"), OLD);

    let (code, text) = config(&["migrate"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(":5:1: `cool_down` of [lease] is `cooldown` of [host] now"), "{text}");
    assert_eq!(fs::read_to_string(&file).expect("a file"), NEW);

    for arguments in [&["migrate", "--check"][..], &["migrate"]] {
        let (code, text) = config(arguments).await;
        assert!(code == Some(0) && text.contains("nothing to change"), "{text}");
    }
    assert_eq!(fs::read_to_string(&file).expect("a file"), NEW);
}

#[tokio::test]
async fn a_file_that_is_no_toml_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("web.toml");
    fs::write(&file, "hold = 10s\n").expect("a file");
    let ended = run(soloist().args(["config", "migrate"]).arg(&file)).await;
    assert!(!matches!(ended.status.code(), Some(0 | 1)), "{}", ended.output);
    assert!(ended.output.contains("web.toml:1:8"), "{}", ended.output);
    assert_eq!(fs::read_to_string(&file).expect("a file"), "hold = 10s\n");
}
