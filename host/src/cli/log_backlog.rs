//! The lines of the log that are waiting to be written.
//!
//! Invariants:
//! - Logging never blocks: a line that does not fit is dropped and counted.
//! - At most [`MOST`] bytes are waiting, however much is logged and however slowly it is read.

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

/// The greatest number of waiting bytes.
const MOST: usize = 16 << 20;
/// How long to wait at the end for the reader to take what is left.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A queue of lines. Clones share the same queue.
#[derive(Clone, Default)]
pub(super) struct LogBacklog(Arc<BacklogState>);

/// The thread that writes the lines. Dropping this waits until everything is written, or the
/// reader has stalled.
pub(super) struct LogThread(LogBacklog);

#[derive(Default)]
struct BacklogState {
    waiting: Mutex<PendingLines>,
    changed: Condvar,
}

/// The waiting lines.
#[derive(Default)]
struct PendingLines {
    text: Vec<u8>,
    /// The number of further bytes that the thread is writing now.
    in_hand: usize,
    /// The number of dropped lines that have not been reported yet.
    lost: u64,
    over: bool,
}

impl LogBacklog {
    /// Writes lines to `to` in a thread of its own.
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
            // If the reader is gone, it cannot be told so this way.
            let _ = to.write_all(&text).and_then(|()| to.flush());
            if lost > 0 {
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
            drop(waiting);
            // Counted here: the thread that writes may be blocked for as long as nobody reads.
            measure::log_lines_lost(1);
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

/// Each write is one event.
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

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use soloist_heart::clock::BootTime;

    /// A reader that accepts each write only on request, and reports what it was.
    struct Reader {
        go: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Reader {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            // Blocks until it is asked to read.
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
        // Once it reads again, there is room again.
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

    /// Lost lines are counted while the reader is still blocked, since nothing else tells of them.
    #[test]
    fn lost_lines_are_counted_before_anybody_reads() {
        let (reader, _go, _taken) = reader();
        let backlog = LogBacklog::default();
        let _thread = backlog.start_thread(reader).unwrap();
        let recorder = PrometheusBuilder::new().build_recorder();
        let counted = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            (0..20).for_each(|_| backlog.put(&[b'x'; 1 << 20]));
        });
        assert!(
            counted.render().contains("soloist_log_lines_lost_total 4"),
            "{}",
            counted.render()
        );
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
