//! Plugins that come to a running host while another one is being compiled, which takes long.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use soloist_guests::plugin::PluginEngine;
use tokio::time::timeout;

use crate::{
    reload::WatchedFolder,
    rig::{self, PATIENCE, guest_file},
};

/// Larger than the plugins that should compile fast, in bytes.
const LARGE: usize = 1 << 20;

/// A program that compiles like soloist. Given a large plugin, it creates the file `began` and
/// waits for `go`.
fn slow_compiler(folder: &Path) -> PathBuf {
    let program = folder.join("compiler");
    let script = format!(
        "#!/bin/sh\nif [ $(/usr/bin/stat -L -c %s /dev/stdin) -gt {LARGE} ]; then\n\
         : > {folder}/began\nuntil [ -e {folder}/go ]; do sleep 0.05; done\nfi\n\
         exec {soloist} \"$@\"\n",
        folder = folder.display(),
        soloist = env!("CARGO_BIN_EXE_soloist"),
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// Lets the slow compiler go on when this is dropped, however the test ends.
struct ReleaseCompiler(PathBuf);

impl Drop for ReleaseCompiler {
    fn drop(&mut self) {
        // The folder may be gone, and the compiler with it.
        let _ = fs::write(&self.0, "");
    }
}

/// A plugin of more than [`LARGE`] bytes, most of which are padding.
fn large() -> Vec<u8> {
    let mut plugin = fs::read(guest_file("hello")).unwrap();
    // A custom section: its id, its size, and an empty name (WebAssembly, 5.5.3).
    let mut size = [0; 4];
    for (place, byte) in size.iter_mut().enumerate() {
        let more = if place < 3 { 0x80 } else { 0 };
        *byte = u8::try_from((LARGE >> (7 * place)) & 0x7f).unwrap() | more;
    }
    plugin.push(0);
    plugin.extend(size);
    plugin.resize(plugin.len() + LARGE, 0);
    plugin
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_what_is_compiled() {
    let tools = tempfile::tempdir().unwrap();
    let go = ReleaseCompiler(tools.path().join("go"));
    let engine = PluginEngine::new(None).unwrap().with_vetting(slow_compiler(tools.path()), None);
    let mut kept = WatchedFolder::up_by(engine);
    let plugins = kept.folder.path().join("plugins");
    let names = |kept: &WatchedFolder| {
        let programme = kept.programme.borrow();
        programme.actions.iter().map(|action| action.name().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&kept), ["web"]);

    fs::write(plugins.join("large.wasm"), large()).unwrap();
    rig::until("it is compiled", || tools.path().join("began").exists()).await;
    fs::copy(guest_file("hello"), plugins.join("small.wasm")).unwrap();
    these(&mut kept, &["small", "web"]).await;
    fs::remove_file(plugins.join("web.wasm")).unwrap();
    fs::remove_file(plugins.join("web.toml")).unwrap();
    these(&mut kept, &["small"]).await;

    drop(go);
    these(&mut kept, &["large", "small"]).await;
    kept.down().await;
}

/// Waits until exactly these actions are there.
async fn these(kept: &mut WatchedFolder, names: &[&str]) {
    let are = kept.programme.wait_for(|programme| {
        programme.actions.iter().map(|action| &**action.name()).eq(names.iter().copied())
    });
    timeout(PATIENCE, are).await.expect("they do not come").unwrap();
}
