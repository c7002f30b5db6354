//! Warnings, and plugins that do not fit their settings.

use super::*;

/// The warnings for `text`, where `look` gives the kinds of each plugin.
fn remarks(text: &str, look: PluginCheck) -> Vec<String> {
    let folder = folder(text);
    let overrides = Overrides { plugin_check: Some(look), ..Overrides::default() };
    let config = load(folder.path(), &overrides).unwrap();
    let shown = |remark: String| remark.replace(&format!("{}/", folder.path().display()), "");
    config.warnings.into_iter().map(shown).collect()
}

/// `web` answers requests, `report` is a job, and everything else is a service.
fn by_name(action: &ActionConfig) -> Result<Kinds, PluginMismatch> {
    let kind = match &*action.name {
        "web" => Kind::Http,
        "report" => Kind::Job,
        _ => Kind::Service,
    };
    Ok([kind].into_iter().collect())
}

#[test]
fn what_does_nothing_is_told_with_its_place() {
    let told = remarks("[group.side]\npreempt = true\n[action.web]\ngroup = \"sides\"\n", by_name);
    assert_eq!(
        told,
        ["\
warning: `[group.side]` does nothing: no action is of this group
  --> soloist.toml:1:8
   |
1  | [group.side]
   |        ^^^^
help: did you mean `sides`? write `group = \"side\"` into the settings of one, or drop it
"]
    );
    // A plugin that is added later, or one whose settings are wrong, may be of this group.
    assert!(remarks("[group.main]\npreempt = true\n", by_name).is_empty());
    let tokens = remarks("[api.tokens]\n", by_name);
    assert!(tokens[0].contains("nobody is asked who they are") && tokens[0].contains(":1:6"));
    assert_eq!(tokens.len(), 1, "{tokens:?}");
}

#[test]
fn keys_that_say_nothing_of_what_an_action_is_are_told() {
    let keys = |text: &str| -> Vec<String> {
        let told = remarks(text, by_name);
        let key = |text: &String| text.split('`').nth(1).unwrap_or_default().to_owned();
        told.iter().map(key).collect()
    };
    let web = "[action.web]\n";
    assert_eq!(
        keys(&format!("{web}max_concurrent_requests = 8\nrestart_window = \"2m\"\n")),
        [""; 0]
    );
    let idle = "restart = \"never\"\nhook_timeout = \"1s\"\ncall_timeout = \"1s\"\nresult_retention = \"1h\"\n";
    let mut told = keys(&format!("{web}{idle}"));
    told.sort();
    assert_eq!(told, ["call_timeout", "hook_timeout", "restart", "result_retention"]);
    assert_eq!(keys("[action.web]\nmax_reuse = 8\n"), ["max_reuse"]);
    assert_eq!(keys("[action.web]\ninstances = \"reuse\"\nmax_reuse = 8\n"), [""; 0]);
    let report = "[action.report]\nschedule = \"none\"\nrun_timeout = \"1s\"\ntls = { cert = \"c\", key = \"k\" }\n";
    assert_eq!(keys(report), ["tls"]);
}

/// Problems that need a look at plugins are reported together with all others, and so are
/// warnings.
#[test]
fn what_a_plugin_cannot_be_is_told_with_the_rest() {
    let folder = folder("[lease]\nttl = \"5\"\n[group.side]\n[action.web]\nstate = true\n");
    fs::write(folder.path().join("plugins/report.toml"), "\nschedule = \"none\"\n").unwrap();
    let look = |action: &ActionConfig| match &*action.name {
        "report" => Err(PluginMismatch { why: "it has no program".to_owned(), key: "schedule" }),
        _ => Ok(Kinds::default()),
    };
    let overrides = Overrides { plugin_check: Some(look), ..Overrides::default() };
    let told = load(folder.path(), &overrides).unwrap_err().to_string();
    for part in ["soloist.toml:2:7", "error: it has no program\n", "report.toml:2:12", "warning: "]
    {
        assert!(told.contains(part), "no {part:?} in:\n{told}");
    }
}
