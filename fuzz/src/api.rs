//! Requests to the control API: a real host answers every one of them, and keeps running.
//!
//! The first byte is the route; the rest of its line is the end of the path, and the query. Then
//! come lines of headers, an empty line, and the body. The host leads, has a job, a task and state,
//! and its store is a file.

#![no_main]

mod real;

use libfuzzer_sys::fuzz_target;
use real::{Answer, HOST, ask};

/// The routes, up to where a name may follow. The relay's `/leader/` is left out: it forwards
/// requests and waits for leaders.
const ROUTES: [(&str, &str); 26] = [
    ("GET", "/"),
    ("GET", "/v1/status"),
    ("GET", "/v1/events"),
    ("GET", "/metrics"),
    ("GET", "/readyz"),
    ("GET", "/v1/logs/"),
    ("GET", "/v1/state/"),
    ("PUT", "/v1/state/"),
    ("DELETE", "/v1/state/"),
    ("GET", "/v1/jobs"),
    ("POST", "/v1/jobs/"),
    ("GET", "/v1/jobs/job/next?"),
    ("POST", "/v1/switchover"),
    ("POST", "/v1/pause"),
    ("POST", "/v1/resume"),
    ("POST", "/v1/drain"),
    ("POST", "/v1/undrain"),
    ("POST", "/v1/remove"),
    ("POST", "/v1/admit"),
    ("GET", "/v1/tasks"),
    ("POST", "/v1/tasks/"),
    ("DELETE", "/v1/tasks/"),
    ("POST", "/v1/tasks/work"),
    ("PUT", "/v1/state/work/"),
    ("POST", "/v1/jobs/job/run"),
    ("OPTIONS", "/v1/"),
];

fuzz_target!(|bytes: &[u8]| {
    let Some((route, rest)) = bytes.split_first() else { return };
    let (method, path) = ROUTES[usize::from(*route) % ROUTES.len()];
    let (head, body) = cut(rest, b"\n\n");
    let (more, headers) = cut(head, b"\n");
    let mut request =
        format!("{method} {path}{} HTTP/1.1\r\nhost: {}\r\n", target(more), HOST.address);
    headers.split(|byte| *byte == b'\n').filter_map(header).for_each(|line| request += &line);
    request += &format!("content-length: {}\r\n\r\n", body.len());
    let request = [request.as_bytes(), body].concat();
    let Answer { status, text, .. } = ask(&request);
    assert!((200..600).contains(&status), "the status {status}");
    // A task may report its own failure as 500.
    assert!(status != 500 || path.starts_with("/v1/tasks/"), "{method} {path}: {text}");
    assert!(status < 400 || !text.is_empty() || method == "OPTIONS", "{status} without a word");
});

/// Splits at the first `at`, which is dropped.
fn cut<'a>(bytes: &'a [u8], at: &[u8]) -> (&'a [u8], &'a [u8]) {
    match bytes.windows(at.len()).position(|window| window == at) {
        Some(place) => (&bytes[..place], &bytes[place + at.len()..]),
        None => (bytes, &[]),
    }
}

/// The rest of a path, as a client may write it.
fn target(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte);
    bytes
        .iter()
        .map(
            |byte| {
                if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

/// A header line, unless it is one that decides where the request ends.
fn header(line: &[u8]) -> Option<String> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let framing = ["content-length", "transfer-encoding", "connection", "expect", "host"];
    let known = framing.contains(&name.to_ascii_lowercase().as_str());
    let right = !name.is_empty() && name.bytes().all(token) && !known;
    let value = value.trim();
    (right && value.chars().all(|c| !c.is_control())).then(|| format!("{name}: {value}\r\n"))
}
