//! Asking the control API: whatever is asked, a real host answers, and goes on.
//!
//! The first byte is a route; the rest of its line is what follows in the path, and the
//! query. Lines of headers follow, then an empty line and the body. The host leads, has a
//! job, a task and state, and its store in a file.

#![no_main]

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;
use std::{env, fs, future, process, thread};

use libfuzzer_sys::fuzz_target;
use soloist::config::{Config, Overrides};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// What can be asked, up to where a name may follow. The relay's `/leader/` is left out: it
/// hands requests on, and waits for leaders.
const ROUTES: [(&str, &str); 24] = [
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
    ("POST", "/v1/resign"),
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

/// Longer than any answer may take, shorter than libFuzzer waits.
const PATIENCE: Duration = Duration::from_secs(45);

static HOST: LazyLock<SocketAddr> = LazyLock::new(host);

thread_local! {
    /// The connection, as long as the host keeps it.
    static LINE: RefCell<Option<BufReader<TcpStream>>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((route, rest)) = bytes.split_first() else { return };
    let (method, path) = ROUTES[usize::from(*route) % ROUTES.len()];
    let (head, body) = cut(rest, b"\n\n");
    let (more, headers) = cut(head, b"\n");
    let mut request = format!("{method} {path}{} HTTP/1.1\r\nhost: {}\r\n", target(more), *HOST);
    headers.split(|byte| *byte == b'\n').filter_map(header).for_each(|line| request += &line);
    request += &format!("content-length: {}\r\n\r\n", body.len());
    let request = [request.as_bytes(), body].concat();
    let (status, text) = ask(&request);
    assert!((200..600).contains(&status), "the status {status}");
    // A task may fail by its own word.
    assert!(status != 500 || path.starts_with("/v1/tasks/"), "{method} {path}: {text}");
    assert!(status < 400 || !text.is_empty() || method == "OPTIONS", "{status} without a word");
});

/// What stands before the first `at`, and what after it.
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

/// A line of the head, if it is one that does not say where the request ends.
fn header(line: &[u8]) -> Option<String> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let framing = ["content-length", "transfer-encoding", "connection", "expect", "host"];
    let known = framing.contains(&name.to_ascii_lowercase().as_str());
    let right = !name.is_empty() && name.bytes().all(token) && !known;
    let value = value.trim();
    (right && value.chars().all(|c| !c.is_control())).then(|| format!("{name}: {value}\r\n"))
}

/// Asks, on a new connection where the host has closed the one before.
fn ask(request: &[u8]) -> (u16, String) {
    LINE.with_borrow_mut(|line| {
        if let Some(mut kept) = line.take()
            && let Some((answer, keep)) = exchange(&mut kept, request)
        {
            *line = keep.then_some(kept);
            return answer;
        }
        let stream = TcpStream::connect(*HOST).expect("the host listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a setting");
        stream.set_nodelay(true).expect("a setting");
        let mut stream = BufReader::new(stream);
        let (answer, keep) = exchange(&mut stream, request).expect("the host answers");
        *line = keep.then_some(stream);
        answer
    })
}

/// The answer, and whether the connection goes on after it.
fn exchange(line: &mut BufReader<TcpStream>, request: &[u8]) -> Option<((u16, String), bool)> {
    line.get_mut().write_all(request).ok()?;
    let (mut status, mut length, mut keep) = (None, None, true);
    loop {
        let mut text = String::new();
        line.read_line(&mut text).ok().filter(|read| *read > 0)?;
        let text = text.trim_end();
        if text.is_empty() {
            break;
        }
        if status.is_none() {
            status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        }
        let lower = text.to_ascii_lowercase();
        length = length.or_else(|| lower.strip_prefix("content-length: ")?.parse().ok());
        keep &= lower != "connection: close";
    }
    let status = status?;
    // An answer that goes on has no length; its head suffices.
    let Some(length) = length.filter(|_| status != 204) else {
        return Some(((status, "…".to_owned()), status == 204 && keep));
    };
    let mut body = vec![0; length];
    line.read_exact(&mut body).ok()?;
    Some(((status, String::from_utf8_lossy(&body).into_owned()), keep))
}

/// Starts a host; returns where it answers, when it leads.
fn host() -> SocketAddr {
    let folder = TempDir::new().expect("a folder");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let address = free.expect("a free port");
    fs::create_dir(folder.path().join("plugins")).expect("a folder");
    for guest in ["work.wasm", "job.wasm"] {
        let guests = env::var_os("SOLOIST_FUZZ_GUESTS").expect("`cargo xtask fuzz` names them");
        let from = std::path::Path::new(&guests).join(guest);
        fs::copy(from, folder.path().join("plugins").join(guest)).expect("a component");
    }
    let settings = format!(
        "[host]\nlisten = \"{address}\"\n\
         [action.work]\nstate = true\nbody = \"64KiB\"\ntimeout = \"1s\"\nmax_queued = 100\n\
         [action.job]\nschedule = \"none\"\ntimeout = \"1s\"\nstate = true\n"
    );
    let file = folder.path().join("soloist.toml");
    fs::write(&file, settings).expect("a file");
    // Nobody guesses it, so nobody removes this host.
    let name = format!("h{:x}", RandomState::new().hash_one(0));
    let overrides = Overrides { config: Some(file), name: Some(name), ..Overrides::default() };
    let config = Config::load(&overrides).unwrap_or_else(|error| panic!("{error}"));
    thread::spawn(move || {
        let _folder = folder;
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let ended = runtime.block_on(async {
            // Programs of Rust ignore it; this one begins with libFuzzer's main.
            let _ignored = signal(SignalKind::pipe()).expect("a signal");
            soloist::host::run(config, Box::new(()), future::pending()).await
        });
        eprintln!("the host has ended: {ended:?}");
        process::abort();
    });
    let ready = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    loop {
        let answer = TcpStream::connect(address).ok().and_then(|stream| {
            exchange(&mut BufReader::new(stream), ready).map(|(answer, _)| answer.0)
        });
        if answer == Some(200) {
            return address;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
