//! The picture of `soloist demo` in the README: what a terminal shows until the first leader was
//! killed and another host has taken over.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use soloist_devtools::{paths, soloist};

use crate::terminal_svg::svg;

/// The picture in the repository.
const PICTURE: &str = "docs/demo.svg";
const TITLE: &str = "Three hosts in a terminal: one leads, is killed, and another takes over";
const COLUMNS: usize = 112;
/// The first line of the picture, and what a line has that says who leads.
const FIRST: &str = "Many hosts stand by";
const LEADS: &str = " leads: kill -9 ";

/// Takes the picture.
pub(crate) fn take() -> Result<()> {
    let program = soloist::build_for_demo()?;
    // The demo shows the plugin of the program where there is no other.
    let folder = tempfile::tempdir()?;
    let mut demo = Command::new(&program)
        .args(["demo", "--kill-leader-every", "6s"])
        .current_dir(folder.path())
        .env("SOLOIST_COLOR", "always")
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let lines = watch(&mut demo);
    end(&mut demo)?;
    let place = paths::repo().join(PICTURE);
    fs::write(&place, svg(TITLE, &lines?, COLUMNS))
        .with_context(|| format!("cannot write {}", place.display()))?;
    eprintln!("wrote {}", place.display());
    Ok(())
}

/// The lines until a second host leads.
fn watch(demo: &mut Child) -> Result<Vec<String>> {
    let output = demo.stdout.take().context("its output is piped")?;
    let (mut lines, mut leaders) = (Vec::<String>::new(), 0);
    for line in BufReader::new(output).lines() {
        let line = line?;
        if lines.is_empty() && !line.contains(FIRST) {
            continue;
        }
        leaders += usize::from(line.contains(LEADS));
        lines.push(line);
        if leaders == 2 {
            return Ok(lines);
        }
    }
    bail!("the demo ended before a second host led")
}

/// Stops the demo, as Ctrl-C does.
fn end(demo: &mut Child) -> Result<()> {
    let pid = i32::try_from(demo.id()).ok().and_then(Pid::from_raw).context("it has an id")?;
    kill_process(pid, Signal::INT)?;
    demo.wait()?;
    Ok(())
}
