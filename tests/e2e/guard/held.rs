//! Guests that make their host hold memory, in every possible way: it is limited, and the guest
//! gets an error.

use futures::future::join_all;

use super::*;
use crate::harness::guests;

/// The memory of an idle host with some guests, in MiB.
const USUAL: u64 = 200;

/// A host with `guest` as its web action.
async fn up(kind: Kind, guest: &str, more: &str) -> Cluster {
    let mut cluster = Cluster::with_plugin(kind, guests().join(guest)).await;
    // With this limit the test also passes on a very busy machine.
    cluster.start_with("a", &format!("response_timeout = \"5m\"\n{more}"));
    cluster.leading("a").await;
    cluster.web.until_any_at("/", "an answer", |_| true).await;
    cluster
}

/// The answer of the web action, however long it takes.
async fn asked(cluster: &Cluster, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", cluster.web_at);
    told(reqwest::Client::new().get(url).timeout(3 * PATIENCE)).await
}

/// The peak memory of the host, in MiB.
fn peak(cluster: &Cluster) -> u64 {
    cluster.host("a").peak_memory() >> 20
}

/// Waits until all memory was released: a client may have the end of an answer before that.
async fn holds_nothing(cluster: &Cluster) {
    let url = format!("http://{}/metrics", cluster.host("a").api().await);
    let wanted = ["soloist_held_bytes{action=\"web\"} 0", "soloist_held_for_all_bytes 0"];
    let mut last = String::new();
    let nothing = timeout(PATIENCE, async {
        loop {
            last = told(reqwest::Client::new().get(&url)).await.1;
            if wanted.iter().all(|sample| last.lines().any(|line| line == *sample)) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    let nothing = nothing.await;
    assert!(nothing.is_ok(), "something is held:\n{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_never_sent() {
    let cluster = up(Kind::Sqlite, "escape.wasm", "").await;
    let (status, text) = asked(&cluster, "/bodies?3000").await;
    let bodies = text.split(' ').next().and_then(|count| count.parse::<u64>().ok());
    let bodies = bodies.unwrap_or_else(|| panic!("{status} {text}"));
    assert!((2000..=2048).contains(&bodies), "{text}");
    assert!(peak(&cluster) < 256 + USUAL, "it held {} MiB", peak(&cluster));
    let told = cluster.host("a").log.event(0, "overdrawn").await;
    let told = told["message"].as_str().unwrap_or_default();
    assert!(told.contains("web is refused") && told.contains("256 MiB"), "{told}");
    // All memory is released.
    assert_eq!(asked(&cluster, "/bodies?1000").await.1, "1000 bodies of 131072000 bytes");
    holds_nothing(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_nothing() {
    let cluster = up(Kind::Sqlite, "escape.wasm", "").await;
    let (status, text) = asked(&cluster, "/headers?5000").await;
    assert_eq!(status, 500, "{text}");
    assert!(peak(&cluster) < 256 + USUAL, "it held {} MiB", peak(&cluster));
    assert_eq!(asked(&cluster, "/headers?100").await.1, "100 sets of headers");
}

/// A hundred guests request as much as one call can read, at the same time. None of them has enough
/// memory for it, so the host must hold it.
#[tokio::test(flavor = "multi_thread")]
async fn state_that_guests_read() {
    let cluster = up(Kind::Etcd, "state.wasm", "state = true\nmax_memory = \"8MiB\"\n").await;
    let keys: Vec<_> = (0..64).map(|n| format!("k{n}")).collect();
    for four in keys.chunks(4) {
        let pairs: Vec<_> = four.iter().map(|key| format!("{key}/262144")).collect();
        let (status, text) = asked(&cluster, &format!("/fill/{}", pairs.join("/"))).await;
        assert_eq!(status, 200, "{text}");
    }
    let all = format!("/get/{}", keys.join("/"));
    let answers = join_all((0..100).map(|_| asked(&cluster, &all))).await;
    assert!(answers.iter().all(|(status, _)| *status == 500), "{:?}", answers.first());
    // In addition, there is what etcd's client has not decoded yet, and the memory of guests that
    // just get theirs. Everything together would be some 2 GiB.
    assert!(peak(&cluster) < 700, "it held {} MiB", peak(&cluster));
    let (status, text) = asked(&cluster, "/get/k0").await;
    assert_eq!((status, text.len()), (200, 262_145));
    holds_nothing(&cluster).await;
}
