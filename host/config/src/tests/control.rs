//! Who may use the control API.

use super::*;

#[test]
fn the_control_api_may_listen_anywhere_where_it_is_guarded() {
    const TLS: &str = "tls = { cert = \"c.pem\", key = \"c.key\"";
    let hash = "0".repeat(64);
    let tokens = format!("[api.tokens]\nops = {{ role = \"read\", sha256 = \"{hash}\" }}\n");
    let may = |listen: &str, host: &str, rest: &str, overrides: &Overrides| {
        let folder = folder(&format!("[host]\nlisten = \"{listen}\"\n{host}\n{rest}"));
        load(folder.path(), overrides).is_ok()
    };
    let none = &Overrides::default();
    for listen in ["127.0.0.1:4000", "127.8.9.1:0", "[::1]:4000", "[::ffff:127.0.0.1]:4000"] {
        assert!(may(listen, "", "", none), "{listen}");
    }
    let insecure = &Overrides { insecure: true, ..Overrides::default() };
    let client_ca = format!("{TLS}, client_ca = \"ca.pem\" }}");
    for listen in ["0.0.0.0:4000", "[::]:4000", "10.0.0.1:4000", "[::ffff:10.0.0.1]:4000"] {
        assert!(!may(listen, "", "", none), "{listen}");
        assert!(!may(listen, &format!("{TLS} }}"), "", none), "{listen}");
        assert!(!may(listen, "", &tokens, none), "{listen}");
        assert!(may(listen, &format!("{TLS} }}"), &tokens, none), "{listen}");
        assert!(may(listen, &client_ca, "", none), "{listen}");
        assert!(may(listen, "insecure = true", "", none), "{listen}");
        assert!(may(listen, "", "", insecure), "{listen}");
    }
}

#[test]
fn secrets_of_the_control_api_are_shown_nowhere() {
    let folder = folder("[api]\npeer_token = \"file:peer\"\n");
    let token = "soloist_0123456789abcdefghijklmnopqrstuv";
    fs::write(folder.path().join("peer"), format!("{token}\n")).unwrap();
    let config = load(folder.path(), &Overrides::default()).unwrap();
    assert_eq!(config.host.api.peer_token.as_ref().unwrap().reveal(), token);
    assert!(!format!("{config:?}").contains(token));
}
