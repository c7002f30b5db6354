//! Where a plugin does the work of a task: `soloist:plugin/task`.
//!
//! Its function is one of a component of WASI 0.2, and of one of 0.3 as well, as long as
//! it waits for nothing asynchronous of 0.3.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::{Store, component::InstancePre};

use crate::capability::GuestState;
use bindings::{
    Task, TaskPre,
    exports::soloist::plugin::task::{self as wit, Failure},
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

/// One call of a task, on its way to being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCall {
    /// What tells it from every other call; all attempts at it have the same.
    pub id: Arc<str>,
    /// The name that the task is called by.
    pub name: Arc<str>,
    /// What the caller handed over.
    pub payload: Bytes,
    /// The form of the payload (RFC 9110, section 8.3), if the caller named it.
    pub content_type: Option<String>,
    /// The number of this attempt, counted from 1.
    pub attempt: u32,
    /// Where in a trace it belongs.
    pub trace: Option<TraceContext>,
}

/// What came of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskOutput {
    /// The result.
    pub payload: Bytes,
    /// The form of the payload.
    pub content_type: Option<String>,
}

/// What a plugin answers to a call that it has not done; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskFailure {
    /// The call is wrong, and would be wrong the next time.
    Refused(String),
    /// Something was in the way that may be gone later.
    Failed(String),
}

/// Where a plugin takes calls.
#[derive(Clone)]
pub struct TaskEntry(TaskPre<GuestState>);

/// A plugin that was instantiated.
pub struct TaskInstance(Task);

impl TaskEntry {
    pub(super) fn of(pre: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        Ok(Self(TaskPre::new(pre)?))
    }

    /// The engine that its stores are made of.
    pub fn engine(&self) -> &wasmtime::Engine {
        self.0.engine()
    }

    /// Makes an instance.
    pub async fn instantiate(
        &self,
        store: &mut Store<GuestState>,
    ) -> wasmtime::Result<TaskInstance> {
        Ok(TaskInstance(self.0.instantiate_async(store).await?))
    }
}

impl TaskInstance {
    /// Does one call, on `host`.
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
            Ok(wit::Answer { payload, content_type }) => {
                Ok(TaskOutput { payload: payload.into(), content_type })
            }
            Err(Failure::Refused(text)) => Err(TaskFailure::Refused(text)),
            Err(Failure::Failed(text)) => Err(TaskFailure::Failed(text)),
        })
    }
}
