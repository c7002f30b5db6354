//! `wasi:keyvalue`: the state that an action keeps from one leader to the next.
//!
//! An action has one bucket in the cluster's store; `open("")` and `open("default")` return it. It
//! needs `state = true` in the settings.
//!
//! Invariants:
//! - Every call passes the gate before it goes to the store, and again before the guest gets the
//!   answer.
//! - Every write is guarded by the leader's key. If the store refuses a write for that, the gate is
//!   shut and the term ends: another host may lead.
//!
//! Beyond what the standard requires, reads and writes of several keys are atomic, and a counter is
//! the decimal text of a `u64`.

mod error;
mod fenced;
mod list_cursors;

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use self::{error::KeyvalueError, list_cursors::ListCursors};
use super::{ActionAccess, replace::replace_async};
use bindings::wasi::keyvalue::{atomics, batch, store};
use soloist_stores::StateWrite;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": super::Bucket },
        trappable_error_type: { "wasi:keyvalue/store.error" => super::KeyvalueError },
    });
}

/// How many keys are listed at a time.
const PAGE: usize = 100;

/// A guest's handle to the bucket of its action. There is only one bucket, so it holds nothing.
#[expect(unreachable_pub, reason = "the generated code re-exports it")]
#[derive(Debug)]
pub struct Bucket;

/// The context of the capability.
#[derive(Debug)]
pub(crate) struct KeyvalueCtx {
    access: Arc<ActionAccess>,
    cursors: ListCursors,
}

impl KeyvalueCtx {
    /// The context of an instance with this access.
    pub(crate) fn new(access: Arc<ActionAccess>) -> Self {
        Self { access, cursors: ListCursors::default() }
    }
}

/// A [`KeyvalueCtx`] during one call, with the resource table of the instance.
pub(crate) struct KeyvalueView<'a> {
    pub ctx: &'a mut KeyvalueCtx,
    pub table: &'a mut ResourceTable,
}

impl store::Host for KeyvalueView<'_> {
    async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, KeyvalueError> {
        let access = &self.ctx.access;
        access.term()?;
        if !access.grants.state {
            access.warn_state_denied();
            return Err(KeyvalueError::AccessDenied);
        }
        match identifier.as_str() {
            "" | "default" => Ok(self.table.push(Bucket)?),
            _ => Err(KeyvalueError::NoSuchStore),
        }
    }

    fn convert_error(&mut self, error: KeyvalueError) -> wasmtime::Result<store::Error> {
        Ok(error.into())
    }
}

impl From<KeyvalueError> for store::Error {
    fn from(error: KeyvalueError) -> Self {
        match error {
            KeyvalueError::NoSuchStore => Self::NoSuchStore,
            KeyvalueError::AccessDenied => Self::AccessDenied,
            KeyvalueError::Other(text) => Self::Other(text),
        }
    }
}

impl store::HostBucket for KeyvalueView<'_> {
    async fn get(
        &mut self,
        _: Resource<Bucket>,
        key: String,
    ) -> Result<Option<Vec<u8>>, KeyvalueError> {
        Ok(self.value(key).await?.map(Vec::from))
    }

    async fn set(
        &mut self,
        _: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), KeyvalueError> {
        Ok(self.ctx.access.write(vec![put_write(key, value)]).await?)
    }

    async fn delete(&mut self, _: Resource<Bucket>, key: String) -> Result<(), KeyvalueError> {
        Ok(self.ctx.access.write(vec![delete_write(key)]).await?)
    }

    async fn exists(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<bool, KeyvalueError> {
        let _ = bucket;
        Ok(self.value(key).await?.is_some())
    }

    async fn list_keys(
        &mut self,
        _: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<store::KeyResponse, KeyvalueError> {
        let KeyvalueCtx { access, cursors } = &mut *self.ctx;
        let after = cursor.map(|cursor| cursors.key(cursor)).transpose()?;
        // One more than is returned, to learn whether there are more.
        let mut keys = access.list(after, PAGE + 1).await?;
        let more = keys.len() > PAGE;
        keys.truncate(PAGE);
        let cursor = keys.last().filter(|_| more).map(|last| cursors.after(last));
        Ok(store::KeyResponse { keys, cursor })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for KeyvalueView<'_> {
    async fn increment(
        &mut self,
        _: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> Result<u64, KeyvalueError> {
        Ok(self.ctx.access.increment(key, delta).await?)
    }
}

impl batch::Host for KeyvalueView<'_> {
    async fn get_many(
        &mut self,
        _: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, KeyvalueError> {
        let found = self.values(keys).await?;
        Ok(found.into_iter().map(|found| found.map(|(key, value)| (key, value.into()))).collect())
    }

    async fn set_many(
        &mut self,
        _: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), KeyvalueError> {
        let writes = pairs.into_iter().map(|(key, value)| put_write(key, value)).collect();
        Ok(self.ctx.access.write(writes).await?)
    }

    async fn delete_many(
        &mut self,
        _: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<(), KeyvalueError> {
        Ok(self.ctx.access.write(keys.into_iter().map(delete_write).collect()).await?)
    }
}

fn put_write(key: String, value: Vec<u8>) -> StateWrite {
    StateWrite { key, value: Some(value.into()), only_if: None }
}

fn delete_write(key: String) -> StateWrite {
    StateWrite { key, value: None, only_if: None }
}

impl KeyvalueView<'_> {
    async fn value(&mut self, key: String) -> Result<Option<Bytes>, KeyvalueError> {
        let mut found = self.ctx.access.read(&[key]).await?;
        Ok(found.pop().flatten().map(|entry| entry.value))
    }

    async fn values(
        &mut self,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Bytes)>>, KeyvalueError> {
        let found = self.ctx.access.read(&keys).await?;
        let pairs = keys.into_iter().zip(found);
        Ok(pairs.map(|(key, entry)| Some((key, entry?.value))).collect())
    }
}

/// The result as the guest sees it.
fn guest_result<T>(result: Result<T, KeyvalueError>) -> (Result<T, store::Error>,) {
    (result.map_err(store::Error::from),)
}

struct HasKeyvalue;

impl HasData for HasKeyvalue {
    type Data<'a> = KeyvalueView<'a>;
}

/// Adds the interfaces to `linker`. `get` and `get-many` are replaced: the generated code returns a
/// `Vec<u8>`, but these values hold their charge until they are in the guest's memory.
pub(crate) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> KeyvalueView<'_>,
) -> wasmtime::Result<()> {
    store::add_to_linker::<T, HasKeyvalue>(linker, view)?;
    atomics::add_to_linker::<T, HasKeyvalue>(linker, view)?;
    batch::add_to_linker::<T, HasKeyvalue>(linker, view)?;
    replace_async(
        linker,
        "wasi:keyvalue/store@0.2.0-draft",
        "[method]bucket.get",
        move |mut store, (_, key): (Resource<Bucket>, String)| {
            Box::new(async move {
                let mut view = view(store.data_mut());
                Ok(guest_result(view.value(key).await))
            })
        },
    )?;
    replace_async(
        linker,
        "wasi:keyvalue/batch@0.2.0-draft",
        "get-many",
        move |mut store, (_, keys): (Resource<Bucket>, Vec<String>)| {
            Box::new(async move {
                let mut view = view(store.data_mut());
                Ok(guest_result(view.values(keys).await))
            })
        },
    )
}
