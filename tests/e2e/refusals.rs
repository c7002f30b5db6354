//! Bad input: one clear error with a remedy, the right exit code, and no panic.

use std::{fs, net::TcpListener};

use crate::harness::{
    cluster::{Cluster, Kind},
    etcd::Etcd,
    exit::{CONFIG, UNAVAILABLE, USAGE},
    plugins,
    process::{run, soloist},
};

/// Runs host `a` with this addition to valid settings; it must refuse them.
async fn refused(more: &str, code: i32, words: &[&str]) {
    let cluster = Cluster::new(Kind::Sqlite).await;
    refused_by(&mut cluster.command("a", more), code, words).await;
}

async fn refused_by(command: &mut tokio::process::Command, code: i32, words: &[&str]) {
    let ended = run(command).await;
    let text = ended.output;
    assert_eq!(ended.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(text.matches("error:").count(), 1, "one error:\n{text}");
}

#[tokio::test]
async fn an_unknown_key() {
    refused("lissten = \"x\"\n", CONFIG, &["a.toml", "lissten", "listen"]).await;
}

#[tokio::test]
async fn a_table_written_twice() {
    let more = "[lease]\nttl = \"9s\"\n";
    refused(more, CONFIG, &["a.toml", "lease"]).await;
}

#[tokio::test]
async fn a_ttl_below_the_minimum_of_the_store() {
    let web = plugins().join("i-am-server.wasm");
    let cluster = Cluster::on(Some(Etcd::stopped()), web).brief();
    let file = cluster.folder.path().join("low.toml");
    fs::write(&file, cluster.configuration("").replace("ttl = \"2s\"", "ttl = \"1s\"")).unwrap();
    let mut command = crate::harness::process::soloist();
    command.arg("run").arg("--config").arg(&file);
    refused_by(&mut command, CONFIG, &["low.toml:4", "ttl", "2s"]).await;
}

#[tokio::test]
async fn an_impossible_timing() {
    let cluster = Cluster::new(Kind::Sqlite).await;
    let file = cluster.folder.path().join("odd.toml");
    let odd = cluster.configuration("").replace("[lease]", "[lease]\nstop_timeout = \"10s\"");
    fs::write(&file, odd).unwrap();
    let mut command = crate::harness::process::soloist();
    command.arg("run").arg("--config").arg(&file);
    refused_by(&mut command, CONFIG, &["odd.toml", "stop"]).await;
}

#[tokio::test]
async fn a_control_address_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let cluster = Cluster::new(Kind::Sqlite).await;
    cluster.command("a", "");
    let file = cluster.folder.path().join("a.toml");
    let mut command = crate::harness::process::soloist();
    command.arg("run").arg("--config").arg(file).args(["--listen", &at]);
    refused_by(&mut command, UNAVAILABLE, &[&at, "listen"]).await;
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let cluster = Cluster::new(Kind::Sqlite).await;
    fs::write(cluster.folder.path().join("soloist.db"), "This is no database. ".repeat(100))
        .unwrap();
    refused_by(&mut cluster.command("a", ""), UNAVAILABLE, &["soloist.db"]).await;
    let text = fs::read_to_string(cluster.folder.path().join("soloist.db")).unwrap();
    assert!(text.starts_with("This is no database."), "nothing is lost");
}

#[tokio::test]
async fn an_unknown_flag() {
    refused_by(
        crate::harness::process::soloist().args(["run", "--nmae", "a"]),
        USAGE,
        &["--nmae", "--name"],
    )
    .await;
}

#[tokio::test]
async fn nobody_to_ask_for_status() {
    refused_by(
        crate::harness::process::soloist().args(["status", "--url", "http://127.0.0.1:9"]),
        UNAVAILABLE,
        &["127.0.0.1:9"],
    )
    .await;
}

/// Runs `config check` on these settings, with a folder of plugins.
async fn checked(settings: &str, plugins_there: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    for name in plugins_there {
        let to = folder.path().join(format!("plugins/{name}.wasm"));
        fs::copy(plugins().join("i-am-server.wasm"), to).unwrap();
    }
    let file = folder.path().join("soloist.toml");
    fs::write(&file, settings).unwrap();
    let mut command = crate::harness::process::soloist();
    let ended = run(command.args(["config", "check"]).arg(&file)).await;
    (ended.status.code(), ended.output)
}

#[tokio::test]
async fn two_groups_at_one_address_are_found_by_a_check() {
    let settings = "[action.one]\ngroup = \"a\"\n[action.two]\ngroup = \"b\"\n";
    let (code, text) = checked(settings, &["one", "two"]).await;
    assert_eq!(code, Some(CONFIG), "{text}");
    assert!(text.contains("one and two cannot both listen"), "{text}");
    let settings = "[action.one]\nkinds = [\"service\"]\n";
    let (code, text) = checked(settings, &["one"]).await;
    assert_eq!(code, Some(CONFIG), "{text}");
    assert!(text.contains("to be run as service"), "{text}");
}

#[tokio::test]
async fn a_check_needs_no_secrets_and_tells_all_mistakes_at_once() {
    let good = "[action.one]\nsecrets = { A = \"env:NO_SUCH_VARIABLE\", B = \"file:no/key\" }\n";
    let (code, text) = checked(good, &["one"]).await;
    assert_eq!(code, Some(0), "{text}");
    let bad = "store = \"etcd:10.0.0.1:2379\"\n[lease]\nttl = 5\n[action.one]\nmax_concurrent_requests = 0\n";
    let (code, text) = checked(bad, &["one"]).await;
    assert_eq!(code, Some(CONFIG), "{text}");
    for part in ["soloist.toml:1:9", "write `etcd://10.0.0.1:2379`", ":3:7", ":5:27"] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert_eq!(text.matches("error:").count(), 3, "{text}");
}

/// Errors that only a look at the plugins shows are reported in the same run and form.
#[tokio::test]
async fn a_check_tells_what_plugins_cannot_be_with_the_rest_and_where() {
    let bad = "[lease]\nttl = 5\n[action.one]\nschedule = \"@daily\"\n[action.two]\n\
               kinds = [\"task\"]\n[action.three]\ngroup = \"a\"\npath = \"/x\"\n\
               [action.four]\ngroup = \"a\"\npath = \"/x\"\n";
    let (code, text) = checked(bad, &["one", "two", "three", "four"]).await;
    assert_eq!(code, Some(CONFIG), "{text}");
    for part in [
        ":2:7",
        "one has a schedule and no program",
        "soloist.toml:4:12",
        "two is to be run as task",
        "soloist.toml:6:9",
        "both answer at 127.0.0.1:3000/x",
        "soloist.toml:9:8",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert_eq!(text.matches("error:").count(), 4, "{text}");
}

/// Settings that are valid but have no effect are reported, and do not prevent the start.
#[tokio::test]
async fn a_check_warns_of_what_does_nothing() {
    let idle = "[group.side]\npreempt = true\n[action.one]\nidempotent = true\n";
    let (code, text) = checked(idle, &["one"]).await;
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "`[group.side]` does nothing",
        "soloist.toml:1:8",
        "`idempotent` does nothing: it is for task, and one is http",
        "soloist.toml:4:14",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert_eq!(text.matches("warning:").count(), 2, "{text}");
    assert!(!text.contains("error:"), "{text}");
}

#[tokio::test]
async fn settings_that_are_not_there_are_called_so() {
    let web = plugins().join("i-am-server.wasm");
    let mut command = crate::harness::process::soloist();
    command.args(["plugin", "run"]).arg(web).args(["--settings", "nope.toml"]);
    refused_by(&mut command, CONFIG, &["there is no file `nope.toml`", "leave --settings out"])
        .await;
}

#[tokio::test]
async fn the_settings_of_an_action_are_not_those_of_a_host() {
    let (code, text) = checked("schedule = \"@daily\"\nmax_attempts = 3\n", &["one"]).await;
    assert_eq!(code, Some(CONFIG), "{text}");
    assert!(text.contains("holds the settings of an action"), "{text}");
    assert_eq!(text.matches("error:").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_actions_is_no_control_api() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    cluster.join("a").await;
    cluster.web.until("a", |_| true).await;
    let url = format!("http://{}", cluster.web_at);
    let mut command = crate::harness::process::soloist();
    command.args(["status", "--url", &url]);
    refused_by(&mut command, UNAVAILABLE, &["the actions that host a runs", ":4000"]).await;
}

/// A redirection would write the secret beside the line that was meant.
#[tokio::test]
async fn a_token_that_would_end_in_a_file_unasked() {
    let ended = run(soloist().args(["token", "new", "ada", "--role", "read"])).await;
    assert_eq!(ended.status.code(), Some(USAGE), "{}", ended.output);
    assert!(ended.output.contains("add `--file FILE`"), "{}", ended.output);
    assert!(!ended.output.contains("soloist_"), "it shows a token: {}", ended.output);
}

/// A host that is given such a file says where it is wrong, and not the secret in it.
#[tokio::test]
async fn a_token_among_the_lines_for_the_settings() {
    let cluster = Cluster::new(Kind::Sqlite).await;
    let token = "soloist_e0199b2ae0199b2ae0199b2a";
    let tokens = cluster.folder.path().join("tokens.toml");
    fs::write(&tokens, format!("{token}\n")).unwrap();
    let more = format!("[api]\ntokens_file = \"{}\"\n", tokens.display());
    let ended = run(&mut cluster.command("a", &more)).await;
    assert_eq!(ended.status.code(), Some(CONFIG), "{}", ended.output);
    assert!(ended.output.contains("tokens.toml:1:"), "{}", ended.output);
    assert!(!ended.output.contains("e0199b2a"), "it shows the token: {}", ended.output);
}
