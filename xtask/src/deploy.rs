//! Checks the deployment files in `examples/`, each with the program that reads it in production.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use soloist_devtools::packages::Package;
use soloist_devtools::{cmd, debian, languages, paths, tools};

const SYSTEMD: Package =
    Package { program: "systemd-analyze", apt: &[&["systemd"]], dnf: &[&["systemd"]], brew: &[] };
const KUBERNETES: &str = "kubernetes-validate==1.37.0";

const MONITORING: &str = "examples/monitoring";
const UNIT: &str = "examples/systemd/soloist.service";
const MANIFESTS: &str = "examples/kubernetes";
/// The highest exposure that `systemd-analyze security` may report, in tenths: 0 is sealed, 100 is
/// root without limits.
const EXPOSURE: &str = "20";

/// Checks all deployment files.
pub(crate) fn check() -> Result<()> {
    monitoring()?;
    unit()?;
    manifests()
}

/// Checks the alerts, the tests of the alerts, and the dashboard's queries.
fn monitoring() -> Result<()> {
    let promtool = promtool()?;
    let folder = paths::repo().join(MONITORING);
    let run =
        |arguments: &[&str]| cmd::run(Command::new(&promtool).args(arguments).current_dir(&folder));
    run(&["check", "config", "prometheus.yml"])?;
    run(&["test", "rules", "alerts-test.yml"])?;
    let rules = rules_of(&fs::read_to_string(folder.join("dashboard.json"))?)?;
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("dashboard-rules.yml");
    fs::write(&file, rules)?;
    cmd::run(Command::new(&promtool).args(["check", "rules"]).arg(file))
}

/// Finds `promtool`. Installing the package would start a server, so it is only unpacked.
fn promtool() -> Result<PathBuf> {
    if let Some(found) = cmd::find("promtool") {
        return Ok(found);
    }
    let root = tools::folder().join("prometheus");
    let program = root.join("usr/bin/promtool");
    if !program.exists() {
        debian::unpack("prometheus", &root.join("packages"), &root)?;
    }
    Ok(program)
}

/// The dashboard's queries as recording rules, which `promtool` can check. JSON is valid YAML.
fn rules_of(dashboard: &str) -> Result<String> {
    let dashboard: Value = serde_json::from_str(dashboard).context("dashboard.json")?;
    let panels = dashboard["panels"].as_array().context("it has no panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let rules: Vec<_> = targets
        .filter_map(|target| target["expr"].as_str())
        .map(|expr| expr.replace("$__rate_interval", "5m"))
        .enumerate()
        .map(|(number, expr)| json!({ "record": format!("dashboard:{number}"), "expr": expr }))
        .collect();
    if rules.len() < panels.len() {
        bail!("a panel of dashboard.json asks nothing");
    }
    Ok(json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string())
}

/// Checks the systemd unit. Its program is replaced by one that exists on this machine.
fn unit() -> Result<()> {
    let analyze = SYSTEMD.ensure()?;
    let text = fs::read_to_string(paths::repo().join(UNIT))?;
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("soloist.service");
    fs::write(&file, text.replace("/usr/bin/soloist", "/bin/true"))?;
    // The unit names a manual page that is not installed here.
    let mut verify = Command::new(&analyze);
    verify.args(["verify", "--man=no"]).arg(&file);
    cmd::echo(&verify);
    let done = verify.output().context("cannot start `systemd-analyze`")?;
    // A warning, such as an unknown key, is an error too. Warnings about other units of this
    // machine are ignored.
    let said = String::from_utf8_lossy(&done.stderr);
    let wrong: Vec<_> = said.lines().filter(|line| line.contains("soloist.service")).collect();
    if !done.status.success() || !wrong.is_empty() {
        bail!("{UNIT} is wrong ({}):\n{}", done.status, said.trim_end());
    }
    let mut security = Command::new(&analyze);
    security.args(["security", "--no-pager", "--offline=true", "--threshold", EXPOSURE]);
    cmd::output(security.arg(&file)).map(drop)
}

/// Checks the manifests against the schemas of Kubernetes.
fn manifests() -> Result<()> {
    let validate = languages::python_tool(KUBERNETES)?.join("kubernetes-validate");
    let valid =
        |file: &Path| cmd::run(Command::new(&validate).args(["--strict", "--quiet"]).arg(file));
    let scratch = tempfile::tempdir()?;
    for manifest in yaml(&paths::repo().join(MANIFESTS))? {
        valid(&manifest)?;
        let secure = scratch.path().join("tls.yaml");
        fs::write(&secure, with_tls(&fs::read_to_string(&manifest)?)?)?;
        valid(&secure)?;
    }
    Ok(())
}

/// The manifests for hosts with `tls`, as their first comment says that they are made. Every probe
/// must be by TLS then.
fn with_tls(manifest: &str) -> Result<String> {
    let secure = manifest
        .replace("# scheme: HTTPS", "scheme: HTTPS")
        .replace("# prometheus.io/scheme", "prometheus.io/scheme")
        .replace("value: http://$(POD_IP)", "value: https://$(POD_IP)");
    let count = |what: &str| secure.lines().filter(|line| line.trim() == what).count();
    let (probes, by_tls) = (count("httpGet:"), count("scheme: HTTPS"));
    if probes == 0 || probes != by_tls || secure.contains("http://$(POD_IP)") {
        bail!("{by_tls} of {probes} probes in {MANIFESTS} are by TLS for a host with `tls`");
    }
    Ok(secure)
}

fn yaml(folder: &Path) -> Result<Vec<PathBuf>> {
    let files: Vec<_> = fs::read_dir(folder)?
        .flatten()
        .map(|file| file.path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    if files.is_empty() {
        bail!("there are no manifests in {}", folder.display());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_tls_is_asked_by_tls() {
        let manifest = paths::repo().join(MANIFESTS).join("soloist.yaml");
        let manifest = fs::read_to_string(manifest).unwrap();
        assert_eq!(
            with_tls(&manifest).unwrap().matches("\n              scheme: HTTPS\n").count(),
            3
        );
        let forgotten = manifest.replacen("# scheme: HTTPS", "", 1);
        assert!(with_tls(&forgotten).is_err());
    }

    #[test]
    fn a_dashboard_is_made_of_rules() {
        let panel = r#"{ "panels": [{ "targets": [{ "expr": "rate(a[$__rate_interval])" }] }] }"#;
        let rules: Value = serde_json::from_str(&rules_of(panel).unwrap()).unwrap();
        assert_eq!(rules["groups"][0]["rules"][0]["expr"], "rate(a[5m])");
        assert!(rules_of(r#"{ "panels": [{ "targets": [] }] }"#).is_err());
    }
}
