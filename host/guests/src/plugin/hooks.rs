//! The entry point `soloist:plugin/hooks`, which notifies a plugin of leader changes.
//!
//! Its functions work in components of WASI 0.2, and in those of 0.3 as long as they do not wait
//! for anything asynchronous of 0.3.

use wasmtime::{Store, component::InstancePre};

use crate::capability::{GuestState, term::term_info};
use bindings::{HooksPre, exports::soloist::plugin::hooks::Leader as LeaderRecord};

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package soloist:host; world hooks { export soloist:plugin/hooks@0.1.0; }",
        exports: { default: async },
        with: {
            "soloist:plugin/term": crate::capability::term::bindings::soloist::plugin::term,
            "wasi:clocks/monotonic-clock": wasmtime_wasi::p2::bindings::clocks::monotonic_clock,
            "wasi:io/poll": wasmtime_wasi::p2::bindings::io::poll,
        },
        require_store_data_send: true,
    });
}

/// What a hook is called for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaderChange {
    /// This host has become the leader.
    Leads,
    /// This host stands by. Holds the leader of the group, if there is one.
    StandsBy(Option<HookLeader>),
}

/// The leader, as seen by a host that stands by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookLeader {
    /// The name of the leading host.
    pub host: String,
    /// The fencing token of its term.
    pub fencing_token: i64,
}

/// The hooks of a plugin.
#[derive(Clone)]
pub struct HooksEntryPoint(HooksPre<GuestState>);

impl HooksEntryPoint {
    pub(super) fn of(pre: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        Ok(Self(HooksPre::new(pre)?))
    }

    /// The engine for its stores.
    pub fn engine(&self) -> &wasmtime::Engine {
        self.0.engine()
    }

    /// Creates an instance and calls the hook. The inner error is the one that the hook returns.
    pub async fn call(
        &self,
        store: &mut Store<GuestState>,
        change: &LeaderChange,
    ) -> wasmtime::Result<Result<(), String>> {
        let hooks = self.0.instantiate_async(&mut *store).await?;
        let hooks = hooks.soloist_plugin_hooks();
        match change {
            LeaderChange::Leads => {
                let term = term_info(store.data().gate());
                hooks.call_on_leader(store, &term).await
            }
            LeaderChange::StandsBy(leader) => {
                let group = store.data().gate().term().group.to_string();
                let leader = leader.as_ref().map(|leader| LeaderRecord {
                    host: leader.host.clone(),
                    fencing_token: leader.fencing_token.cast_unsigned(),
                });
                hooks.call_on_standby(store, &group, leader.as_ref()).await.map(Ok)
            }
        }
    }
}
