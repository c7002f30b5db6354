//! What an action gets from its settings: arguments, environment, secrets and values.

use soloist_config::{Grants, Secret};

use crate::{
    log::Log,
    rig::{TestStore, prepare_with},
};

fn texts(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_a_guest_is_told_nothing() {
    let rig = TestStore::new().start(prepare_with("escape", Grants::default())).await;
    // This process has one, but the guest must not see it.
    assert!(std::env::var("PATH").is_ok());
    assert_eq!(rig.ask("/env?PATH").await.0, 502);
    assert_eq!(rig.ask("/config").await, (200, "[]".to_owned()));
    assert_eq!(rig.ask("/config?greeting").await, (502, "no such key".to_owned()));
    assert_eq!(rig.ask("/args").await, (200, "web".to_owned()));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_told_what_its_settings_say() {
    let grants = Grants {
        args: vec!["-v".to_owned(), "two words".to_owned()],
        env: texts(&[("LEVEL", "high")]),
        config: texts(&[("greeting", "hello")]),
        ..Grants::default()
    };
    let rig = TestStore::new().start(prepare_with("escape", grants)).await;
    assert_eq!(rig.ask("/args").await, (200, "web -v two words".to_owned()));
    assert_eq!(rig.ask("/env?LEVEL").await, (200, "high".to_owned()));
    assert_eq!(rig.ask("/config?greeting").await, (200, "hello".to_owned()));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_told_to_the_guest_and_to_nobody_else() {
    let log = Log::of_all();
    let secrets = [("API_KEY".to_owned(), Secret::new("s3cret-of-the-test"))].into();
    let grants = Grants { secrets, ..Grants::default() };
    let shown = format!("{grants:?}");
    let rig = TestStore::new().start(prepare_with("escape", grants)).await;
    assert_eq!(rig.ask("/env?API_KEY").await, (200, "s3cret-of-the-test".to_owned()));
    assert_eq!(rig.ask("/config").await, (200, "[]".to_owned()));
    let status = format!("{:?} {:?} {:?}", rig.action.status(), rig.action, rig.running);
    rig.stop().await;
    for text in [shown, status, log.text()] {
        assert!(!text.contains("s3cret-of-the-test"), "{text}");
    }
}
