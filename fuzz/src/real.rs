//! A real host, and a client for it. The host leads, has a job, a task and state, and its store is
//! a file. Used by the targets that ask the control API.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;
use std::{env, fs, future, process, thread};

use soloist_config::{Config, Overrides};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// Longer than any answer may take, shorter than libFuzzer's time-out.
const PATIENCE: Duration = Duration::from_secs(45);

/// The host of this process.
pub static HOST: LazyLock<Host> = LazyLock::new(host);

/// A running host.
pub struct Host {
    pub address: SocketAddr,
    /// The file of the host's store.
    #[allow(dead_code, reason = "not every target looks into it")]
    pub store: PathBuf,
}

/// An answer of the host.
pub struct Answer {
    pub status: u16,
    /// The lines of the head, in lower case.
    #[allow(dead_code, reason = "not every target looks at them")]
    pub headers: Vec<String>,
    pub text: String,
}

thread_local! {
    /// The open connection, as long as the host keeps it.
    static LINE: RefCell<Option<BufReader<TcpStream>>> = const { RefCell::new(None) };
}

/// Sends a request, on a new connection if the host has closed the last one.
pub fn ask(request: &[u8]) -> Answer {
    LINE.with_borrow_mut(|line| {
        if let Some(mut kept) = line.take()
            && let Some((answer, keep)) = exchange(&mut kept, request)
        {
            *line = keep.then_some(kept);
            return answer;
        }
        let stream = TcpStream::connect(HOST.address).expect("the host listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a setting");
        stream.set_nodelay(true).expect("a setting");
        let mut stream = BufReader::new(stream);
        let (answer, keep) = exchange(&mut stream, request).expect("the host answers");
        *line = keep.then_some(stream);
        answer
    })
}

/// The answer, and whether the connection stays open after it.
fn exchange(line: &mut BufReader<TcpStream>, request: &[u8]) -> Option<(Answer, bool)> {
    line.get_mut().write_all(request).ok()?;
    let (mut status, mut headers, mut length, mut keep) = (None, Vec::new(), None, true);
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
        headers.push(lower);
    }
    let status = status?;
    // A stream of events has no length; its head is enough.
    let Some(length) = length.filter(|_| status != 204) else {
        let text = "…".to_owned();
        return Some((Answer { status, headers, text }, status == 204 && keep));
    };
    let mut body = vec![0; length];
    line.read_exact(&mut body).ok()?;
    let text = String::from_utf8_lossy(&body).into_owned();
    Some((Answer { status, headers, text }, keep))
}

/// Starts a host, and returns when it leads.
fn host() -> Host {
    let folder = TempDir::new().expect("a folder");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let address = free.expect("a free port");
    fs::create_dir(folder.path().join("plugins")).expect("a folder");
    for guest in ["work.wasm", "job.wasm"] {
        let guests = env::var_os("SOLOIST_FUZZ_GUESTS").expect("`cargo xtask fuzz` names them");
        let from = std::path::Path::new(&guests).join(guest);
        fs::copy(from, folder.path().join("plugins").join(guest)).expect("a component");
    }
    let store = folder.path().join("soloist.db");
    let settings = format!(
        "store = \"sqlite:{}\"\n[host]\nlisten = \"{address}\"\n\
         [action.work]\nstate = true\nmax_body_size = \"64KiB\"\ncall_timeout = \"1s\"\nmax_queued_calls = 100\n\
         [action.job]\nschedule = \"none\"\nrun_timeout = \"1s\"\nstate = true\n",
        store.display()
    );
    let file = folder.path().join("soloist.toml");
    fs::write(&file, settings).expect("a file");
    // A random name: no request can guess it and so remove this host.
    let name = format!("h{:x}", RandomState::new().hash_one(0));
    let overrides = Overrides { config: Some(file), name: Some(name), ..Overrides::default() };
    let config = Config::load(&overrides).unwrap_or_else(|error| panic!("{error}"));
    thread::spawn(move || {
        let _folder = folder;
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let ended = runtime.block_on(async {
            // Rust's own main ignores SIGPIPE; this program has libFuzzer's main instead.
            let _ignored = signal(SignalKind::pipe()).expect("a signal");
            soloist::host::run(config, Box::new(()), future::pending()).await
        });
        eprintln!("the host has ended: {ended:?}");
        process::abort();
    });
    let ready = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    loop {
        let answer = TcpStream::connect(address).ok().and_then(|stream| {
            exchange(&mut BufReader::new(stream), ready).map(|(answer, _)| answer.status)
        });
        if answer == Some(200) {
            return Host { address, store };
        }
        thread::sleep(Duration::from_millis(20));
    }
}
