//! The parts of a package besides the binary: completions, manual pages, the schema of the
//! settings; and the requests that its helper programs send to a host.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::harness::{
    cluster::{Cluster, Kind},
    etcd::Etcd,
    exit::{CONFIG, FAILED, UNAVAILABLE},
    plugins,
    process::{Ended, run, soloist},
};

/// The output of `soloist` with `args`.
async fn says(args: &[&str]) -> String {
    let Ended { status, output } = run(soloist().args(args)).await;
    assert!(status.success(), "{args:?}: {status}\n{output}");
    output
}

#[tokio::test]
async fn the_version_tells_what_plugins_can_count_on() {
    let long = says(&["--version"]).await;
    let lines: Vec<_> = long.lines().collect();
    assert_eq!(lines.len(), 3, "{long}");
    assert_eq!(says(&["-V"]).await.trim_end(), lines[0]);
    assert!(lines[1].starts_with("wasmtime 4") && lines[2].starts_with("soloist:plugin 0."));
}

#[tokio::test]
async fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = says(&["completions", shell]).await;
        for word in ["soloist", "switchover", "advertise"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    let bash = says(&["completions", "bash"]).await;
    let ask = format!(
        "{bash}\nCOMP_WORDS=(soloist res) COMP_CWORD=1; _soloist soloist res soloist\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    // It is longer than an argument may be.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("ask.sh");
    fs::write(&script, ask).unwrap();
    let done = run(tokio::process::Command::new("bash").arg("--norc").arg(script)).await;
    let completed: BTreeSet<_> = done.output.split_whitespace().collect();
    assert_eq!(completed, ["resign", "restore", "resume"].into());
}

#[tokio::test]
async fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert_eq!(says(&["man", pages.to_str().unwrap()]).await, "");
    for (page, word) in [("soloist.1", "soloist\\-run"), ("soloist-config-check.1", "FILE")] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(".TH ") && text.contains(word), "{page}:\n{text}");
    }
    assert!(says(&["man"]).await.contains(".SH COMMANDS"));
    for page in fs::read_dir(&pages).unwrap() {
        assert_well_formed(&page.unwrap().path()).await;
    }
    let taken = pages.join("soloist.1");
    let Ended { status, output } = run(soloist().arg("man").arg(taken)).await;
    assert_eq!(status.code(), Some(UNAVAILABLE), "{output}");
    assert!(output.contains("help: "), "{output}");
}

/// Formats a page as `man` does, with all warnings on; where there is no `man`, structure alone is
/// checked (`host/src/cli/manual`).
async fn assert_well_formed(page: &std::path::Path) {
    let mut man = tokio::process::Command::new("man");
    man.args(["--warnings", "--encoding=UTF-8", "--pager=cat", "--local-file"]).arg(page);
    man.stdout(std::process::Stdio::null());
    match man.output().await {
        Ok(done) => {
            let warnings = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success() && warnings.is_empty(), "{page:?}: {warnings}");
        }
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
    }
}

#[tokio::test]
async fn the_reference_is_what_the_program_says() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/cli.md");
    let page =
        fs::read_to_string(page).expect("docs/reference/cli.md: run `cargo xtask reference`");
    let now = says(&["man", "--format", "markdown"]).await;
    assert!(now == page, "docs/reference/cli.md is out of date: run `cargo xtask reference`");
}

#[tokio::test]
async fn the_schema_is_json() {
    let schema: Value = serde_json::from_str(&says(&["config", "schema"]).await).unwrap();
    assert_eq!(schema["title"], "soloist.toml");
    assert!(schema["properties"]["lease"].is_object(), "{schema:#}");
    let action = says(&["config", "schema", "--action"]).await;
    let action: Value = serde_json::from_str(&action).unwrap();
    assert!(action["properties"]["schedule"].is_object(), "{action:#}");
}

#[tokio::test]
async fn settings_are_checked_without_a_host() {
    let cluster = Cluster::new(Kind::Sqlite).await;
    let file = cluster.folder.path().join("soloist.toml");
    fs::write(&file, cluster.configuration("[host]\nname = \"a\"\n")).unwrap();
    let check = || {
        let mut command = soloist();
        command.args(["config", "check"]).current_dir(cluster.folder.path());
        command
    };
    let Ended { status, output } = run(&mut check()).await;
    assert!(status.success(), "{output}");
    assert!(output.starts_with("ok: host a of cluster test") && output.contains("web"), "{output}");
    let Ended { output, .. } = run(check().args(["--name", "other"])).await;
    assert!(output.contains("host other of cluster test"), "{output}");

    let wrong = cluster.folder.path().join("wrong.toml");
    fs::write(&wrong, "clusster = \"a\"\n").unwrap();
    // A file that is named on the command line takes precedence over the environment variable.
    let Ended { status, output } = run(check().arg(&wrong).env("SOLOIST_CONFIG", &file)).await;
    assert_eq!(status.code(), Some(CONFIG), "{output}");
    assert!(output.contains("wrong.toml:1") && output.contains("did you mean `cluster`"));
}

#[tokio::test]
async fn a_host_is_asked_whether_it_is_well() {
    let mut cluster = Cluster::on(Some(Etcd::stopped()), plugins().join("i-am-server.wasm"));
    let asks = |what: &'static str, url: String| async move {
        run(soloist().args(["status", what, "--url", &url])).await
    };
    for what in ["--live", "--ready"] {
        let Ended { status, output } = asks(what, format!("http://{}", cluster.web_at)).await;
        assert_eq!(status.code(), Some(UNAVAILABLE), "{output}");
        assert!(output.contains("no answer from") && output.contains("help: "), "{output}");
    }
    cluster.start("a");
    let url = format!("http://{}", cluster.host("a").api().await);
    let Ended { status, output } = asks("--ready", url.clone()).await;
    assert_eq!(status.code(), Some(FAILED), "{output}");
    assert!(output.contains("not ready: no session"), "{output}");
    let Ended { status, output } = asks("--live", url.clone()).await;
    assert!(status.success() && output == "ok\n", "{output}");

    cluster.etcd.as_mut().expect("etcd").start().await;
    cluster.leading("a").await;
    let Ended { status, output } = asks("--live", url.replacen("http", "https", 1)).await;
    assert_eq!(status.code(), Some(UNAVAILABLE), "{output}");
    let right = format!("write {url}");
    assert!(output.contains("speaks no TLS") && output.contains(&right), "{output}");
    let Ended { status, output } = asks("--ready", url).await;
    assert!(status.success() && output == "ok\n", "{output}");
}
