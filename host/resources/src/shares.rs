//! Fair shares: how much each client may take of a common resource.
//!
//! A client may hold `GENEROSITY` times as much as is free at that moment. A single client gets at
//! most three quarters of the total, several greedy clients get less each, and there is always
//! something left for a client that holds nothing yet (A. K. Choudhury, E. L. Hahne: "Dynamic Queue
//! Length Thresholds for Shared-Memory Packet Switches", IEEE/ACM Transactions on Networking 6,
//! 1998).

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};

/// A client may hold this many times the free amount.
const GENEROSITY: usize = 3;

/// A client, as far as its address tells. With IPv6, a whole /64 network counts as one client,
/// since everybody has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The client with address `ip`.
    pub fn at(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(ip.into()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

/// Why a client gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareError {
    /// The client has its share.
    ClientShare,
    /// Everything is taken.
    Exhausted,
}

/// How much is taken, and by whom.
#[derive(Debug)]
pub struct ShareTable {
    most: usize,
    all: usize,
    by: HashMap<ClientAddress, usize>,
}

impl ShareTable {
    /// Nothing is taken yet of `most`.
    pub fn new(most: usize) -> Self {
        Self { most, all: 0, by: HashMap::new() }
    }

    /// Gives `amount` to `client`, or says why not.
    pub fn take(&mut self, client: ClientAddress, amount: usize) -> Result<(), ShareError> {
        let free =
            self.most.saturating_sub(self.all).checked_sub(amount).ok_or(ShareError::Exhausted)?;
        let own = self.by.get(&client).copied().unwrap_or_default();
        if own > 0 && own + amount > free.saturating_mul(GENEROSITY) {
            return Err(ShareError::ClientShare);
        }
        self.all += amount;
        *self.by.entry(client).or_default() += amount;
        Ok(())
    }

    /// Takes `amount` back.
    pub fn give_back(&mut self, client: ClientAddress, amount: usize) {
        self.all = self.all.saturating_sub(amount);
        if let Some(own) = self.by.get_mut(&client) {
            *own = own.saturating_sub(amount);
            if *own == 0 {
                self.by.remove(&client);
            }
        }
    }
}

/// A resource that is shared between clients, in any unit.
#[derive(Debug)]
pub struct Shares(Mutex<ShareTable>);

/// A client's share; returned when it is dropped.
#[derive(Debug)]
pub struct Share {
    of: Arc<Shares>,
    client: ClientAddress,
    amount: usize,
}

impl Shares {
    /// A resource of which there is `most`.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(ShareTable::new(most))))
    }

    /// A share of `amount` for `client`. It can grow later.
    pub fn take(
        self: &Arc<Self>,
        client: ClientAddress,
        amount: usize,
    ) -> Result<Share, ShareError> {
        let mut share = Share { of: Arc::clone(self), client, amount: 0 };
        share.grow(amount).map(|()| share)
    }

    /// The guard must not be held across an await.
    fn lock(&self) -> MutexGuard<'_, ShareTable> {
        self.0.lock()
    }
}

impl Share {
    /// Takes `amount` more.
    pub fn grow(&mut self, amount: usize) -> Result<(), ShareError> {
        self.of.lock().take(self.client, amount)?;
        self.amount += amount;
        Ok(())
    }

    /// The size of the share.
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Returns all of it.
    pub fn clear(&mut self) {
        let amount = std::mem::take(&mut self.amount);
        self.of.lock().give_back(self.client, amount);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(ip: &str) -> ClientAddress {
        ClientAddress::at(ip.parse().unwrap())
    }

    /// As many units as `who` gets.
    fn all_of(shares: &Arc<Shares>, who: ClientAddress) -> Vec<Share> {
        std::iter::from_fn(|| shares.take(who, 1).ok()).collect()
    }

    #[test]
    fn there_is_something_for_who_comes_late() {
        let shares = Shares::new(512);
        let greedy = all_of(&shares, client("192.0.2.1"));
        assert_eq!(greedy.len(), 384);
        assert_eq!(shares.take(client("192.0.2.1"), 1).unwrap_err(), ShareError::ClientShare);
        let second = all_of(&shares, client("192.0.2.2"));
        assert_eq!(second.len(), 96);
        let mut crowd = Vec::new();
        for late in 3..7 {
            crowd.push(all_of(&shares, client(&format!("192.0.2.{late}"))));
            assert!(!crowd.last().unwrap().is_empty(), "nothing for {late}");
        }
        drop((greedy, second, crowd));
        assert_eq!(all_of(&shares, client("192.0.2.1")).len(), 384);
        assert!(shares.lock().by.is_empty(), "who holds nothing is forgotten");
    }

    #[test]
    fn there_is_never_more_than_all() {
        let shares = Shares::new(10);
        let mut first = shares.take(client("192.0.2.1"), 10).unwrap();
        assert_eq!(shares.take(client("192.0.2.2"), 1).unwrap_err(), ShareError::Exhausted);
        assert_eq!(first.grow(1).unwrap_err(), ShareError::Exhausted);
        drop(first);
        let mut first = shares.take(client("192.0.2.1"), 1).unwrap();
        assert_eq!(first.grow(7).unwrap_err(), ShareError::ClientShare);
        assert_eq!(first.grow(6), Ok(()));
        drop(first);
        assert_eq!(shares.lock().all, 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1:2:3"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }
}
