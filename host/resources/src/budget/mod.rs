//! What the host may hold in its memory for others, guests and clients: one budget for all of
//! it, in which each action has an account, and all clients of the control API share one.
//!
//! Whatever a guest or a client makes the host keep is charged before it is kept, and given
//! back when the last of it is dropped. An action that has used up its part is refused what it
//! asks for next; the others go on.
//!
//! | what | charged to | until |
//! |---|---|---|
//! | bodies of requests to the control API | the clients, each of whom has a share ([`Tab`]) | it is answered |
//! | payloads of calls and casts of tasks, and their answers | the action that calls, or the task | they are dropped |
//! | values of state that a guest reads or writes (`capability/keyvalue`) | the action | the guest has them, or they are in the store |
//! | bodies that a guest writes (`capability/http`) | the action | they are sent |
//! | what outgoing requests have under way in their connections (`capability/http`) | the action | the answer was taken |
//! | what the relay keeps of a request, so that it can be sent again (`action/inbound.rs`) | the action | it is answered |
//!
//! What is not here is bounded where it is held, by a number of places and the size of each:
//!
//! | what | places | bytes each | together |
//! |---|---|---|---|
//! | what a connection has read and nobody has taken, and what it is to write (`action/limits.rs`) | 4,096 an address | 2 × 64 KiB by HTTP/1, 256 KiB by HTTP/2 | 1 GiB an address |
//! | headers and other resources of an instance (`capability/limits.rs`) | 4,096 | 64 KiB | 256 MiB an instance: no more than its own memory |
//! | lines that guests have begun (`capability/log.rs`) | 2 an instance | 8 KiB | 16 MiB |
//! | the latest lines of actions (`capability/lines.rs`) | 256 actions | 256 KiB | 64 MiB |
//! | lines of the log that nobody has read (`cli/backlog.rs`) | 1 | 16 MiB | 16 MiB |
//! | tunnels of the relay (`relay/tunnel.rs`) | 512 an address | 2 × 8 KiB | 8 MiB an address |

mod account;
mod client_budget;

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::Mutex;

pub use account::{Account, Charge, CollectError, OverBudget};
use account::{AccountHolder, BudgetTotal};
pub use client_budget::{ClientBudget, ClientCharge};
use soloist_telemetry::measure;

/// The accounts of all actions, and the clients'. Clones are the same.
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

    /// What is held for all of them, in bytes.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.whole.held.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// What all clients of the control API share.
    pub fn clients(&self) -> &ClientBudget {
        &self.clients
    }
}

impl Account {
    /// The account of an action that shares a budget with no other.
    #[must_use]
    pub fn alone(action: &Arc<str>) -> Self {
        Budget::default().of(action)
    }
}

impl ClientBudget {
    /// The account of clients that share a budget with no action.
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
