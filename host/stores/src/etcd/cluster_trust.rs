//! Which etcd is believed.
//!
//! A member says with each answer which etcd it is of (etcd: `ResponseHeader.cluster_id`).
//! The first one that is believed is the only one: what a member of another says is not
//! heard, be it on a new connection, to which address whatever.

use std::collections::BTreeSet;

use etcd_client::Error;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::identity::StoreHistory;

/// What all ways to one store know of it.
#[derive(Default)]
pub(super) struct ClusterTrust {
    /// The etcd that is believed.
    pub(super) believed: OnceCell<u64>,
    /// The strangers that were named, by where they are.
    pub(super) reported: Mutex<BTreeSet<(String, u64)>>,
    pub(super) history: StoreHistory,
}

impl ClusterTrust {
    /// Whether the member at `address`, which says that it is of `cluster`, is to be heard.
    pub(super) fn check(&self, address: &str, cluster: u64) -> Result<(), Error> {
        match self.believed.get() {
            Some(believed) if *believed != cluster => {
                Err(self.report_foreign_member(address, *believed, cluster))
            }
            _ => Ok(()),
        }
    }

    /// Tells of a stranger, once.
    fn report_foreign_member(&self, address: &str, believed: u64, cluster: u64) -> Error {
        let text = format!(
            "{address} is a member of another etcd, {cluster:x} instead of {believed:x}: nothing \
             that it says is believed; add it to the others again (`etcdctl member`), or take it \
             out of `store`; if all of them are another etcd now, restart this host"
        );
        let mut named = self.reported.lock();
        if named.insert((address.to_owned(), cluster)) {
            tracing::warn!(event = "store-stranger", address, "{text}");
        }
        Error::EndpointError(text)
    }
}
