//! The entry points of a plugin: exports that are type-checked and ready to be instantiated.

use wasmtime::{Store, component::InstancePre};
use wasmtime_wasi::{p2, p3};
use wasmtime_wasi_http::{p2::bindings as http_p2, p3::bindings as http_p3};

use super::{
    Kind, Kinds, hooks::HooksEntryPoint, kind::wasi_for, task::TaskEntryPoint,
    wasi_engine::WasiVersion,
};
use crate::capability::GuestState;

/// The entry points of a plugin, one for each of its kinds.
#[derive(Clone)]
pub struct EntryPoints {
    /// Handles requests.
    pub http: Option<HttpEntryPoint>,
    /// Runs as a program: a service or a job.
    pub service: Option<ServiceEntryPoint>,
    /// Called when the leader changes.
    pub hooks: Option<HooksEntryPoint>,
    /// Called as a task.
    pub task: Option<TaskEntryPoint>,
}

/// The export that handles requests.
#[derive(Clone)]
pub enum HttpEntryPoint {
    /// `wasi:http/incoming-handler` of 0.2: an instance handles one request at a time.
    V02(http_p2::ProxyPre<GuestState>),
    /// `wasi:http/handler` of 0.3: an instance handles several requests at once.
    V03(http_p3::ServicePre<GuestState>),
}

/// The export that runs a program: `wasi:cli/run`.
#[derive(Clone)]
pub enum ServiceEntryPoint {
    /// `wasi:cli/run` of 0.2.
    V02(p2::bindings::CommandPre<GuestState>),
    /// `wasi:cli/run` of 0.3.
    V03(p3::bindings::CommandPre<GuestState>),
}

/// An instance of a program.
pub enum ServiceInstance {
    /// A component of WASI 0.2.
    V02(p2::bindings::Command),
    /// A component of WASI 0.3.
    V03(p3::bindings::Command),
}

impl EntryPoints {
    /// The entry points of a component with these exports.
    pub(super) fn of(exports: &[String], pre: &InstancePre<GuestState>) -> wasmtime::Result<Self> {
        let http = wasi_for(Kind::Http, exports).map(|wasi| HttpEntryPoint::of(wasi, pre.clone()));
        let service =
            wasi_for(Kind::Service, exports).map(|wasi| ServiceEntryPoint::of(wasi, pre.clone()));
        let hooks = wasi_for(Kind::Hooks, exports).map(|_| HooksEntryPoint::of(pre.clone()));
        let task = wasi_for(Kind::Task, exports).map(|_| TaskEntryPoint::of(pre.clone()));
        Ok(Self {
            http: http.transpose()?,
            service: service.transpose()?,
            hooks: hooks.transpose()?,
            task: task.transpose()?,
        })
    }

    /// Drops the entry points of all other kinds.
    pub(super) fn restrict_to(&mut self, kinds: &Kinds) {
        let program = kinds.has(Kind::Service) || kinds.has(Kind::Job);
        self.http = self.http.take().filter(|_| kinds.has(Kind::Http));
        self.service = self.service.take().filter(|_| program);
        self.hooks = self.hooks.take().filter(|_| kinds.has(Kind::Hooks));
        self.task = self.task.take().filter(|_| kinds.has(Kind::Task));
    }
}

impl HttpEntryPoint {
    fn of(wasi: WasiVersion, pre: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        Ok(match wasi {
            WasiVersion::V02 => Self::V02(http_p2::ProxyPre::new(pre)?),
            WasiVersion::V03 => Self::V03(http_p3::ServicePre::new(pre)?),
        })
    }
}

impl ServiceEntryPoint {
    fn of(wasi: WasiVersion, pre: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        Ok(match wasi {
            WasiVersion::V02 => Self::V02(p2::bindings::CommandPre::new(pre)?),
            WasiVersion::V03 => Self::V03(p3::bindings::CommandPre::new(pre)?),
        })
    }

    /// The engine for its stores.
    pub fn engine(&self) -> &wasmtime::Engine {
        match self {
            Self::V02(pre) => pre.engine(),
            Self::V03(pre) => pre.engine(),
        }
    }

    /// Creates an instance in `store`.
    pub async fn instantiate(
        &self,
        store: &mut Store<GuestState>,
    ) -> wasmtime::Result<ServiceInstance> {
        Ok(match self {
            Self::V02(pre) => ServiceInstance::V02(pre.instantiate_async(store).await?),
            Self::V03(pre) => ServiceInstance::V03(pre.instantiate_async(store).await?),
        })
    }
}

impl ServiceInstance {
    /// Runs the program to its end. The inner error is the program's own.
    pub async fn run(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Result<(), ()>> {
        match self {
            Self::V02(command) => command.wasi_cli_run().call_run(store).await,
            Self::V03(command) => {
                let run = command.wasi_cli_run();
                store.run_concurrent(async |accessor| run.call_run(accessor).await).await?
            }
        }
    }
}
