//! Where a plugin is told who leads: `soloist:plugin/hooks`.
//!
//! Its functions are those of a component of WASI 0.2, and of one of 0.3 as well, as
//! long as they wait for nothing asynchronous of 0.3.

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
            "wasi:io/poll": wasmtime_wasi::p2::bindings::io::poll,
        },
        require_store_data_send: true,
    });
}

/// What a plugin is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaderChange {
    /// Its host has come to lead.
    Leads,
    /// Its host stands by, and this one leads the group, or nobody.
    StandsBy(Option<HookLeader>),
}

/// Who leads, as those who stand by see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookLeader {
    /// The host's name.
    pub host: String,
    /// The token of its term.
    pub token: i64,
}

/// Where a plugin is told.
#[derive(Clone)]
pub struct HooksEntry(HooksPre<GuestState>);

impl HooksEntry {
    pub(super) fn of(pre: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        Ok(Self(HooksPre::new(pre)?))
    }

    /// The engine that its stores are made of.
    pub fn engine(&self) -> &wasmtime::Engine {
        self.0.engine()
    }

    /// Makes an instance and tells it. The inner error is the text that it returns.
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
                    group: group.clone(),
                    host: leader.host.clone(),
                    token: leader.token.cast_unsigned(),
                });
                hooks.call_on_standby(store, &group, leader.as_ref()).await.map(Ok)
            }
        }
    }
}
