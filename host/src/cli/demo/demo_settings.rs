//! The settings of a demo's hosts, which give each bundled plugin something to do.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::demo_ports::DemoPorts;

/// A short TTL, because people want to see the take-over after a kill.
const HOSTS: &str = "cluster = \"demo\"\n\n[lease]\nttl = \"2s\"\ndrain_timeout = \"2s\"\n\n";
/// Products of two primes; factoring each takes about a tenth of a second.
const NUMBERS: [u64; 12] = [
    521_809_625_288_477,
    1_984_375_327_366_351,
    1_062_722_001_537_743,
    1_514_809_327_111_573,
    1_248_593_527_464_251,
    1_744_704_351_781_243,
    1_527_243_102_260_591,
    814_578_117_738_587,
    813_174_857_072_989,
    1_421_734_933_787_383,
    1_846_844_842_794_647,
    1_972_859_447_684_383,
];

/// The plugins of the demo's folder, and their settings.
#[derive(Clone, Debug)]
pub(super) struct DemoSettings {
    plugins: BTreeSet<String>,
    ports: DemoPorts,
}

impl DemoSettings {
    /// For these plugins, given by file name.
    pub(super) fn new(plugins: impl IntoIterator<Item = String>, ports: DemoPorts) -> Self {
        Self { plugins: plugins.into_iter().collect(), ports }
    }

    /// Whether this plugin is in the folder.
    pub(super) fn has(&self, plugin: &str) -> bool {
        self.plugins.contains(plugin)
    }

    /// The file names of all plugins.
    pub(super) fn plugins(&self) -> impl Iterator<Item = String> {
        self.plugins.iter().cloned()
    }

    /// The ports of the demo.
    pub(super) fn ports(&self) -> DemoPorts {
        self.ports
    }

    /// The address of the services next to the cluster.
    pub(super) fn neighbour(&self) -> String {
        local(self.ports.neighbour)
    }

    /// The settings file that all hosts share.
    pub(super) fn settings(&self) -> String {
        let mut actions = Table::new();
        for plugin in &self.plugins {
            let mut action = self.action(plugin);
            if !self.ports.are_actions_at_home() {
                let listen = format!("127.0.0.1:{}", self.ports.actions);
                action.insert("listen".to_owned(), listen.into());
            }
            if !action.is_empty() {
                actions.insert(plugin.clone(), action.into());
            }
        }
        let mut all = Table::new();
        all.insert("action".to_owned(), actions.into());
        format!("{HOSTS}{all}")
    }

    /// The settings of a bundled plugin.
    fn action(&self, plugin: &str) -> Table {
        match plugin {
            // Browsers see this first, whatever other plugins there are.
            "i-am-server" => table([("path", "/".into())]),
            "uptime" => works_and_answers(self.ports.hosts.map(local).to_vec()),
            "webhook-relay" | "leader-dns" => works_and_answers(vec![self.neighbour()]),
            "factor" => table([("idempotent", true.into())]),
            "fan-out" => {
                let items = NUMBERS.map(|number| format!("{number}\n")).concat();
                let config = table([
                    ("task", "factor".into()),
                    ("items", items.into()),
                    ("at-once", "6".into()),
                    ("attempts", "3".into()),
                ]);
                table([
                    ("schedule", "every 15s".into()),
                    ("tasks", vec![Value::from("factor")].into()),
                    ("config", config.into()),
                ])
            }
            _ => Table::new(),
        }
    }
}

/// A plugin that answers requests, runs a program, and sends requests.
fn works_and_answers(outbound: Vec<String>) -> Table {
    let kinds = ["http", "service"].map(Value::from).to_vec();
    table([("kinds", kinds.into()), ("state", true.into()), ("outbound", outbound.into())])
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// A URL on this machine.
fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_there_has_settings_and_others_have_none() {
        let ports = DemoPorts { hosts: [4001, 4002, 4003], actions: 3000, neighbour: 3001 };
        let of = |ports| {
            let plugins = ["i-am-server", "uptime", "fan-out", "mine"].map(str::to_owned);
            DemoSettings::new(plugins, ports).settings().parse::<Table>().unwrap()
        };
        let settings = of(ports);
        let actions = settings["action"].as_table().unwrap();
        assert_eq!(actions.keys().collect::<Vec<_>>(), ["fan-out", "i-am-server", "uptime"]);
        assert_eq!(actions["uptime"]["outbound"][2].as_str(), Some("http://127.0.0.1:4003"));
        let elsewhere = of(DemoPorts { actions: 3999, ..ports });
        assert_eq!(elsewhere["action"]["mine"]["listen"].as_str(), Some("127.0.0.1:3999"));
    }
}
