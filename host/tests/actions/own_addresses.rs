//! A granted name gives no access to this machine, whichever of its addresses the name resolves to.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use soloist_config::Grants;

use crate::{
    backend::outbound,
    rig::{RunningAction, TestStore, prepare_with},
};

/// Addresses that this machine gets, one private and one public, and the names that resolve to
/// them.
const ADDRESSES: [(&str, &str); 2] = [("10.77.0.5", "lan.test"), ("8.8.4.4", "public.test")];

/// Runs a test in its own network and with its own hosts file.
const ALONE: [&str; 4] = ["--user", "--map-root-user", "--net", "--mount"];

#[test]
fn no_name_stands_for_this_machine() {
    if !Command::new("unshare").args(ALONE).arg("true").status().is_ok_and(|it| it.success()) {
        eprintln!("left out: this machine lets nobody have a network of their own");
        return;
    }
    let hosts = tempfile::NamedTempFile::new().unwrap();
    for (address, name) in ADDRESSES {
        writeln!(hosts.as_file(), "{address} {name}").unwrap();
    }
    writeln!(hosts.as_file(), "127.0.0.1 localhost").unwrap();
    let adding = ADDRESSES.map(|(address, _)| format!("ip address add {address}/32 dev lo"));
    let script = format!(
        "set -e; ip link set lo up; {}; mount --bind \"$1\" /etc/hosts; \
         exec \"$0\" --exact own_addresses::within --ignored --nocapture",
        adding.join("; ")
    );
    let mut test = Command::new("unshare");
    test.args(ALONE).args(["sh", "-c", &script]).arg(std::env::current_exe().unwrap());
    let ended = test.arg(hosts.path()).output().unwrap();
    let text = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && text.contains("1 passed"), "{text}");
}

/// Accepts connections and counts them.
fn server() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let (port, seen) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&seen);
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        }
    });
    (port, seen)
}

async fn up(guest: &str, grants: Grants) -> RunningAction {
    TestStore::new().start(prepare_with(guest, grants)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the test above runs it in a network of its own"]
async fn within() {
    let (port, seen) = server();
    for (address, name) in ADDRESSES {
        let url = format!("http://{name}:{port}");
        let rig = up("reach", Grants { outbound_private: true, ..outbound(&url) }).await;
        let (status, text) = rig.ask(&format!("/fetch?{url}")).await;
        assert!(status == 502 && text.contains("IpProhibited"), "{name}: {status} {text}");
        rig.stop().await;
        let granted = format!("tcp://{name}:{port}").parse().unwrap();
        let grants = Grants { outbound_private: true, sockets: vec![granted], ..Grants::default() };
        let rig = up("escape", grants).await;
        let (status, text) = rig.ask(&format!("/connect?{name}:{port}")).await;
        assert_eq!(status, 502, "{name}: {text}");
        rig.stop().await;
        assert_eq!(seen.load(Ordering::SeqCst), 0, "{name} leads to this machine");
        // A grant that contains the address itself means it.
        let url = format!("http://{address}:{port}");
        let rig = up("reach", outbound(&url)).await;
        assert_eq!(rig.ask(&format!("/fetch?{url}")).await, (200, "200 hello".to_owned()));
        rig.stop().await;
        seen.store(0, Ordering::SeqCst);
    }
}
