//! The output of a demo.

use std::time::Duration;

use owo_colors::Style;

use super::{demo_host_config::DemoHostConfig, demo_settings::DemoSettings};
use crate::cli::terminal::{Paint, say};

/// The output of a demo: all hosts write to it, line by line.
#[derive(Clone, Copy, Debug)]
pub(super) struct DemoOutput {
    paint: Paint,
}

impl DemoOutput {
    /// Writes to stdout.
    pub(super) fn new() -> Self {
        Self { paint: Paint::stdout() }
    }

    /// Whether hosts should colour their output.
    pub(super) fn is_coloured(self) -> bool {
        self.paint.is_on()
    }

    /// Shows a line that a host printed.
    pub(super) fn line(self, host: &DemoHostConfig, line: &str) {
        let mark = self.paint.paint(format!("{} │", host.name), Style::new().color(host.color));
        say(&format!("{mark} {line}\n"));
    }

    /// Shows a message of the demo itself.
    pub(super) fn note(self, text: &str) {
        let mark = self.paint.paint("demo ▸", Style::new().bold());
        say(&format!("{mark} {text}\n"));
    }

    /// Shows the addresses to open and the commands to try.
    pub(super) fn banner(
        self,
        hosts: &[DemoHostConfig],
        settings: &DemoSettings,
        kill_every: Option<Duration>,
    ) {
        say(&banner(self.paint, hosts, settings, kill_every));
    }
}

/// What the bundled plugins show, by paths at the address of the actions.
const SIGHTS: [(&str, &str, &str); 4] = [
    ("i-am-server", "/", "the leader says who it is"),
    ("uptime", "/uptime", "it checks the three hosts"),
    ("webhook-relay", "/webhook-relay", "it hands webhooks on"),
    ("leader-dns", "/leader-dns", "it tells a registry who leads"),
];

/// The bundled plugins that send something to the demo's own server.
const NEIGHBOURLY: [&str; 2] = ["webhook-relay", "leader-dns"];

fn banner(
    paint: Paint,
    hosts: &[DemoHostConfig],
    settings: &DemoSettings,
    kill_every: Option<Duration>,
) -> String {
    let mut text = format!(
        "\n{}\n\n",
        paint.paint("Many hosts stand by, exactly one performs.", Style::new().bold())
    );
    let mut line = |verb: &str, what: &str, says: &str| {
        text += &format!("  {verb:<6} {what:<40} {says}\n");
    };
    let urls: Vec<_> = hosts.iter().map(|host| (host.name, host.url())).collect();
    let Some(((_, first), others)) = urls.split_first() else { return text };
    let others: Vec<_> = others.iter().map(|(name, url)| format!("{name}: {url}/")).collect();
    line("open", &format!("{first}/"), &format!("the dashboard of host a ({})", others.join(", ")));
    let ports = settings.ports();
    for (_, path, says) in SIGHTS.iter().filter(|(plugin, ..)| settings.has(plugin)) {
        line("", &format!("http://127.0.0.1:{}{path}", ports.actions), says);
    }
    if NEIGHBOURLY.iter().any(|plugin| settings.has(plugin)) {
        line(
            "",
            &format!("{}/", settings.neighbour()),
            "a page that shows which webhooks arrived, and who was said to lead",
        );
    }
    if settings.has("factor") {
        line("try", &format!("soloist task call factor 600851475143 --url {first}"), "");
    }
    if settings.has("fan-out") {
        line("", &format!("soloist job history fan-out --url {first}"), "");
    }
    match kill_every {
        Some(every) => {
            let every = humantime::format_duration(every);
            line("see", &format!("the leader is killed every {every}"), "another host takes over");
        }
        None => line("", "kill -9 the leader's process", "another host takes over"),
    }
    line("end", "Ctrl-C", "");
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::demo_ports::DemoPorts;
    use super::*;

    #[test]
    fn the_dashboard_comes_first_and_what_is_not_there_not_at_all() {
        let ports = DemoPorts { hosts: [4001, 4002, 4003], actions: 3000, neighbour: 3001 };
        let host = |(name, port)| DemoHostConfig {
            name,
            port,
            color: owo_colors::AnsiColors::Cyan,
            settings: "soloist.toml".into(),
            store: String::new(),
            plugins: "plugins".into(),
        };
        let hosts: Vec<_> = [("a", 4001), ("b", 4002)].map(host).into();
        let settings = DemoSettings::new(["uptime".to_owned()], ports);
        let text = banner(Paint::OFF, &hosts, &settings, None);
        let lines: Vec<_> = text.lines().filter(|line| line.contains("http")).collect();
        assert!(lines[0].starts_with("  open   http://127.0.0.1:4001/ "), "{text}");
        assert!(lines[0].contains("b: http://127.0.0.1:4002/"), "{text}");
        assert!(lines[1].contains("http://127.0.0.1:3000/uptime"), "{text}");
        assert_eq!(lines.len(), 2, "{text}");
    }
}
