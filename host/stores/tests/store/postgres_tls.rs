//! PostgreSQL over TLS: trust, and passwords.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use soloist_config::StoreUrl;
use soloist_stores::{self as store, Store, StoreError};
use soloist_text::with_causes;

use crate::{
    etcd_server::certificate,
    postgres_database::PostgresDatabase,
    world::{LONG, REQUEST_TIMEOUT, soon},
};

/// The store of `database` at this address of its server.
fn open(database: &PostgresDatabase, login: &str, host: &str, words: &str) -> Arc<dyn Store> {
    let port = database.port();
    let url = format!("postgres://{login}@{host}:{port}/secure?{words}");
    store::open(&url.parse::<StoreUrl>().unwrap(), "test", REQUEST_TIMEOUT).unwrap()
}

fn authority(name: &str) -> String {
    certificate(name).display().to_string()
}

async fn refusal(store: &dyn Store) -> String {
    match soon(store.check()).await {
        Err(error @ StoreError::Refused { .. }) => with_causes(&error),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_the_server_is_decides_the_authority() {
    let database = PostgresDatabase::secure();
    let (ours, others) = (authority("authority.pem"), authority("stranger.pem"));
    for (host, words) in [
        ("localhost", format!("sslrootcert={ours}")),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={ours}")),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={ours}")),
        ("localhost", "sslmode=require".to_owned()),
    ] {
        let store = open(&database, "secure:s3cret", host, &words);
        soon(store.check()).await.unwrap();
        soon(store.grant(LONG)).await.unwrap();
    }
    for words in [format!("sslrootcert={others}"), "sslmode=verify-full".to_owned()] {
        let told = refusal(&*open(&database, "secure:s3cret", "localhost", &words)).await;
        assert!(told.contains("its certificate is not to be trusted"), "{told}");
    }
    // Without TLS, the server lets nobody in by that name.
    let told = refusal(&*open(&database, "secure:s3cret", "localhost", "sslmode=disable")).await;
    assert!(told.contains("the login was refused"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_told_from_one_with() {
    let database = PostgresDatabase::empty();
    let told = refusal(&*open(&database, "soloist", "localhost", "sslmode=require")).await;
    assert!(told.contains("it speaks no TLS"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_told_wrong_and_found_in_its_file() {
    let database = PostgresDatabase::secure();
    let told = refusal(&*open(&database, "secure:wrong", "localhost", "sslmode=require")).await;
    assert!(told.contains("the login was refused") && !told.contains("wrong"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    fs::write(&file, "other:*:*:*:no\nlocalhost:*:secure:secure:s3cret\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let words = format!("sslmode=require&passfile={}", file.display());
    soon(open(&database, "secure", "localhost", &words).check()).await.unwrap();
    fs::write(&file, "").unwrap();
    let told = refusal(&*open(&database, "secure", "localhost", &words)).await;
    assert!(told.contains("it asks for a password"), "{told}");
}
