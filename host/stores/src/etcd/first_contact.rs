//! Which etcd cluster to trust on first contact.
//!
//! At first nothing is known, and the first member that answers may belong to the wrong cluster: it
//! may have lost its data and been started alone, for example, or its address may be in the wrong
//! list. A cluster is trusted at first contact if most of the listed members belong to it, or if it
//! has at least as many members as are listed and no other cluster can claim the same. If neither
//! holds and there are two clusters, nobody can tell which one is meant.

use std::collections::{BTreeMap, BTreeSet};

use etcd_client::{Client as Connection, Error, MemberListResponse};
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::timeout;

use super::{cluster_trust::ClusterTrust, etcd_member::EtcdMember};

/// What a member says about its etcd cluster.
#[derive(Clone, Copy, Debug)]
struct ClusterClaim {
    cluster: u64,
    /// The number of members; 0 if that cannot be found out.
    size: usize,
}

impl ClusterTrust {
    /// Whether to accept a member, by its first answer on a new connection, which says that it
    /// belongs to `cluster`. This may be the first contact of all. `members`: all listed members;
    /// the one that answers is at `index`.
    pub(super) async fn check_first_answer(
        &self,
        members: &[EtcdMember],
        index: usize,
        connection: &Connection,
        cluster: u64,
    ) -> Result<(), Error> {
        let believe = || first_contact(members, index, connection.clone(), cluster);
        let believed = self.believed.get_or_try_init(believe).await?;
        if *believed == cluster {
            // If it becomes a member of another cluster once more, that is reported again.
            let mut named = self.reported.lock();
            named.retain(|(address, _)| address != members[index].address());
        }
        self.check(members[index].address(), cluster)
    }
}

/// The cluster to trust, if that can be decided.
async fn first_contact(
    members: &[EtcdMember],
    index: usize,
    connection: Connection,
    cluster: u64,
) -> Result<u64, Error> {
    if members.len() == 1 {
        return Ok(cluster);
    }
    let mut claims = BTreeMap::from([(index, ClusterClaim { cluster, size: 0 })]);
    let others = (0..members.len()).filter(|other| *other != index);
    let mut asked: FuturesUnordered<_> =
        others.map(|other| ask(&members[other], None, other)).collect();
    asked.push(ask(&members[index], Some(connection), index));
    while let Some((of, answer)) = asked.next().await {
        claims.extend(answer.map(|claim| (of, claim)));
        if let Some(believed) = majority(&claims, members.len()) {
            return Ok(believed);
        }
    }
    decide(&claims, members)
}

/// What a member tells a client without login; or this host, if it does not let others ask.
async fn ask(
    member: &EtcdMember,
    connection: Option<Connection>,
    index: usize,
) -> (usize, Option<ClusterClaim>) {
    let list = async {
        match connection {
            Some(mut own) => own.member_list().await,
            None => member.connect_without_login().await?.member_list().await,
        }
    };
    let answer = timeout(member.patience(), async {
        match list.await {
            Ok(list) => Ok(read_claim(&list)),
            Err(_) => {
                member.cluster_id().await.map(|cluster| Some(ClusterClaim { cluster, size: 0 }))
            }
        }
    });
    let answer = answer.await.unwrap_or_else(|_| Err(Error::EndpointError("no answer".into())));
    let answer = answer.inspect_err(|error| {
        tracing::debug!(%error, address = member.address(), "does not report its cluster ID");
    });
    (index, answer.ok().flatten())
}

fn read_claim(list: &MemberListResponse) -> Option<ClusterClaim> {
    Some(ClusterClaim { cluster: list.header()?.cluster_id(), size: list.members().len() })
}

/// The cluster that most of the `listed` members belong to.
fn majority(claims: &BTreeMap<usize, ClusterClaim>, listed: usize) -> Option<u64> {
    let of = |cluster| claims.values().filter(|claim| claim.cluster == cluster).count();
    claims.values().map(|claim| claim.cluster).find(|cluster| of(*cluster) * 2 > listed)
}

/// The decision when every member that responds has answered.
fn decide(claims: &BTreeMap<usize, ClusterClaim>, members: &[EtcdMember]) -> Result<u64, Error> {
    let clusters: BTreeSet<_> = claims.values().map(|claim| claim.cluster).collect();
    let large = claims.values().filter(|claim| claim.size >= members.len());
    let large: BTreeSet<_> = large.map(|claim| claim.cluster).collect();
    if let [believed] = large.iter().copied().collect::<Vec<_>>()[..] {
        return Ok(believed);
    }
    let who = |(index, claim): (&usize, &ClusterClaim)| {
        format!("{} of {:x}", members[*index].address(), claim.cluster)
    };
    let who = claims.iter().map(who).collect::<Vec<_>>().join(", ");
    Err(Error::EndpointError(if clusters.len() > 1 {
        format!("its members belong to several etcds ({who})")
    } else {
        format!(
            "only some of the members in `store` answer ({who}), and that etcd has fewer members \
             than `store` names: soloist waits until most members answer, to know that it is the right one"
        )
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::etcd::{access::EtcdAccess, keys::EtcdKeys};

    /// The cluster that is trusted when the members give these answers, in order.
    fn believed(answers: &[Option<(u64, usize)>]) -> Result<u64, String> {
        let endpoints: Vec<_> = (0..answers.len()).map(|n| format!("m{n}:2379")).collect();
        let access = EtcdAccess::new(&endpoints, None, None).unwrap();
        let members =
            EtcdMember::all(&access, &EtcdKeys::new("test"), Duration::from_secs(1)).unwrap();
        let claim = |(n, answer): (usize, &Option<(u64, usize)>)| {
            answer.map(|(cluster, size)| (n, ClusterClaim { cluster, size }))
        };
        let claims = answers.iter().enumerate().filter_map(claim).collect();
        let by_most = majority(&claims, members.len()).ok_or(());
        by_most.or_else(|()| decide(&claims, &members)).map_err(|error| error.to_string())
    }

    #[test]
    fn most_are_believed_and_so_is_one_of_as_many() {
        let (one, three, foreign) = (Some((7, 1)), Some((7, 3)), Some((9, 1)));
        assert_eq!(believed(&[three, None, None]), Ok(7));
        assert_eq!(believed(&[one, one, None]), Ok(7), "one member by two names, and a dead one");
        assert_eq!(believed(&[foreign, three, three]), Ok(7));
        assert_eq!(believed(&[foreign, three, None]), Ok(7));
        // One member has become part of another cluster of three.
        assert_eq!(believed(&[Some((9, 3)), three, three]), Ok(7));
    }

    #[test]
    fn a_member_that_may_be_foreign_is_not_believed() {
        let (a, b) = (Some((7, 1)), Some((9, 1)));
        for answers in [[b, None, None], [None, b, None]] {
            assert!(believed(&answers).unwrap_err().contains("only some of the members"));
        }
        for answers in [[a, b], [b, a], [Some((7, 2)), Some((9, 2))]] {
            let told = believed(&answers).unwrap_err();
            assert!(told.contains("several etcds") && told.contains("m1:2379 of"), "{told}");
        }
        assert!(believed(&[a, None]).is_err() && believed(&[None, b]).is_err());
    }

    #[test]
    fn a_foreign_member_is_not_believed() {
        let trust = ClusterTrust::default();
        trust.check("m0:2379", 9).unwrap();
        trust.believed.set(7).unwrap();
        trust.check("m0:2379", 7).unwrap();
        let told = trust.check("m0:2379", 9).unwrap_err().to_string();
        assert!(told.contains("m0:2379 is a member of another etcd, 9 instead of 7"), "{told}");
    }
}
