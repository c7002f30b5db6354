//! The plugins of a demo: those of a folder, or the one that is part of this program, so that the
//! demo works where nothing but the program is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::cli::{ExitError, embedded_plugin};
use soloist_config as config;

/// The folder that is looked at if none is named.
const USUAL: &str = "plugins";

/// The plugins of a demo.
pub(super) struct DemoPlugins {
    pub(super) folder: PathBuf,
    pub(super) names: Vec<String>,
    /// Whether this is the plugin that is part of this program.
    pub(super) embedded: bool,
}

impl DemoPlugins {
    /// Those of the folder that was named, or of `plugins` if there are any, or else the embedded
    /// one, which is written below `scratch`.
    pub(super) fn find(named: Option<&Path>, scratch: &Path) -> Result<Self, ExitError> {
        let of = |folder: &Path, names| Self { folder: folder.to_owned(), names, embedded: false };
        if let Some(folder) = named {
            return Ok(of(folder, names_in(folder)?));
        }
        let usual = Path::new(USUAL);
        match names_in(usual) {
            Ok(names) => Ok(of(usual, names)),
            Err(_) => Self::write_embedded(scratch)
                .map_err(|error| ExitError::internal("cannot write the demo's plugin", &error)),
        }
    }

    fn write_embedded(scratch: &Path) -> io::Result<Self> {
        let folder = scratch.join(USUAL);
        fs::create_dir(&folder)?;
        embedded_plugin::write(&folder)?;
        Ok(Self { folder, names: vec![embedded_plugin::NAME.to_owned()], embedded: true })
    }
}

/// The names of the plugins in a folder, of which there must be one.
fn names_in(folder: &Path) -> Result<Vec<String>, ExitError> {
    let help = "name a folder with a *.wasm file, or leave --plugins out for the plugin of this \
                program";
    let shown = folder.display();
    let found = config::components(folder).map_err(|error| {
        ExitError::of_file(format!("cannot read the plugins folder `{shown}`"), &error).help(help)
    })?;
    if found.is_empty() {
        let problem = format!("there is no component (*.wasm) in `{shown}`");
        return Err(ExitError::missing(problem).help(help));
    }
    let name = |file: &String| file.strip_suffix(".wasm").map(ToOwned::to_owned);
    Ok(found.iter().filter_map(name).collect())
}
