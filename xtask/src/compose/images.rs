//! The images that the example names, made of Debian's packages.
//!
//! They contain what soloist and etcd need of the images in the registries. Like those, they have
//! no shell: an image that needed one would fail here as well.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use anyhow::{Context, Result};
use soloist_devtools::{cmd, debian, paths, sandbox};

use super::engine::Engine;

/// The user of Google's distroless images.
const NONROOT: u32 = 65532;
const USERS: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
                     nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";

/// An image: its packages, and the file in the repository that names it.
struct Recipe {
    folder: &'static str,
    file: &'static str,
    /// The text before the image's name in that file.
    before: &'static str,
    packages: &'static [&'static str],
}

const BASE: Recipe = Recipe {
    folder: "base",
    file: "Dockerfile",
    before: "FROM gcr.io/",
    packages: &["base-files", "netbase", "libc6", "libgcc-s1"],
};
const ETCD: Recipe = Recipe {
    folder: "etcd",
    file: "examples/compose/docker-compose.yml",
    before: "image: gcr.io/",
    packages: &["libc6", "etcd-server"],
};

impl Recipe {
    /// The image's name, as the example writes it.
    fn name(&self) -> Result<String> {
        let text = fs::read_to_string(paths::repo().join(self.file))?;
        let at = text
            .find(self.before)
            .with_context(|| format!("{} names no image after `{}`", self.file, self.before))?;
        let name = text.get(at..).unwrap_or_default().split_whitespace().nth(1);
        Ok(name.unwrap_or_default().to_owned())
    }

    fn unpack(&self, images: &Path) -> Result<()> {
        let (packages, root) = (images.join("packages"), images.join(self.folder));
        fs::create_dir_all(root.join("tmp"))?;
        for package in self.packages {
            debian::unpack(package, &packages, &root)?;
        }
        Ok(())
    }
}

/// Creates the folders with the images' content in `folder`.
pub(super) fn make(folder: &Path) -> Result<()> {
    let images = folder.join("images");
    for recipe in [&BASE, &ETCD] {
        recipe.unpack(&images)?;
    }
    let base = images.join(BASE.folder);
    let home = base.join("home/nonroot");
    fs::create_dir_all(&home)?;
    chown(&home, Some(NONROOT), Some(NONROOT))?;
    fs::write(base.join("etc/passwd"), USERS)?;
    // etcd's own image has its program at this path.
    let etcd = images.join(ETCD.folder);
    fs::create_dir_all(etcd.join("usr/local/bin"))?;
    symlink("/usr/bin/etcd", etcd.join("usr/local/bin/etcd"))?;
    Ok(())
}

/// Imports the images into `engine`.
pub(super) fn import(folder: &Path, engine: &Engine) -> Result<()> {
    for recipe in [&BASE, &ETCD] {
        let root = folder.join("images").join(recipe.folder);
        let archive = root.with_extension("tar");
        let mut tar = sandbox::tool("tar");
        tar.args(["--numeric-owner", "-c", "-f"]).arg(&archive).arg("-C").arg(&root).arg(".");
        cmd::output(&mut tar)?;
        let mut import = engine.docker(&["import"]);
        if recipe.folder == ETCD.folder {
            import.args(["--change", "CMD [\"/usr/local/bin/etcd\"]"]);
        }
        cmd::output(import.arg(&archive).arg(recipe.name()?))?;
    }
    Ok(())
}
