//! The examples in the repository are valid.

use super::*;

#[test]
fn the_examples_are_right() {
    for text in [
        include_str!("../../../../examples/soloist.toml").to_owned(),
        include_str!("../../../../examples/etcd.toml").to_owned(),
        include_str!("../../../../examples/postgres.toml").to_owned(),
        // The plugins are elsewhere in a container.
        include_str!("../../../../examples/compose/soloist.toml")
            .replace("\"/plugins\"", "\"plugins\""),
        include_str!("../../../../examples/compose/postgres/soloist.toml")
            .replace("\"/plugins\"", "\"plugins\""),
        manifest_settings().replace("\"/plugins\"", "\"plugins\""),
    ] {
        let folder = folder(&text);
        for plugin in ["i-am-server", "resize"] {
            fs::write(folder.path().join(format!("plugins/{plugin}.wasm")), "").unwrap();
        }
        fs::remove_file(folder.path().join("plugins/web.wasm")).unwrap();
        let config = load(folder.path(), &Overrides::default());
        assert!(config.is_ok(), "{}", config.unwrap_err());
    }
}

#[test]
fn the_example_has_every_setting_of_an_action() {
    let example = include_str!("../../../../examples/soloist.toml");
    // A setting that needs files of the reader's own is commented out.
    let written = |key: &str| {
        let mut lines = example.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
        lines.any(|line| {
            line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
        })
    };
    let schema = crate::action_schema();
    let keys = schema["properties"].as_object().unwrap().keys();
    let missing: Vec<_> = keys.filter(|key| !written(key)).collect();
    assert!(missing.is_empty(), "examples/soloist.toml lacks {missing:?}");
}

/// The settings within the Kubernetes manifests, without their indentation.
fn manifest_settings() -> String {
    let manifests = include_str!("../../../../examples/kubernetes/soloist.yaml");
    let (_, settings) = manifests.split_once("  soloist.toml: |\n").unwrap();
    let (settings, _) = settings.split_once("---\n").unwrap();
    settings.lines().map(|line| line.trim_start().to_owned() + "\n").collect()
}
