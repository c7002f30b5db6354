//! etcd over TLS: trust and client certificates.

use std::{fs, path::Path, sync::Arc, time::Duration};

use etcd_client::{
    Certificate, Client, ConnectOptions, Identity, Permission, PermissionType, TlsOptions,
};
use soloist_config::{StoreTls, StoreUrl, TlsFiles};
use soloist_stores::{self as store, Store, StoreError};
use tempfile::TempDir;

use crate::{
    etcd_server::{EtcdServer, certificate, free_port},
    world::{REQUEST_TIMEOUT, TestHost, soon},
};

/// The certificate issued for this name, and its key.
fn own(name: &str) -> Option<Arc<TlsFiles>> {
    let cert = certificate(&format!("{name}.pem"));
    Some(TlsFiles { cert, key: certificate(&format!("{name}.key")) }.into())
}

fn tls(ca: &str, own: Option<Arc<TlsFiles>>) -> StoreTls {
    StoreTls { ca: Some(certificate(ca)), own }
}

fn open(endpoints: &[String], tls: Option<StoreTls>) -> Result<Arc<dyn Store>, StoreError> {
    let url = StoreUrl::Etcd { endpoints: endpoints.to_vec(), login: None, tls };
    store::open(&url, "test", REQUEST_TIMEOUT)
}

/// The problem and cause of a store's refusal.
async fn refusal(store: &dyn Store) -> (String, String) {
    match soon(store.check()).await {
        Err(StoreError::Refused { problem, source }) => {
            (problem, source.map(|source| source.to_string()).unwrap_or_default())
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_store_opens_by_certificates() {
    let server = EtcdServer::secure().await;
    let store = open(&[server.address()], Some(tls("authority.pem", own("person")))).unwrap();
    soon(store.check()).await.unwrap();
    let lease = soon(store.grant(Duration::from_secs(60))).await.unwrap().id;
    soon(store.renew(lease)).await.unwrap();
    let key = TestHost { store: store.clone(), lease, name: "a".into() }.win().await;
    assert!(soon(store.verify(&key)).await.unwrap());
    // State uses separate connections.
    assert_eq!(soon(store.state().unwrap().list("a", None, 1)).await.unwrap().len(), 0);
    soon(store.revoke(lease)).await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told() {
    let server = EtcdServer::secure().await;
    let person = || own("person");
    for (tls, problem, cause) in [
        (tls("authority.pem", None), "asks for a client certificate", "alert"),
        (tls("authority.pem", own("intruder")), "refuses the certificate", "alert"),
        (tls("stranger.pem", person()), "does not trust", "UnknownIssuer"),
        (StoreTls { ca: None, own: person() }, "does not trust", "UnknownIssuer"),
    ] {
        // On a new connection each time, since it is a race whether the reason arrives.
        for _ in 0..20 {
            let store = open(&[server.address()], Some(tls.clone())).unwrap();
            let told = refusal(&*store).await;
            assert!(told.0.contains(problem) && told.1.contains(cause), "{told:?}");
        }
    }
}

/// Why a store is unavailable.
async fn trouble(store: &dyn Store) -> String {
    match soon(store.check()).await {
        Err(StoreError::Unavailable { source, .. }) => source.to_string(),
        other => panic!("not unavailable: {other:?}"),
    }
}

#[tokio::test]
async fn one_side_without_tls_is_told() {
    let (server, plain) = (EtcdServer::secure().await, EtcdServer::start().await);
    let store = open(&[plain.address()], Some(tls("authority.pem", own("person")))).unwrap();
    let told = trouble(&*store).await;
    assert!(told.contains("write `etcd://"), "{told}");
    let store = open(&[server.address()], None).unwrap();
    let told = trouble(&*store).await;
    assert!(told.contains("write `etcds://"), "{told}");
}

#[tokio::test]
async fn a_member_with_another_certificate_is_passed_over() {
    let (server, plain) = (EtcdServer::secure().await, EtcdServer::start().await);
    let dead = format!("127.0.0.1:{}", free_port());
    // Under two names it is the majority of the listed members.
    let too = server.address().replace("127.0.0.1", "localhost");
    for other in [plain.address(), dead] {
        let endpoints = [other, server.address(), too.clone()];
        let store = open(&endpoints, Some(tls("authority.pem", own("person")))).unwrap();
        soon(store.check()).await.unwrap();
    }
}

/// Replaces the file `to` by `from`, in the way certificate renewal programs do.
fn replace(folder: &TempDir, from: &str, to: &str) {
    fs::copy(certificate(from), folder.path().join("new")).unwrap();
    fs::rename(folder.path().join("new"), folder.path().join(to)).unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |tls: StoreTls| match open(&["127.0.0.1:1".to_owned()], Some(tls)) {
        Err(StoreError::Refused { problem, .. }) => problem,
        other => panic!("not refused: {:?}", other.err()),
    };
    let file = |name: &str| folder.path().join(name);
    let files = |cert: &Path, key: &Path| {
        let own = TlsFiles { cert: cert.to_owned(), key: key.to_owned() };
        StoreTls { ca: None, own: Some(own.into()) }
    };
    let (cert, key) = (certificate("person.pem"), certificate("person.key"));
    let none = refused(StoreTls { ca: Some(file("none.pem")), own: None });
    assert!(none.contains("none.pem") && none.contains("No such file"), "{none}");
    fs::write(file("empty.pem"), "").unwrap();
    let empty = refused(StoreTls { ca: Some(file("empty.pem")), own: None });
    assert!(empty.contains("empty.pem") && empty.contains("no certificate"), "{empty}");
    let none = refused(files(&cert, &file("none.key")));
    assert!(none.contains("none.key") && none.contains("No such file"), "{none}");
    let odd = refused(files(&cert, &file("empty.pem")));
    assert!(odd.contains("a key from") && odd.contains("empty.pem"), "{odd}");
    let strange = refused(files(&certificate("host.pem"), &key));
    assert!(strange.contains("belong together") && strange.contains("person.key"), "{strange}");
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_used() {
    let server = EtcdServer::secure().await;
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in
        [("intruder.pem", "cert.pem"), ("intruder.key", "cert.key"), ("authority.pem", "ca.pem")]
    {
        replace(&folder, from, to);
    }
    let file = |name: &str| folder.path().join(name);
    let own = TlsFiles { cert: file("cert.pem"), key: file("cert.key") };
    let tls = StoreTls { ca: Some(file("ca.pem")), own: Some(own.into()) };
    let store = open(&[server.address()], Some(tls)).unwrap();
    assert!(refusal(&*store).await.0.contains("refuses the certificate"));
    replace(&folder, "person.pem", "cert.pem");
    replace(&folder, "person.key", "cert.key");
    // The files are checked at most once per second.
    let used = async {
        while store.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(used).await;
}

#[tokio::test]
async fn who_a_certificate_names_needs_no_password() {
    let server = EtcdServer::secure().await;
    // `person` is the name in that certificate.
    let read = |name: &str| fs::read(certificate(name)).unwrap();
    let tls_options = TlsOptions::new()
        .ca_certificate(Certificate::from_pem(read("authority.pem")))
        .identity(Identity::from_pem(read("person.pem"), read("person.key")));
    let options = ConnectOptions::new().with_tls(tls_options);
    let mut etcd = Client::connect([server.address()], Some(options)).await.unwrap();
    for user in ["root", "person", "host"] {
        etcd.user_add(user, "secret", None).await.unwrap();
        etcd.role_add(user).await.unwrap();
        etcd.user_grant_role(user, user).await.unwrap();
    }
    let all = Permission::new(PermissionType::Readwrite, "/soloist/test/").with_prefix();
    etcd.role_grant_permission("person", all).await.unwrap();
    etcd.auth_enable().await.unwrap();

    let by = |name| open(&[server.address()], Some(tls("authority.pem", own(name)))).unwrap();
    let store = by("person");
    soon(store.check()).await.unwrap();
    let lease = soon(store.grant(Duration::from_secs(60))).await.unwrap().id;
    soon(store.renew(lease)).await.unwrap();
    TestHost { store, lease, name: "a".into() }.win().await;
    // The user that the other certificate names lacks the permission.
    assert!(refusal(&*by("host")).await.0.contains("--prefix /soloist/test/"));
}
