//! Tokens of people: they are made, used, and revoked.

use std::fs;

use reqwest::Client;
use tokio::time::{sleep, timeout};

use super::*;
use crate::harness::exit::{CONFIG, DENIED, MISSING, USAGE};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_role_may() {
    let mut guarded = Guarded::new(Kind::Sqlite).await;
    let (ops, eve) = (guarded.token("ops", "operate").await, guarded.token("eve", "read").await);
    guarded.start("a", &format!("[api.tokens]\n{ops}\n{eve}\n"));
    guarded.cluster.leading("a").await;
    let by_file =
        |name: &str| vec![("SOLOIST_TOKEN_FILE", guarded.file(name).display().to_string())];
    let ops = fs::read_to_string(guarded.file("ops.token")).unwrap();
    let by_variable = vec![("SOLOIST_TOKEN", ops.trim().to_owned())];
    for (shown, args, code, words) in [
        (vec![], "status", DENIED, "--token-file"),
        (by_file("eve.token"), "status", 0, "main"),
        (by_file("eve.token"), "job", 0, ""),
        (by_file("eve.token"), "pause", DENIED, "requires the role `operate`"),
        (by_file("none.token"), "status", MISSING, "none.token"),
        (vec![("SOLOIST_TOKEN", "soloist_wrong".to_owned())], "status", DENIED, "does not know"),
        (vec![("SOLOIST_TOKEN", "ü".to_owned())], "status", USAGE, "SOLOIST_TOKEN"),
        (by_variable, "pause", 0, "no leadership changes"),
        (by_file("ops.token"), "resume", 0, ""),
    ] {
        let Ended { status, output } = guarded.ask_as(&shown, "a", &[args]).await;
        assert_eq!(status.code(), Some(code), "{args}: {output}");
        assert!(output.contains(words), "{args}: {output}");
    }
    // Monitoring needs no token.
    let url = guarded.url("a").await;
    for probe in ["/livez", "/readyz"] {
        assert_eq!(told(Client::new().get(format!("{url}{probe}"))).await.0, 200);
    }
    // The log contains no token, not even a wrong one, nor a piece of one.
    for mut line in guarded.cluster.host("a").log.lines() {
        // The crate that logs begins as a token does.
        line.as_object_mut().unwrap().remove("target");
        assert!(!line.to_string().contains("soloist_"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_given_and_taken_back_while_the_host_runs() {
    let mut guarded = Guarded::new(Kind::Sqlite).await;
    let (ops, eve) = (guarded.token("ops", "operate").await, guarded.token("eve", "read").await);
    // In one step: a half-written file would lock people out.
    let (new, file) = (guarded.file("new.toml"), guarded.file("tokens.toml"));
    let put = |lines: &str| {
        fs::write(&new, lines).unwrap();
        fs::rename(&new, &file).unwrap();
    };
    put(&format!("{ops}\n"));
    guarded.start("a", "[api]\ntokens_file = \"tokens.toml\"\n");
    guarded.cluster.leading("a").await;
    let eves = [("SOLOIST_TOKEN_FILE", guarded.file("eve.token").display().to_string())];
    let comes_to = async |code: i32| {
        let asked = async {
            while guarded.ask_as(&eves, "a", &["status"]).await.status.code() != Some(code) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, asked).await.expect("the file takes effect");
    };
    comes_to(DENIED).await;
    put(&format!("{ops}\n{eve}\n"));
    comes_to(0).await;
    // An unreadable file changes nothing, and is reported.
    put("eve =\n");
    let log = &guarded.cluster.host("a").log;
    let told =
        |line: &Value| line["message"].as_str().is_some_and(|it| it.contains("cannot be used"));
    let asked = async {
        while !log.lines().iter().any(told) {
            assert!(guarded.ask_as(&eves, "a", &["status"]).await.status.success());
        }
    };
    timeout(PATIENCE, asked).await.expect("a warning");
    put(&format!("{ops}\n"));
    comes_to(DENIED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_others_reach_it_the_control_api_has_to_be_guarded() {
    let guarded = Guarded::new(Kind::Sqlite).await;
    let open = guarded.cluster.configuration("[host]\nlisten = \"0.0.0.0:0\"\n");
    let file = guarded.file("open.toml");
    fs::write(&file, &open).unwrap();
    let ended = run(soloist().arg("run").arg("--config").arg(&file)).await;
    assert_eq!(ended.status.code(), Some(CONFIG), "{}", ended.output);
    for words in ["open.toml", "0.0.0.0:0", "commands from anybody", "help: ", "insecure = true"] {
        assert!(ended.output.contains(words), "no {words:?} in {}", ended.output);
    }
    let mut command = soloist();
    command.args(["run", "--log-format", "json", "--insecure", "--config"]).arg(&file);
    let mut process =
        crate::harness::process::Process::start(command.current_dir(guarded.cluster.folder.path()));
    process.log.event(0, "leading").await;
    assert!(process.terminate().await.success());
}
