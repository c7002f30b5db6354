//! Reading settings: whatever they contain, they are accepted, or refused with a reason and a
//! remedy. A host starts with all that are accepted.
//!
//! The first byte selects the file: `soloist.toml`, or a plugin's `NAME.toml`, which is read again
//! while a host runs.

#![no_main]

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use libfuzzer_sys::fuzz_target;
use soloist_config::{ActionConfig, Config, Overrides, check_mounts};
use soloist_heart::clock::unix_ms;
use tempfile::TempDir;

/// A folder with a plugin; its settings are overwritten each time.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("plugins")).expect("a folder");
    let guests = env::var_os("SOLOIST_FUZZ_GUESTS").expect("`cargo xtask fuzz` names them");
    let hello = std::path::Path::new(&guests).join("hello.wasm");
    fs::copy(hello, folder.path().join("plugins/web.wasm")).expect("a component");
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
        store: Some(format!("sqlite:{}", FOLDER.path().join("soloist.db").display())),
        plugins: Some(FOLDER.path().join("plugins").display().to_string()),
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
            starts();
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with("error: "), "no error: {text}");
            assert!(text.contains("\nhelp: "), "no mend: {text}");
        }
    }
});

/// A schedule that is accepted can tell when it fires next, and when it last did.
fn fires(action: &ActionConfig) {
    let Some(job) = &action.job else { return };
    let now = i64::try_from(unix_ms()).ok().and_then(chrono::DateTime::from_timestamp_millis);
    let now = now.expect("a time");
    assert!(job.schedule.after(now).is_none_or(|next| next > now), "{} goes back", job.schedule);
    if let Some(next) = job.schedule.after(now) {
        assert!(job.schedule.count(now, next) <= 2, "{} fires in between", job.schedule);
        let _ = job.schedule.remark(next, job.schedule.zone());
    }
    assert!(job.schedule.before(now).is_none_or(|last| last < now), "{} runs ahead", job.schedule);
}

/// A host starts with these settings and serves, or reports why not, for example that an address is
/// in use or a certificate is missing. It never panics.
fn starts() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let address = free.expect("a free port");
    let mut host = Host::start(address);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = host.0.try_wait().expect("a child") {
            return refused(&mut host.0, status);
        }
        if is_alive(address) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("it neither serves nor says why not");
}

/// Shorter than libFuzzer's time-out.
const PATIENCE: Duration = Duration::from_secs(40);

/// A process that is killed when this is dropped.
struct Host(Child);

impl Host {
    fn start(address: SocketAddr) -> Self {
        let program: OsString =
            env::var_os("SOLOIST_FUZZ_PROGRAM").expect("`cargo xtask fuzz` names it");
        let store = format!("sqlite:{}", FOLDER.path().join("soloist.db").display());
        let child = Command::new(program)
            .current_dir(FOLDER.path())
            .args(["run", "--no-supervisor", "--insecure", "--name", "a", "--store", &store])
            .args(["--plugins", "plugins", "--config", "soloist.toml"])
            .args(["--listen", &address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("soloist starts"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn refused(host: &mut Child, status: ExitStatus) {
    let mut text = String::new();
    let stderr = host.stderr.as_mut().expect("piped");
    stderr.read_to_string(&mut text).expect("a text");
    assert!(status.code().is_some(), "it broke down: {status}\n{text}");
    assert!(text.contains("error: ") && !text.contains("panicked"), "{status}\n{text}");
}

fn is_alive(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let asked = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(PATIENCE)).is_ok()
        && stream.write_all(asked).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}
