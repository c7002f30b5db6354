//! The first compilation of a plugin, in a process of its own.
//!
//! Nothing limits what a compiler takes: a file of a few hundred KiB can be crafted to cost minutes
//! and gigabytes, or to crash it. So a file that was never compiled on this machine is compiled by
//! another process within limits, and the result is put into the cache. The host itself compiles
//! only what is known to come to an end.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Seek, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, nice, set_parent_process_death_signal, setrlimit,
};

use tempfile::TempDir;
use tracing::{info, warn};

use super::{
    PluginError,
    cache_record::{CacheRecord, CacheState},
    recognise::refuse_without_kind,
};
use soloist_telemetry::log_throttle::LogThrottle;

/// The processor time for a tiny file, and the additional time per MiB, in seconds: at least ten
/// times what the output of compilers takes (CPython, 18 MiB: 10 s).
const SECONDS: u64 = 10;
const SECONDS_PER_MIB: u64 = 5;
/// The memory for a tiny file, and the additional memory per MiB, in bytes.
const MEMORY: u64 = 1 << 30;
const MEMORY_PER_MIB: u64 = 64 << 20;
/// The scheduling priority of the process (nice(2)), so that it does not delay lease renewals.
const NICE: i32 = 10;

/// What a file is compiled as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileTarget {
    /// A plugin with an action; the result is kept in the cache.
    Action,
    /// A strategy, by the engine for strategies, which has no cache.
    Strategy,
}

/// The resource limits of one compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Processor time, in seconds.
    pub seconds: u64,
    /// Writable memory, in bytes.
    pub memory: u64,
}

impl CompileLimits {
    fn of(size: usize) -> Self {
        let mib = size as u64 >> 20;
        Self { seconds: SECONDS + SECONDS_PER_MIB * mib, memory: MEMORY + MEMORY_PER_MIB * mib }
    }

    /// Limits this process. Memory that it holds already is not counted.
    pub(super) fn apply(self) -> io::Result<()> {
        // At the soft limit the process gets SIGXCPU; at the hard one it is killed.
        limit(Resource::Cpu, self.seconds, self.seconds + 1)?;
        let memory = data_held()? + self.memory;
        limit(Resource::Data, memory, memory)?;
        limit(Resource::Core, 0, 0)?;
        nice(NICE)?;
        Ok(())
    }
}

fn limit(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) })?;
    Ok(())
}

/// The memory of this process that counts towards the data limit, in bytes (proc(5): `VmData`).
fn data_held() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other("there is no VmData in proc"))
}

/// Makes the kernel kill this process when process `parent` ends.
pub fn die_with_parent(parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have ended before the call.
    if getppid() != Pid::from_raw(parent) {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the host has ended"));
    }
    Ok(())
}

/// Compiles files with `soloist plugin compile` before this process does.
#[derive(Debug)]
pub(crate) struct Vetting {
    program: PathBuf,
    /// The file in which that process keeps functions.
    functions: Option<PathBuf>,
    /// The files that are being compiled. While a file is slowly copied, each piece that arrives
    /// makes it a new file; these log throttles keep that from flooding the log.
    announced: Mutex<BTreeMap<PathBuf, LogThrottle>>,
}

impl Vetting {
    /// Compiles with `program`, which must be soloist.
    pub(crate) fn new(program: PathBuf, functions: Option<PathBuf>) -> Self {
        Self { program, functions, announced: Mutex::default() }
    }

    /// Returns when compiling `bytes`, the content of `file`, is known to end and the cache entry
    /// is intact. What is not a plugin is refused without compiling.
    pub(super) fn check(
        &self,
        record: Option<CacheRecord>,
        target: CompileTarget,
        file: &Path,
        bytes: &[u8],
    ) -> Result<(), PluginError> {
        if record.as_ref().is_some_and(|record| is_recorded(record, target, file)) {
            return Ok(());
        }
        if target == CompileTarget::Action {
            refuse_without_kind(file, bytes)?;
        }
        self.log_compiling(file, bytes.len());
        let limits = CompileLimits::of(bytes.len());
        let failed = |source| PluginError::CompileProcess { file: file.to_owned(), source };
        let work_folder =
            record.as_ref().map(CacheRecord::work_folder).transpose().map_err(failed)?;
        let compile = || self.compile(work_folder.as_ref(), target, bytes, limits);
        let compiled = announce_while(file, compile);
        let (status, words) = compiled.map_err(failed)?;
        if status.success() {
            if let Some((record, work_folder)) = record.zip(work_folder)
                && let Err(error) = record.store(work_folder.path())
            {
                warn!(
                    %error, file = %file.display(),
                    "what was compiled of {} cannot be kept: the next start compiles it again",
                    file.display()
                );
            }
            return Ok(());
        }
        let file = file.to_owned();
        Err(if status.signal() == Some(Signal::XCPU.as_raw()) {
            PluginError::TooCostly { file, seconds: limits.seconds }
        } else {
            PluginError::CompilerCrash { file, how: exit_reason(status, &words) }
        })
    }

    /// Logs that `file` is being compiled, unless that was logged a moment ago.
    fn log_compiling(&self, file: &Path, size: usize) {
        let mut announced = self.announced.lock();
        announced.retain(|file, _| file.exists());
        announced.entry(file.to_owned()).or_default().report(|times| {
            info!(
                event = "compiling", file = %file.display(),
                "compiling {}, which this host has not seen before{}{times}", file.display(), expectation(size)
            );
        });
    }

    /// Logs that `file` was compiled, if it was logged before that it is being compiled.
    pub(super) fn log_compiled(&self, file: &Path) {
        let announced = self.announced.lock().remove(file);
        announced.unwrap_or_default().recovered(|times| {
            info!(event = "compiled", file = %file.display(), "compiled {}{times}", file.display());
        });
    }

    /// Whether `file` was compiled before and the cache entry is intact.
    pub(super) fn is_compiled(
        record: Option<CacheRecord>,
        target: CompileTarget,
        file: &Path,
    ) -> bool {
        record.is_some_and(|record| is_recorded(&record, target, file))
    }

    /// Runs the process. Returns its exit status and its stderr.
    fn compile(
        &self,
        work_folder: Option<&TempDir>,
        target: CompileTarget,
        bytes: &[u8],
        limits: CompileLimits,
    ) -> io::Result<(ExitStatus, String)> {
        let mut input = tempfile::tempfile()?;
        input.write_all(bytes)?;
        input.rewind()?;
        let mut command = Command::new(&self.program);
        command.args(["plugin", "compile"]).env_clear();
        if let Some(work_folder) = work_folder {
            command.arg("--cache").arg(work_folder.path());
        }
        match (target, &self.functions) {
            (CompileTarget::Strategy, _) => {
                command.arg("--strategy");
            }
            (CompileTarget::Action, Some(functions)) => {
                command.arg("--functions").arg(functions);
            }
            (CompileTarget::Action, None) => {}
        }
        command
            .arg(format!("--parent={}", std::process::id()))
            .arg(format!("--seconds={}", limits.seconds))
            .arg(format!("--memory={}", limits.memory))
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let output = command.spawn()?.wait_with_output()?;
        Ok((output.status, String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

/// Whether `file` was compiled before, and its artefacts are intact.
fn is_recorded(record: &CacheRecord, target: CompileTarget, file: &Path) -> bool {
    if target == CompileTarget::Strategy {
        return record.exists();
    }
    match record.check() {
        CacheState::Sound => true,
        CacheState::Unknown => false,
        CacheState::Damaged(piece) => {
            let (piece, file) = (piece.display(), file.display());
            warn!(
                event = "cache-damaged", cache = %piece, %file,
                "the compile cache is damaged: {piece} was changed; {file} is compiled again. If \
                 this happens again, check this machine's disk and memory"
            );
            record.forget();
            false
        }
    }
}

/// How long a silence may be while a file is compiled.
const QUIET_MAX: Duration = Duration::from_secs(10);
/// From this size on, in bytes, compiling takes so long that people should know.
const LARGE: usize = 4 << 20;

/// What to expect of compiling a file of this size, if it takes long.
fn expectation(size: usize) -> String {
    if size < LARGE {
        return String::new();
    }
    format!(" ({} MB: this can take a minute or more, once on each host)", size.div_ceil(1_000_000))
}

/// Does `work`, which compiles `file`, and logs at times that it still goes on.
fn announce_while<T>(file: &Path, work: impl FnOnce() -> T) -> T {
    let (done, ended) = channel::<()>();
    thread::scope(|scope| {
        let announce = move || {
            let mut passed = Duration::ZERO;
            while ended.recv_timeout(QUIET_MAX) == Err(RecvTimeoutError::Timeout) {
                passed += QUIET_MAX;
                let seconds = passed.as_secs();
                info!(
                    event = "compiling", file = %file.display(),
                    "still compiling {}, for {seconds}s", file.display()
                );
            }
        };
        // Without a thread it is compiled all the same, in silence.
        let _ = thread::Builder::new().name("announce".to_owned()).spawn_scoped(scope, announce);
        let outcome = work();
        drop(done);
        outcome
    })
}

fn exit_reason(status: ExitStatus, words: &str) -> String {
    match words.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(last) => format!("{status}: {}", last.chars().take(200).collect::<String>()),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_file_may_take_more() {
        let [small, python] = [300 << 10, 18 << 20].map(CompileLimits::of);
        assert_eq!(small, CompileLimits { seconds: 10, memory: 1 << 30 });
        assert_eq!((python.seconds, python.memory >> 20), (100, 2176));
    }

    #[test]
    fn what_takes_long_is_said_before() {
        assert_eq!(expectation(90_000), "");
        let told = expectation(12_300_000);
        assert_eq!(told, " (13 MB: this can take a minute or more, once on each host)");
    }

    #[test]
    fn the_last_word_of_a_process_tells_how_it_ended() {
        let status = ExitStatus::from_raw(134);
        assert_eq!(
            exit_reason(status, "one\nmemory failed\n\n"),
            format!("{status}: memory failed")
        );
        assert_eq!(exit_reason(status, " \n"), status.to_string());
    }
}
