//! Foreign rows in the store: whatever they contain, the control API answers each request, never
//! panics, and shows all of it as data.
//!
//! The input is a sequence of rows. A byte selects the kind of row; the row's names follow (a byte
//! for the length, or for one of the known names), and then its value (two bytes for the length).

#![no_main]

mod real;

use std::fs::{File, FileTimes};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use real::{Answer, HOST, ask};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// The statement for each kind of row: it takes the cluster, some names and a value.
const ROWS: [(&str, &str); 9] = [
    ("notes", "(cluster, name, value) VALUES (?1, ?2, CAST(?3 AS BLOB))"),
    ("members", "(cluster, name, lease, value) VALUES (?1, ?2, 0, CAST(?3 AS TEXT))"),
    (
        "state",
        "(cluster, action, key, value, version) VALUES (?1, 'work', ?2, CAST(?3 AS BLOB), 1)",
    ),
    (
        "state",
        "(cluster, action, key, value, version) VALUES (?1, 'job', ?2, CAST(?3 AS BLOB), -1)",
    ),
    (
        "state",
        "(cluster, action, key, value, version) VALUES (?1, 'runs/job', ?2, CAST(?3 AS BLOB), 1)",
    ),
    (
        "queued_calls",
        "(cluster, task, id, state, version, at, head, payload)
         VALUES (?1, 'work', ?2, 'queued', 1, -1, CAST(?3 AS TEXT), x'00')",
    ),
    (
        "queued_calls",
        "(cluster, task, id, state, version, at, lease, head, answer_type, answer)
         VALUES (?1, 'work', ?2, 'done', 1, 9223372036854775807, 0, '{}', CAST(?3 AS TEXT), ?3)",
    ),
    (
        "queued_calls",
        "(cluster, task, id, state, version, at, head, payload)
         VALUES (?1, 'work', ?2, 'dead', 1, 1, CAST(?3 AS TEXT), NULL)",
    ),
    ("candidates", "(cluster, grp, lease, value) VALUES (?1, ?2, 0, CAST(?3 AS TEXT))"),
];

/// Names that have a meaning somewhere.
const NAMES: [&str; 12] = [
    "x",
    "k",
    "main",
    "mark",
    "run/00000000000000000001",
    "hosts/b",
    "hosts/x",
    "holds/pause",
    "holds/pause/main",
    "holds/drain/b",
    "removed/b",
    "work",
];

/// The requests after each input; `x` and `k` are names that rows may have.
const PATHS: [&str; 18] = [
    "/",
    "/livez",
    "/readyz",
    "/metrics",
    "/v1/status",
    "/v1/events",
    "/v1/clock",
    "/v1/logs/work",
    "/v1/state/work",
    "/v1/state/work/k",
    "/v1/state/job/x",
    "/v1/jobs",
    "/v1/jobs/job",
    "/v1/tasks",
    "/v1/tasks/work/queue/x",
    "/v1/tasks/work/queue/x/result",
    "/v1/tasks/work/dead-letters",
    "/v1/tasks/work/dead-letters/x",
];

static FILE: Mutex<Option<Connection>> = Mutex::new(None);

fuzz_target!(|bytes: &[u8]| {
    let address = HOST.address;
    let mut file = FILE.lock().expect("nobody panics and goes on");
    let file = file.get_or_insert_with(open);
    let written = write(file, bytes);
    for path in PATHS {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/html\r\n\r\n");
        let answer = ask(request.as_bytes());
        is_told(path, &answer);
        is_inert(path, &answer);
    }
    for (table, row) in written {
        file.execute(&format!("DELETE FROM {table} WHERE rowid = ?1"), [row]).expect("a row");
    }
    ring(file);
});

fn open() -> Connection {
    let file = Connection::open(&HOST.store).expect("the store");
    file.busy_timeout(Duration::from_secs(30)).expect("a setting");
    // Without this, rows whose lease does not exist would be refused.
    file.pragma_update(None, "foreign_keys", false).expect("a setting");
    file
}

/// Writes the rows that `bytes` encode, in addition to the existing ones, and makes the host look.
fn write(file: &mut Connection, bytes: &[u8]) -> Vec<(&'static str, i64)> {
    let cluster: String = file
        .query_row("SELECT cluster FROM members LIMIT 1", [], |row| row.get(0))
        .expect("the host is a member");
    let tx = file.transaction().expect("a transaction");
    let (mut rest, mut written) = (bytes, Vec::new());
    while let Some((kind, more)) = rest.split_first() {
        let (table, columns) = ROWS[usize::from(*kind) % ROWS.len()];
        let (name, more) = name(more);
        let (value, more) = value(more);
        rest = more;
        let row = [Value::Text(cluster.clone()), Value::Text(name), Value::Blob(value)];
        let sql = format!("INSERT OR IGNORE INTO {table} {columns}");
        // A value need not be valid text; the table refuses it then.
        if let Ok(1) = tx.prepare_cached(&sql).and_then(|mut it| it.execute(params_from_iter(row)))
        {
            written.push((table, tx.last_insert_rowid()));
        }
        if written.len() == 64 {
            break;
        }
    }
    let news =
        "UPDATE counter SET revision = revision + 1; UPDATE versions SET version = version + 1";
    tx.execute_batch(news).expect("it counts");
    tx.commit().expect("it is written");
    ring(file);
    written
}

/// Notifies the host of the write, as soloist's own processes do (`sqlite/bell.rs`).
fn ring(file: &Connection) {
    let now = SystemTime::now();
    let log = format!("{}-wal", file.path().expect("a file"));
    let bell = File::options().append(true).open(log).expect("a log");
    bell.set_times(FileTimes::new().set_accessed(now).set_modified(now)).expect("a touch");
}

fn name(bytes: &[u8]) -> (String, &[u8]) {
    let Some((length, rest)) = bytes.split_first() else { return ("x".to_owned(), bytes) };
    if let Some(known) = NAMES.get(usize::from(*length)) {
        return ((*known).to_owned(), rest);
    }
    let (name, rest) = rest.split_at(rest.len().min(usize::from(*length) - NAMES.len()));
    (String::from_utf8_lossy(name).into_owned(), rest)
}

fn value(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return (Vec::new(), &[]) };
    let (value, rest) = rest.split_at(rest.len().min(usize::from(u16::from_be_bytes(*length))));
    (value.to_vec(), rest)
}

/// The host answers, or reports what is wrong and what to do.
fn is_told(path: &str, Answer { status, text, .. }: &Answer) {
    assert!((200..600).contains(status), "{path}: the status {status}");
    assert!(*status != 500, "{path}: {text}");
    assert!(*status < 400 || !text.is_empty(), "{path}: {status} without a word");
    if *status >= 500 && path != "/readyz" {
        assert!(text.contains("\"error\"") && text.contains("\"help\""), "{path}: {status} {text}");
    }
}

/// A browser runs nothing of the answer: it is data to it.
fn is_inert(path: &str, Answer { headers, .. }: &Answer) {
    let has = |wanted: &str| headers.iter().any(|line| line.starts_with(wanted));
    assert!(has("x-content-type-options: nosniff"), "{path}: {headers:?}");
    assert!(has("content-security-policy: default-src 'none'; "), "{path}: {headers:?}");
    let page = path == "/";
    let sandbox =
        |line: &String| line.starts_with("content-security-policy") && line.ends_with("; sandbox");
    assert!(page || headers.iter().any(sandbox), "{path}: {headers:?}");
}
