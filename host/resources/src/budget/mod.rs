//! The memory that the host holds on behalf of guests and clients. There is one budget, in which
//! each action has an account, and all clients of the control API share one.
//!
//! Whatever a guest or a client makes the host keep is charged before it is kept, and released when
//! the last of it is dropped. An action that has used up its account is refused more; the others
//! are not affected.
//!
//! | what | charged to | until |
//! |---|---|---|
//! | bodies of requests to the control API | the clients, each of which has a share ([`ClientCharge`]) | the request is answered |
//! | payloads of calls and queued calls of tasks, and their results | the calling action, or the task | they are dropped |
//! | values of state that a guest reads or writes (`capability/keyvalue`) | the action | the guest has them, or they are in the store |
//! | bodies that a guest writes (`capability/http`) | the action | they are sent |
//! | buffers of the connections of outgoing requests (`capability/http`) | the action | the response was taken |
//! | what the relay keeps of a request, so that it can send it again | the action | the request is answered |
//!
//! Everything else is bounded where it is held, by a number of places and the size of each:
//!
//! | what | places | bytes each | together |
//! |---|---|---|---|
//! | buffers of incoming connections, for reading and writing | 4,096 per listener | 2 × 64 KiB with HTTP/1, 256 KiB with HTTP/2 | 1 GiB per listener |
//! | headers and other resources of an instance (`capability/limits.rs`) | 4,096 | 64 KiB | 256 MiB per instance: no more than its own memory |
//! | unfinished lines of guests (`capability/log_stream.rs`) | 2 per instance | 8 KiB | 16 MiB |
//! | the latest lines of actions (`capability/log_buffer.rs`) | 256 actions | 256 KiB | 64 MiB |
//! | lines of the host's log that nobody has read (`cli/log_backlog.rs`) | 1 | 16 MiB | 16 MiB |
//! | tunnels of the relay (`relay/tunnel.rs`) | 512 per listener | 2 × 8 KiB | 8 MiB per listener |

mod account;
mod client_budget;

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::Mutex;

pub use account::{Account, Charge, CollectError, OverBudget};
use account::{AccountHolder, BudgetTotal};
pub use client_budget::{ClientBudget, ClientCharge};
use soloist_telemetry::measure;

/// The accounts of all actions and of the clients. Clones share them.
#[derive(Clone)]
pub struct Budget {
    accounts: Arc<Mutex<BTreeMap<Arc<str>, Account>>>,
    clients: ClientBudget,
    whole: BudgetTotal,
}

impl Default for Budget {
    fn default() -> Self {
        let whole = BudgetTotal { held: Arc::default(), gauge: measure::held_for_all() };
        let clients = Account::open(AccountHolder::Clients, measure::held_for_clients(), &whole);
        Self { accounts: Arc::default(), clients: ClientBudget::new(clients), whole }
    }
}

impl Budget {
    /// The account of `action`.
    pub fn of(&self, action: &Arc<str>) -> Account {
        let mut accounts = self.accounts.lock();
        let opened = || {
            Account::open(
                AccountHolder::Action(Arc::clone(action)),
                measure::held(action),
                &self.whole,
            )
        };
        accounts.entry(Arc::clone(action)).or_insert_with(opened).clone()
    }

    /// The bytes held for everybody together.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.whole.held.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The account that all clients of the control API share.
    pub fn clients(&self) -> &ClientBudget {
        &self.clients
    }
}

impl Account {
    /// The account of an action in a budget of its own.
    #[must_use]
    pub fn alone(action: &Arc<str>) -> Self {
        Budget::default().of(action)
    }
}

impl ClientBudget {
    /// The account of clients in a budget of its own.
    #[must_use]
    pub fn alone() -> Self {
        Budget::default().clients().clone()
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("held", &self.whole.held).finish_non_exhaustive()
    }
}
