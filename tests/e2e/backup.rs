//! `soloist backup` and `soloist restore`, and what becomes of a cluster when they fail.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Client;
use rusqlite::Connection;
use rustix::process::Signal;
use tokio::{process::Command, time::sleep};

use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    disk::Disk,
    exit::{DATA, MISSING, REFUSED, UNAVAILABLE},
    process::{Ended, Process, agrees, run, run_within, soloist},
};

crate::on_all_stores!(core:
    a_backup_of_a_running_cluster_is_restored,
    a_restore_that_cannot_be_changes_nothing,
);

/// A command with the settings of the cluster.
fn command(cluster: &Cluster, args: &[&str]) -> Command {
    let settings = cluster.folder.path().join("operator.toml");
    fs::write(&settings, cluster.configuration("")).unwrap();
    let mut command = soloist();
    command.current_dir(cluster.folder.path()).args(args).arg("--config").arg(settings);
    command
}

async fn done(cluster: &Cluster, args: &[&str]) -> String {
    let Ended { status, output } = run_within(PATIENCE * 4, &mut command(cluster, args)).await;
    assert!(status.success(), "{args:?}: {output}");
    output
}

async fn refused(cluster: &Cluster, args: &[&str], code: i32, words: &[&str]) {
    let Ended { status, output } = run(&mut command(cluster, args)).await;
    assert_eq!(status.code(), Some(code), "{args:?}: {output}");
    for words in words.iter().chain(&["error: ", "help: "]) {
        assert!(output.contains(words), "no {words:?} in\n{output}");
    }
}

async fn value(cluster: &Cluster, key: &str) -> String {
    let url = format!("http://{}/v1/state/web/{key}", cluster.host("a").api().await);
    let answer = reqwest::get(url).await.unwrap();
    if answer.status().is_success() { answer.text().await.unwrap() } else { String::new() }
}

async fn set(cluster: &Cluster, key: &str, value: &'static str) {
    let url = format!("http://{}/v1/state/web/{key}", cluster.host("a").api().await);
    assert!(Client::new().put(url).body(value).send().await.unwrap().status().is_success());
}

/// A cluster whose host `a` leads, with one value.
async fn led_by_a(kind: Kind) -> Cluster {
    let mut cluster = Cluster::new(kind).await.brief();
    cluster.join_with("a", "state = true\n").await;
    cluster.leading("a").await;
    set(&cluster, "visits", "twelve").await;
    cluster
}

async fn a_backup_of_a_running_cluster_is_restored(kind: Kind) {
    let mut cluster = led_by_a(kind).await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await.fencing_token;
    let told = done(&cluster, &["backup", "x.backup"]).await;
    assert!(told.contains("1 value of state"), "{told}");
    set(&cluster, "visits", "thirteen").await;
    set(&cluster, "more", "of it").await;
    cluster.terminate("a").await;
    let told = done(&cluster, &["restore", "x.backup", "--replace"]).await;
    assert!(told.contains("fencing tokens exceed"), "{told}");
    cluster.join_with("a", "state = true\n").await;
    cluster.web.until("a higher token", |answer| answer.fencing_token > before).await;
    assert_eq!(
        (&*value(&cluster, "visits").await, &*value(&cluster, "more").await),
        ("twelve", "")
    );
    cluster.terminate("a").await;
    // Into a store that nobody has used: its own fencing tokens would be lower.
    let new = format!("sqlite:{}", cluster.folder.path().join("new.db").display());
    let high = raise_in_file(&cluster.folder.path().join("x.backup"));
    let told = done(&cluster, &["restore", "raised.backup", "--into", &new, "--json"]).await;
    assert!(told.contains(&format!("\"highest_token\": {high}")), "{told}");
    cluster.use_store(new);
    cluster.join_with("a", "state = true\n").await;
    cluster.web.until("a higher token", |answer| answer.fencing_token > high).await;
    assert_eq!(value(&cluster, "visits").await, "twelve");
}

/// Makes `raised.backup` of a backup, with a higher fencing token than any store begins with.
fn raise_in_file(backup: &Path) -> i64 {
    use sha2::{Digest, Sha256};
    let high = 1 << 51;
    let text = fs::read_to_string(backup).unwrap();
    let mut lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines[0]["highest_token"] = high.into();
    let end = lines.len() - 1;
    let body: String = lines[..end].iter().map(|line| format!("{line}\n")).collect();
    let digest = Sha256::digest(&body);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let end = format!("{{\"end\":{{\"records\":{},\"sha256\":\"{hex}\"}}}}\n", end - 1);
    fs::write(backup.with_file_name("raised.backup"), body + &end).unwrap();
    high
}

async fn a_restore_that_cannot_be_changes_nothing(kind: Kind) {
    let mut cluster = led_by_a(kind).await;
    done(&cluster, &["backup", "x.backup"]).await;
    let leads = cluster.web.until("a", |answer| answer.host == "a").await;
    refused(&cluster, &["backup", "x.backup"], REFUSED, &["exists already"]).await;
    refused(&cluster, &["backup", "none/x"], MISSING, &["make its folder"]).await;
    // Hosts run.
    let words = ["hosts run on", ": a", "stop them first"];
    refused(&cluster, &["restore", "x.backup", "--replace"], REFUSED, &words).await;
    let same = cluster.web.until("a", |answer| answer.host == "a").await;
    assert_eq!(same.fencing_token, leads.fencing_token);
    cluster.terminate("a").await;
    // Something is there.
    let words = ["keeps something already", "1 value of state", "--replace"];
    refused(&cluster, &["restore", "x.backup"], REFUSED, &words).await;
    // The file is not what was written.
    let folder = cluster.folder.path().to_owned();
    let whole = fs::read(folder.join("x.backup")).unwrap();
    fs::write(folder.join("cut"), &whole[..whole.len() - 10]).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(folder.join("flipped"), flipped).unwrap();
    let newer =
        String::from_utf8(whole).unwrap().replace("soloist_backup\":1", "soloist_backup\":9");
    fs::write(folder.join("newer"), newer).unwrap();
    for (file, words) in [
        ("cut", "is damaged"),
        ("flipped", "is damaged"),
        ("newer", "by a newer soloist (format 9"),
    ] {
        refused(&cluster, &["restore", file, "--replace"], DATA, &[words]).await;
    }
    refused(&cluster, &["restore", "nowhere"], MISSING, &["cannot read nowhere"]).await;
    cluster.join_with("a", "state = true\n").await;
    assert_eq!(value(&cluster, "visits").await, "twelve");
}

/// Fills the file of a cluster without hosts.
fn fill(cluster: &Cluster, keys: u32, bytes: u32) {
    let mut file = Connection::open(cluster.folder.path().join("soloist.db")).unwrap();
    let tx = file.transaction().unwrap();
    for key in 0..keys {
        let sql = "INSERT INTO state (cluster, action, key, value, version)
                   VALUES ('test', 'web', ?1, randomblob(?2), 1)";
        tx.execute(sql, (format!("key-{key}"), bytes)).unwrap();
    }
    tx.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_for_which_there_is_no_room_leaves_nothing_behind() {
    let mut cluster = led_by_a(Kind::Sqlite).await;
    cluster.terminate("a").await;
    fill(&cluster, 30, 100_000);
    let folder = cluster.folder.path().join("disk");
    fs::create_dir(&folder).unwrap();
    let disk = Disk::on(&folder, 1);
    let backup = command(&cluster, &["backup", "disk/x.backup"]);
    let Ended { status, output } = run(&mut disk.bring(&backup)).await;
    assert_eq!(status.code(), Some(UNAVAILABLE), "{output}");
    assert!(output.contains("is there room on that disk? Nothing was left"), "{output}");
    disk.shell("test -z \"$(ls -A \"$1\")\"", &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_interrupted_lets_nobody_lead_until_it_is_done() {
    let mut cluster = led_by_a(Kind::Sqlite).await;
    cluster.terminate("a").await;
    fill(&cluster, 9000, 2000);
    done(&cluster, &["backup", "x.backup"]).await;
    let new = cluster.folder.path().join("new.db");
    cluster.use_store(format!("sqlite:{}", new.display()));
    let mut restore = Process::start(&mut command(&cluster, &["restore", "x.backup"]));
    while written(&new) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    restore.signal(Signal::INT);
    let status = restore.ended().await;
    assert_eq!(status.code(), Some(130), "{}", restore.log);
    let some = written(&new);
    assert!((1..9001).contains(&some), "{some}");
    // A host that is started now stands by, and says why.
    cluster.start_with("a", "state = true\n");
    agrees(cluster.host("a"), |status| {
        status["groups"]["main"]["leader"].is_null() && status.to_string().contains("not complete")
    })
    .await;
    cluster.terminate("a").await;
    let words = ["keeps something already", "--replace"];
    refused(&cluster, &["restore", "x.backup"], REFUSED, &words).await;
    done(&cluster, &["restore", "x.backup", "--replace"]).await;
    assert_eq!(written(&new), 9001);
    cluster.join_with("a", "state = true\n").await;
    cluster.leading("a").await;
    assert_eq!(value(&cluster, "visits").await, "twelve");
}

/// How many values there are in a file, if there is one.
fn written(file: &PathBuf) -> u32 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(file) = Connection::open_with_flags(file, flags) else { return 0 };
    file.query_row("SELECT count(*) FROM state", [], |row| row.get(0)).unwrap_or(0)
}
