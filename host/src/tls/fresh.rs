//! What is made of files, and made anew when they change.

use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, watch},
    task::spawn_blocking,
    time::Instant,
};

use crate::{config::small_file::Stamp, words::with_causes};

/// How often the files are looked at, at most: whoever asks does not pay for it each time.
const EVERY: Duration = Duration::from_secs(1);

/// What is made of some files, as they are now, or were when they were last of use.
pub(crate) struct Fresh<T> {
    source: Arc<Source<T>>,
    current: watch::Sender<Arc<T>>,
    looked: Mutex<Looked>,
}

/// Where it comes from.
struct Source<T> {
    files: Vec<PathBuf>,
    make: Box<dyn Fn() -> Result<T, String> + Send + Sync>,
}

/// What was seen of the files.
struct Looked {
    at: Instant,
    stamps: Vec<Option<Stamp>>,
}

impl<T: Send + Sync + 'static> Fresh<T> {
    /// What `make` makes of `files`.
    pub(crate) fn new<E: Error>(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // What changes in between is made once more.
        let stamps = stamps(&files);
        let current = watch::Sender::new(Arc::new(make()?));
        let make = Box::new(move || make().map_err(|error| with_causes(&error)));
        let looked = Mutex::new(Looked { at: Instant::now(), stamps });
        Ok(Self { source: Arc::new(Source { files, make }), current, looked })
    }

    /// What there is now.
    pub(crate) async fn get(&self) -> Arc<T> {
        // While one looks, the others go on with what there is.
        if !self.source.files.is_empty()
            && let Ok(mut looked) = self.looked.try_lock()
            && looked.at.elapsed() >= EVERY
        {
            self.look(&mut looked).await;
        }
        Arc::clone(&self.current.borrow())
    }

    async fn look(&self, looked: &mut Looked) {
        let (source, before) = (Arc::clone(&self.source), looked.stamps.clone());
        let seen = spawn_blocking(move || {
            let stamps = stamps(&source.files);
            let made = (stamps != before).then(|| (source.make)());
            (stamps, made)
        });
        // It only fails when the host ends.
        let Ok((stamps, made)) = seen.await else { return };
        looked.at = Instant::now();
        looked.stamps = stamps;
        let files = self.source.files.iter().map(|file| file.display().to_string());
        let files = files.collect::<Vec<_>>().join(", ");
        match made {
            None => {}
            Some(Ok(new)) => {
                tracing::info!(event = "reread", files, "read anew: {files}");
                self.current.send_replace(Arc::new(new));
            }
            Some(Err(error)) => {
                tracing::warn!(files, error, "the new files are of no use, the old ones go on");
            }
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn what_is_of_no_use_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        fs::write(&file, "1").unwrap();
        let path = file.clone();
        let read = move || fs::read_to_string(&path).unwrap().parse::<u32>();
        let fresh = Fresh::new(vec![file.clone()], read).unwrap();
        let get = async || {
            fresh.looked.lock().await.at -= EVERY;
            *fresh.get().await
        };
        assert_eq!(get().await, 1);
        fs::write(&file, "two").unwrap();
        assert_eq!(get().await, 1);
        fs::write(&file, "22").unwrap();
        assert_eq!(get().await, 22);
        // As orchestrators and certbot do it: another file takes the place.
        fs::write(folder.path().join("new"), "33").unwrap();
        fs::rename(folder.path().join("new"), &file).unwrap();
        assert_eq!(get().await, 33);
        assert_eq!(*fresh.get().await, 33);
    }
}
