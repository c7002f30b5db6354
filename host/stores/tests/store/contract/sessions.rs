//! Sessions: leases are granted, renewed and revoked.

use soloist_heart::LeaseId;
use soloist_heart::clock::BootTime;
use soloist_stores::StoreError;

use crate::world::{World, soon};

pub(crate) async fn a_renewed_lease_lives_and_an_unrenewed_one_ends(world: &World) {
    let ttl = world.short();
    let host = world.host_with("a", ttl).await;
    soon(host.store.join(host.lease, &host.member())).await.unwrap();
    let until = BootTime::now() + ttl * 2;
    let mut renewals = tokio::time::interval(ttl / 4);
    while BootTime::now() < until {
        renewals.tick().await;
        assert_eq!(soon(host.store.renew(host.lease)).await.unwrap(), ttl);
    }
    host.roster(|roster| roster.members.len() == 1).await;
    let renewed = BootTime::now();
    world.host("b").await.roster(|roster| roster.members.is_empty()).await;
    assert!(BootTime::now().since(renewed) > ttl / 2, "the lease ended early");
    assert!(matches!(soon(host.store.renew(host.lease)).await, Err(StoreError::LeaseGone)));
}

pub(crate) async fn a_revoked_lease_is_gone(world: &World) {
    let host = world.host("a").await;
    soon(host.store.revoke(host.lease)).await.unwrap();
    soon(host.store.revoke(host.lease)).await.unwrap();
    assert!(matches!(soon(host.store.renew(host.lease)).await, Err(StoreError::LeaseGone)));
    assert!(matches!(soon(host.campaign()).await, Err(StoreError::LeaseGone)));
    let joined = soon(host.store.join(host.lease, &host.member())).await;
    assert!(matches!(joined, Err(StoreError::LeaseGone)));
    let unknown = soon(host.store.renew(LeaseId(4711))).await;
    assert!(matches!(unknown, Err(StoreError::LeaseGone)));
}
