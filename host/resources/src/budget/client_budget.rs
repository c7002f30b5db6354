//! The memory held for clients of the control API: they share one account, of which each client has
//! a share.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{
    Account, Charge,
    account::{ACCOUNT_MAX, OverBudget},
};
use crate::shares::{ClientAddress, Share, Shares};

/// The account of all clients. Clones share it.
#[derive(Clone, Debug)]
pub struct ClientBudget {
    account: Account,
    shares: Arc<Shares>,
}

/// The memory held for one request of a client. Clones share it.
#[derive(Clone, Debug)]
pub struct ClientCharge(Arc<Mutex<ClientChargeState>>);

#[derive(Debug)]
struct ClientChargeState {
    share: Share,
    charge: Charge,
}

impl ClientBudget {
    pub(super) fn new(account: Account) -> Self {
        let most = usize::try_from(ACCOUNT_MAX).unwrap_or(usize::MAX);
        Self { account, shares: Shares::new(most) }
    }

    /// An empty charge for a request of `client`.
    ///
    /// # Errors
    /// There is no room at all.
    pub fn open_charge(&self, client: ClientAddress) -> Result<ClientCharge, OverBudget> {
        let share = self.shares.take(client, 0).map_err(|_| OverBudget)?;
        Ok(ClientCharge(Arc::new(Mutex::new(ClientChargeState {
            share,
            charge: self.account.empty_charge(),
        }))))
    }
}

impl ClientCharge {
    /// Charges `bytes` more.
    pub fn grow(&self, bytes: usize) -> Result<(), OverBudget> {
        let mut open = self.lock();
        open.charge.grow(bytes as u64)?;
        open.share.grow(bytes).map_err(|_| {
            let less = open.share.amount() as u64;
            open.charge.shrink_to(less);
            OverBudget
        })
    }

    /// Releases everything: another account holds it now.
    pub fn clear(&self) {
        let mut open = self.lock();
        open.share.clear();
        open.charge.shrink_to(0);
    }

    /// The guard must not be held across an await.
    fn lock(&self) -> MutexGuard<'_, ClientChargeState> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::budget::Budget;

    const MIB: usize = 1 << 20;

    fn client(last: u8) -> ClientAddress {
        ClientAddress::at(Ipv4Addr::new(192, 0, 2, last).into())
    }

    #[test]
    fn clients_have_their_shares_and_actions_the_rest() {
        let budget = Budget::default();
        let tab = budget.clients().open_charge(client(1)).unwrap();
        tab.grow(150 * MIB).unwrap();
        assert_eq!(tab.grow(50 * MIB), Err(OverBudget), "the same client has had its share");
        assert_eq!(budget.held(), 150 << 20, "what was refused is not held");
        let other = budget.clients().open_charge(client(2)).unwrap();
        other.grow(50 * MIB).unwrap();
        assert_eq!(budget.held(), 200 << 20);
        // The memory of a call moves from one account to the other.
        let handed = budget.of(&"work".into()).charge(150 << 20).unwrap();
        tab.clear();
        assert_eq!(budget.held(), 200 << 20);
        tab.grow(150 * MIB).unwrap();
        drop((tab, other, handed));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn clients_and_actions_are_held_to_one_whole() {
        let budget = Budget::default();
        let names = ["a", "b", "c", "d"].map(Into::into);
        let all = names.map(|name| budget.of(&name).charge(250 << 20).unwrap());
        let tab = budget.clients().open_charge(client(1)).unwrap();
        assert_eq!(tab.grow(100 * MIB), Err(OverBudget), "actions hold a gigabyte");
        tab.grow(8 * MIB).unwrap();
        drop(all);
        tab.grow(100 * MIB).unwrap();
    }
}
