//! The entry point `soloist:plugin/task`, which runs one call of a task.
//!
//! Its function works in components of WASI 0.2, and in those of 0.3 as long as it does not wait
//! for anything asynchronous of 0.3.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::{Store, component::InstancePre};

use crate::capability::GuestState;
use bindings::{
    Task, TaskPre,
    exports::soloist::plugin::task::{self as wit, Error as WitError},
};
use soloist_trace::TraceContext;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package soloist:host; world task { export soloist:plugin/task@0.1.0; }",
        exports: { default: async },
        require_store_data_send: true,
    });
}

/// One attempt at a call of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCall {
    /// The unique id of the call. All attempts share it.
    pub id: Arc<str>,
    /// The name that the task was called by.
    pub name: Arc<str>,
    /// The input.
    pub payload: Bytes,
    /// The media type of the payload (RFC 9110, section 8.3), if the caller named it.
    pub content_type: Option<String>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The trace context of the caller.
    pub trace: Option<TraceContext>,
}

/// What a task returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskOutput {
    /// The result.
    pub payload: Bytes,
    /// The media type of the payload.
    pub content_type: Option<String>,
}

/// Why a task did not do a call. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskFailure {
    /// The call is invalid, and would be invalid the next time.
    Refused(String),
    /// The task failed for a reason that may be gone later.
    Failed(String),
}

/// The export that handles calls.
#[derive(Clone)]
pub struct TaskEntryPoint(TaskPre<GuestState>);

/// An instance of a task.
pub struct TaskInstance(Task);

impl TaskEntryPoint {
    pub(super) fn of(pre: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        Ok(Self(TaskPre::new(pre)?))
    }

    /// The engine for its stores.
    pub fn engine(&self) -> &wasmtime::Engine {
        self.0.engine()
    }

    /// Creates an instance in `store`.
    pub async fn instantiate(
        &self,
        store: &mut Store<GuestState>,
    ) -> wasmtime::Result<TaskInstance> {
        Ok(TaskInstance(self.0.instantiate_async(store).await?))
    }
}

impl TaskInstance {
    /// Runs one call, on `host`.
    pub async fn handle(
        &self,
        store: &mut Store<GuestState>,
        call: &TaskCall,
        host: &str,
    ) -> wasmtime::Result<Result<TaskOutput, TaskFailure>> {
        let call = wit::Call {
            id: call.id.to_string(),
            name: call.name.to_string(),
            payload: call.payload.to_vec(),
            content_type: call.content_type.clone(),
            attempt: call.attempt,
            host: host.to_owned(),
        };
        let done = self.0.soloist_plugin_task().call_handle(store, &call).await?;
        Ok(match done {
            Ok(wit::Output { payload, content_type }) => {
                Ok(TaskOutput { payload: payload.into(), content_type })
            }
            Err(WitError::Invalid(text)) => Err(TaskFailure::Refused(text)),
            Err(WitError::Failed(text)) => Err(TaskFailure::Failed(text)),
        })
    }
}
