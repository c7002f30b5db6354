//! Which etcd cluster is trusted.
//!
//! With each response a member says which etcd cluster it belongs to (etcd:
//! `ResponseHeader.cluster_id`). The first cluster that is trusted is the only one: responses from
//! members of any other are rejected, on whichever connection and from whichever address they come.

use std::collections::BTreeSet;

use etcd_client::Error;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::identity::StoreHistory;

/// What all connections to one store know about it.
#[derive(Default)]
pub(super) struct ClusterTrust {
    /// The id of the trusted cluster.
    pub(super) believed: OnceCell<u64>,
    /// The members of other clusters that were reported, by address and cluster id.
    pub(super) reported: Mutex<BTreeSet<(String, u64)>>,
    pub(super) history: StoreHistory,
}

impl ClusterTrust {
    /// Accepts or rejects the member at `address`, which says that it belongs to `cluster`.
    pub(super) fn check(&self, address: &str, cluster: u64) -> Result<(), Error> {
        match self.believed.get() {
            Some(believed) if *believed != cluster => {
                Err(self.report_foreign_member(address, *believed, cluster))
            }
            _ => Ok(()),
        }
    }

    /// Reports a member of another cluster, once.
    fn report_foreign_member(&self, address: &str, believed: u64, cluster: u64) -> Error {
        let text = format!(
            "{address} is a member of another etcd, {cluster:x} instead of {believed:x}: its \
             answers are ignored; add it to the other members' cluster again (`etcdctl member`), \
             or remove it from `store`; if all members belong to another etcd now, restart this \
             host"
        );
        let mut named = self.reported.lock();
        if named.insert((address.to_owned(), cluster)) {
            tracing::warn!(event = "store-other-etcd", address, "{text}");
        }
        Error::EndpointError(text)
    }
}
