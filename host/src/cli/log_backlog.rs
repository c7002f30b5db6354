//! The lines of the log that are written, and not taken yet.
//!
//! Invariants:
//! - Who logs never waits: what there is no room for is lost, and counted.
//! - No more than [`MOST`] bytes wait, whatever is logged and whoever does not read it.

use std::{
    io::{self, Write},
    mem,
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing_subscriber::fmt::MakeWriter;

use soloist_telemetry::measure;

/// How many bytes wait at most.
const MOST: usize = 16 << 20;
/// How long the end waits for somebody to take what is left.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where lines wait. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct LogBacklog(Arc<BacklogState>);

/// The thread that hands them on; when this is dropped it has handed on what there was, or
/// nobody takes it.
pub(super) struct LogThread(LogBacklog);

#[derive(Default)]
struct BacklogState {
    waiting: Mutex<PendingLines>,
    changed: Condvar,
}

/// What waits.
#[derive(Default)]
struct PendingLines {
    text: Vec<u8>,
    /// How many bytes the scribe holds beside that.
    in_hand: usize,
    /// Lines that there was no room for, and nobody was told of.
    lost: u64,
    over: bool,
}

impl LogBacklog {
    /// Hands lines on to `to`, by a thread of its own.
    pub(super) fn start_thread(&self, to: impl Write + Send + 'static) -> io::Result<LogThread> {
        let own = self.clone();
        thread::Builder::new().name("log".into()).spawn(move || own.hand_on(to))?;
        Ok(LogThread(self.clone()))
    }

    fn hand_on(&self, mut to: impl Write) {
        loop {
            let mut waiting = self.waiting();
            waiting.in_hand = 0;
            self.0.changed.notify_all();
            while waiting.text.is_empty() {
                if waiting.over {
                    return;
                }
                self.wait(&mut waiting);
            }
            let (text, lost) = (mem::take(&mut waiting.text), mem::take(&mut waiting.lost));
            waiting.in_hand = text.len();
            drop(waiting);
            // Who does not take it is not to be told of that by this way.
            let _ = to.write_all(&text).and_then(|()| to.flush());
            if lost > 0 {
                measure::log_lines_lost(lost);
                tracing::warn!(
                    event = "log-lost",
                    lines = lost,
                    "{lost} lines of this log were lost: nobody has read it for a while"
                );
            }
        }
    }

    fn put(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.over {
            return;
        }
        if waiting.text.len() + waiting.in_hand + line.len() > MOST {
            waiting.lost += 1;
            return;
        }
        waiting.text.extend_from_slice(line);
        self.0.changed.notify_all();
    }

    fn waiting(&self) -> MutexGuard<'_, PendingLines> {
        self.0.waiting.lock()
    }

    fn wait(&self, waiting: &mut MutexGuard<'_, PendingLines>) {
        self.0.changed.wait(waiting);
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.over = true;
        self.0.0.changed.notify_all();
        let left = |waiting: &mut PendingLines| !waiting.text.is_empty() || waiting.in_hand > 0;
        let _ = self.0.0.changed.wait_while_for(&mut waiting, left, LAST_WORDS);
    }
}

/// Takes one event, which is written at once.
impl Write for LogBacklog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogBacklog {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use soloist_heart::clock::BootTime;

    /// Takes each write when it is told to, and tells what it was.
    struct Reader {
        go: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Reader {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            // Without anybody who tells it, it takes nothing.
            self.go.recv().map_err(io::Error::other)?;
            let _ = self.taken.send(text.to_vec());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn reader() -> (Reader, Sender<()>, Receiver<Vec<u8>>) {
        let ((tell, go), (taken, takes)) = (channel(), channel());
        (Reader { go, taken }, tell, takes)
    }

    fn held(backlog: &LogBacklog) -> usize {
        let waiting = backlog.waiting();
        waiting.text.len() + waiting.in_hand
    }

    #[test]
    fn what_nobody_reads_is_bounded_and_counted() {
        let (reader, go, taken) = reader();
        let backlog = LogBacklog::default();
        let scribe = backlog.start_thread(reader).unwrap();
        let line = [b'x'; 1 << 20];
        for _ in 0..100 {
            backlog.put(&line);
        }
        assert_eq!((held(&backlog), backlog.waiting().lost), (MOST, 84));
        // As it is read again, there is room again.
        go.send(()).unwrap();
        let first = taken.recv().unwrap().len();
        go.send(()).unwrap();
        let rest = if first == MOST { 0 } else { taken.recv().unwrap().len() };
        assert_eq!(first + rest, MOST);
        while held(&backlog) > 0 {
            thread::yield_now();
        }
        for _ in 0..2 {
            go.send(()).unwrap();
        }
        backlog.put(b"again\n");
        drop(scribe);
        assert!(taken.try_iter().any(|text| text.ends_with(b"again\n")));
        assert_eq!(held(&backlog), 0);
    }

    #[test]
    fn the_end_waits_for_no_reader_for_ever() {
        let (reader, _go, _taken) = reader();
        let backlog = LogBacklog::default();
        let scribe = backlog.start_thread(reader).unwrap();
        backlog.put(b"last words\n");
        let begun = BootTime::now();
        drop(scribe);
        let took = BootTime::now().since(begun);
        assert!(took >= LAST_WORDS && took < 5 * LAST_WORDS, "{took:?}");
    }
}
