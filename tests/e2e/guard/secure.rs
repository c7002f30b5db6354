//! TLS between people and hosts, and among hosts.

use std::{fs, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;
use crate::harness::exit::{DENIED, UNAVAILABLE, USAGE};
use crate::harness::{certificates, guests};

crate::on_all_stores!(hosts_and_people_know_each_other_by_certificates);

const TLS: &str = "cert = \"host.pem\", key = \"host.key\", ca = \"authority.pem\"";

impl Guarded {
    /// A cluster whose hosts speak TLS, with these settings in addition to the files.
    async fn secure(kind: Kind, more: &str) -> Self {
        let mut guarded = Self::new(kind).await;
        for name in ["host.pem", "host.key", "authority.pem"] {
            fs::copy(certificates().join(name), guarded.file(name)).unwrap();
        }
        guarded.scheme = "https";
        guarded.tls = format!("tls = {{ {TLS}{more} }}\n");
        guarded.shown.push(("SOLOIST_CA", path("authority.pem")));
        guarded
    }

    /// Runs a command with this certificate.
    async fn ask_with(&self, name: &str, args: &[&str]) -> Ended {
        let own = [
            ("SOLOIST_CERT", path(&format!("{name}.pem"))),
            ("SOLOIST_KEY", path(&format!("{name}.key"))),
        ];
        self.ask_as(&[&self.shown[..], &own].concat(), "a", args).await
    }
}

fn path(name: &str) -> String {
    certificates().join(name).display().to_string()
}

async fn hosts_and_people_know_each_other_by_certificates(kind: Kind) {
    let mut guarded = Guarded::secure(kind, ", client_ca = \"authority.pem\"").await;
    guarded.shown.push(("SOLOIST_CERT", path("person.pem")));
    guarded.shown.push(("SOLOIST_KEY", path("person.key")));
    let work = guests().join("work.wasm");
    let settings =
        format!("[action.work]\nplugin = \"{}\"\nrequire_label = \"at=a\"\n", work.display());
    guarded.pair(&settings).await;
    for host in ["a", "b"] {
        let url = format!("http://{}/", guarded.addresses[host]);
        assert_eq!(told(reqwest::Client::new().get(url)).await.1, "I am server a\n", "{host}");
    }
    guarded.done("b", &["task", "call", "work", "who"], "a work 1").await;
    guarded.done("b", &["switchover", "--to", "b"], "b leads main now").await;
    guarded
        .agrees("a", |status| {
            let url = status["groups"]["main"]["leader_url"].as_str();
            url.is_some_and(|url| url.starts_with("https://127.0.0.1:"))
                && status["groups"]["main"]["leader"] == "b"
        })
        .await;

    let authority = ("SOLOIST_CA", path("authority.pem"));
    let shown = |cert: &str| {
        let key = format!("{cert}.key");
        let cert = format!("{cert}.pem");
        vec![authority.clone(), ("SOLOIST_CERT", path(&cert)), ("SOLOIST_KEY", path(&key))]
    };
    for (shown, code, words) in [
        // No certificate.
        (vec![authority.clone()], DENIED, "authentication is required"),
        // A certificate of another authority.
        (shown("intruder"), UNAVAILABLE, "no answer from https://"),
        // Without the authority of the host's certificate.
        (shown("person").split_off(1), UNAVAILABLE, "--ca FILE"),
        // A certificate without its key.
        (shown("person")[..2].to_vec(), USAGE, "--key FILE"),
    ] {
        let Ended { status, output } = guarded.ask_as(&shown, "a", &["status"]).await;
        assert_eq!(status.code(), Some(code), "{shown:?}: {output}");
        assert!(output.contains(words), "{shown:?}: {output}");
    }
    guarded.scheme = "http";
    let plain = guarded.ask("a", &["status"]).await;
    assert_eq!(plain.status.code(), Some(UNAVAILABLE), "{}", plain.output);
    let right = format!("write {}", guarded.url("a").await.replacen("http://", "https://", 1));
    assert!(
        plain.output.contains("speaks TLS") && plain.output.contains(&right),
        "{right}: {}",
        plain.output
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_may_be_for_looking_only() {
    let more = ", client_ca = \"authority.pem\", client_role = \"read\"";
    let mut guarded = Guarded::secure(Kind::Sqlite, more).await;
    let ops = guarded.token("ops", "operate").await;
    guarded.start("a", &format!("[api.tokens]\n{ops}\n"));
    guarded.cluster.leading("a").await;
    let looked = guarded.ask_with("person", &["status"]).await;
    assert!(looked.status.success(), "{}", looked.output);
    let refused = guarded.ask_with("person", &["pause"]).await;
    assert_eq!(refused.status.code(), Some(DENIED), "{}", refused.output);
    assert!(refused.output.contains("this client has the role `read`"), "{}", refused.output);
    // A token grants more, with or without a certificate.
    guarded.show("ops.token");
    let paused = guarded.ask_with("person", &["pause"]).await;
    assert!(paused.status.success(), "{}", paused.output);
    guarded.done("a", &["resume"], "").await;
}

/// As the image's health check does it, whose environment the documents name.
#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_of_a_host_with_tls_needs_its_address_and_its_authority() {
    let mut guarded = Guarded::secure(Kind::Sqlite, ", client_ca = \"authority.pem\"").await;
    guarded.start("a", "");
    guarded.cluster.leading("a").await;
    let authority = [("SOLOIST_CA", path("authority.pem"))];
    for what in ["--live", "--ready"] {
        let Ended { status, output } = guarded.ask_as(&authority, "a", &["status", what]).await;
        assert!(status.success() && output == "ok\n", "{what}: {output}");
        let Ended { status, output } = guarded.ask_as(&[], "a", &["status", what]).await;
        assert_eq!(status.code(), Some(UNAVAILABLE), "{what}: {output}");
        assert!(output.contains("--ca FILE"), "{what}: {output}");
    }
    guarded.scheme = "http";
    let Ended { status, output } = guarded.ask_as(&authority, "a", &["status", "--live"]).await;
    assert_eq!(status.code(), Some(UNAVAILABLE), "{output}");
    assert!(output.contains("https://"), "{output}");
}

/// The certificate that the host at `address` presents.
async fn shown_at(address: SocketAddr) -> CertificateDer<'static> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(path("authority.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_replaced_is_shown_without_a_restart() {
    let mut guarded = Guarded::secure(Kind::Sqlite, "").await;
    guarded.start("a", "tls = { cert = \"host.pem\", key = \"host.key\" }\n");
    guarded.cluster.leading("a").await;
    let addresses = [guarded.cluster.host("a").api().await, guarded.addresses["a"]];
    let certificate = |name: &str| CertificateDer::from_pem_file(path(name)).unwrap();
    let comes_to = async |name: &str| {
        for address in addresses {
            let shown = async {
                while shown_at(address).await != certificate(name) {
                    sleep(Duration::from_millis(50)).await;
                }
            };
            timeout(PATIENCE, shown).await.unwrap_or_else(|_| panic!("no {name} at {address}"));
        }
    };
    comes_to("host.pem").await;
    // As tools that renew certificates do it: each file is replaced. For a moment, the certificate
    // and the key do not match.
    let replace = |from: &str, to: &str| {
        fs::copy(certificates().join(from), guarded.file("new")).unwrap();
        fs::rename(guarded.file("new"), guarded.file(to)).unwrap();
    };
    replace("renewed.pem", "host.pem");
    let log = &guarded.cluster.host("a").log;
    let warned =
        |line: &Value| line["message"].as_str().is_some_and(|it| it.contains("cannot be used"));
    let seen = async {
        while !log.lines().iter().any(warned) {
            comes_to("host.pem").await;
        }
    };
    timeout(PATIENCE, seen).await.expect("a warning");
    replace("renewed.key", "host.key");
    comes_to("renewed.pem").await;
}
