//! `wasi:keyvalue`: what an action keeps from one leader to the next.
//!
//! An action has one bucket, its own, in the cluster's store; `open("")` and
//! `open("default")` give it. It is there where the settings say `state = true`.
//!
//! Invariants:
//! - Every call passes the gate before it goes to the store, and again before
//!   the guest learns of the answer.
//! - Every write is guarded by the leader's key. One that the store refuses for
//!   that shuts the gate and ends the term: somebody else may lead.
//!
//! Beyond what the standard asks for: reads and writes of many keys are of one
//! moment, all or nothing, and a counter is the decimal text of a `u64`.

mod fenced;
mod list_cursors;

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceTableError};

use self::list_cursors::ListCursors;
use super::{ActionAccess, GuestState, replace::replace_async};
use bindings::wasi::keyvalue::{atomics, batch, store};
use soloist_stores::StateWrite;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": super::Bucket },
        trappable_error_type: { "wasi:keyvalue/store.error" => super::Error },
    });
}

/// How many keys are listed at a time.
const PAGE: usize = 100;

/// What a guest holds of its action's bucket. There is but one, so it says nothing.
#[expect(unreachable_pub, reason = "the generated code re-exports it")]
#[derive(Debug)]
pub struct Bucket;

/// Why a call failed, as the guest is told.
#[expect(unreachable_pub, reason = "the generated code re-exports it")]
#[derive(Debug)]
pub enum Error {
    /// The action has no such bucket.
    NoSuchStore,
    /// The settings do not grant it any state.
    AccessDenied,
    /// Anything else.
    Other(String),
}

impl From<ResourceTableError> for Error {
    fn from(error: ResourceTableError) -> Self {
        Self::Other(error.to_string())
    }
}

/// What the capability keeps for an instance.
#[derive(Debug)]
pub(crate) struct KeyvalueCtx {
    access: Arc<ActionAccess>,
    cursors: ListCursors,
}

impl KeyvalueCtx {
    /// A context for an instance that may reach what `access` says.
    pub(crate) fn new(access: Arc<ActionAccess>) -> Self {
        Self { access, cursors: ListCursors::default() }
    }
}

/// A [`KeyvalueCtx`] during one call, beside the table of the instance's resources.
pub(crate) struct KeyvalueView<'a> {
    pub ctx: &'a mut KeyvalueCtx,
    pub table: &'a mut ResourceTable,
}

impl store::Host for KeyvalueView<'_> {
    async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, Error> {
        let access = &self.ctx.access;
        access.term()?;
        if !access.grants.state {
            access.warn_state_denied();
            return Err(Error::AccessDenied);
        }
        match identifier.as_str() {
            "" | "default" => Ok(self.table.push(Bucket)?),
            _ => Err(Error::NoSuchStore),
        }
    }

    fn convert_error(&mut self, error: Error) -> wasmtime::Result<store::Error> {
        Ok(match error {
            Error::NoSuchStore => store::Error::NoSuchStore,
            Error::AccessDenied => store::Error::AccessDenied,
            Error::Other(text) => store::Error::Other(text),
        })
    }
}

impl store::HostBucket for KeyvalueView<'_> {
    async fn get(&mut self, _: Resource<Bucket>, key: String) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.value(key).await?.map(Vec::from))
    }

    async fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> Result<(), Error> {
        Ok(self.ctx.access.write(vec![put_write(key, value)]).await?)
    }

    async fn delete(&mut self, _: Resource<Bucket>, key: String) -> Result<(), Error> {
        Ok(self.ctx.access.write(vec![delete(key)]).await?)
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Error> {
        let _ = bucket;
        Ok(self.value(key).await?.is_some())
    }

    async fn list_keys(
        &mut self,
        _: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<store::KeyResponse, Error> {
        let KeyvalueCtx { access, cursors } = &mut *self.ctx;
        let after = cursor.map(|cursor| cursors.key(cursor)).transpose()?;
        // One more than is told, to know whether there are more.
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
    ) -> Result<u64, Error> {
        Ok(self.ctx.access.increment(key, delta).await?)
    }
}

impl batch::Host for KeyvalueView<'_> {
    async fn get_many(
        &mut self,
        _: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Error> {
        let found = self.values(keys).await?;
        Ok(found.into_iter().map(|found| found.map(|(key, value)| (key, value.into()))).collect())
    }

    async fn set_many(
        &mut self,
        _: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Error> {
        let writes = pairs.into_iter().map(|(key, value)| put_write(key, value)).collect();
        Ok(self.ctx.access.write(writes).await?)
    }

    async fn delete_many(&mut self, _: Resource<Bucket>, keys: Vec<String>) -> Result<(), Error> {
        Ok(self.ctx.access.write(keys.into_iter().map(delete).collect()).await?)
    }
}

fn put_write(key: String, value: Vec<u8>) -> StateWrite {
    StateWrite { key, value: Some(value.into()), only_if: None }
}

fn delete(key: String) -> StateWrite {
    StateWrite { key, value: None, only_if: None }
}

impl KeyvalueView<'_> {
    async fn value(&mut self, key: String) -> Result<Option<Bytes>, Error> {
        let mut found = self.ctx.access.read(&[key]).await?;
        Ok(found.pop().flatten().map(|entry| entry.value))
    }

    async fn values(&mut self, keys: Vec<String>) -> Result<Vec<Option<(String, Bytes)>>, Error> {
        let found = self.ctx.access.read(&keys).await?;
        let pairs = keys.into_iter().zip(found);
        Ok(pairs.map(|(key, entry)| Some((key, entry?.value))).collect())
    }

    /// As a guest is told.
    fn to_guest<T>(&mut self, done: Result<T, Error>) -> wasmtime::Result<(GuestResult<T>,)> {
        Ok((match done {
            Ok(done) => Ok(done),
            Err(error) => Err(store::Host::convert_error(self, error)?),
        },))
    }
}

type GuestResult<T> = Result<T, store::Error>;

struct HasKeyvalue;

impl HasData for HasKeyvalue {
    type Data<'a> = KeyvalueView<'a>;
}

/// Offers the interfaces to the components that `linker` links. Values are handed to a guest as
/// bytes that know their account, which what is generated has no words for.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let view = GuestState::keyvalue;
    store::add_to_linker::<GuestState, HasKeyvalue>(linker, view)?;
    atomics::add_to_linker::<GuestState, HasKeyvalue>(linker, view)?;
    batch::add_to_linker::<GuestState, HasKeyvalue>(linker, view)?;
    replace_async(
        linker,
        "wasi:keyvalue/store@0.2.0-draft",
        "[method]bucket.get",
        |mut store, (_, key): (Resource<Bucket>, String)| {
            Box::new(async move {
                let mut view = store.data_mut().keyvalue();
                let found = view.value(key).await;
                view.to_guest(found)
            })
        },
    )?;
    replace_async(
        linker,
        "wasi:keyvalue/batch@0.2.0-draft",
        "get-many",
        |mut store, (_, keys): (Resource<Bucket>, Vec<String>)| {
            Box::new(async move {
                let mut view = store.data_mut().keyvalue();
                let found = view.values(keys).await;
                view.to_guest(found)
            })
        },
    )
}
