//! Code from the compile cache is run exactly as it was stored, or not at all.

use std::{
    fs,
    path::{Path, PathBuf},
};

use soloist_guests::plugin::{Plugin, PluginEngine};

use crate::{log::Log, rig::guest_file};

/// An engine that trusts its cache as little as a host does.
fn engine(cache: &Path) -> PluginEngine {
    let program = env!("CARGO_BIN_EXE_soloist").into();
    PluginEngine::new(Some(cache.to_owned())).unwrap().with_vetting(program, None)
}

/// The files that wasmtime would load.
fn pieces(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| match path.is_dir() {
        true => pieces(&path),
        false => vec![path].into_iter().filter(|path| path.extension().is_none()).collect(),
    };
    entries.flat_map(below).collect()
}

fn flip(piece: &Path, bit: usize) {
    let mut bytes = fs::read(piece).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(piece, bytes).unwrap();
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_is() {
    let log = Log::of_all();
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let file = guest_file("i-am-server");
    Plugin::load(&engine(&cache), &file).unwrap();
    let [piece] = &pieces(&cache.join("wasmtime"))[..] else { panic!("one piece a plugin") };
    let bits = fs::read(piece).unwrap().len() * 8;
    let seen = || log.text().matches("the compile cache is damaged").count();
    // From the first bit to the last.
    for step in 0..8 {
        let before = seen();
        flip(piece, step * (bits - 8) / 7);
        Plugin::load(&engine(&cache), &file).expect("it is compiled again");
        assert_eq!(seen(), before + 1, "bit {step} of 8 was believed");
        Plugin::load(&engine(&cache), &file).unwrap();
        assert_eq!(seen(), before + 1, "what was compiled again is sound");
    }
    let text = log.text();
    assert!(
        text.contains(&piece.display().to_string()) && text.contains("is compiled again"),
        "{text}"
    );
}

#[test]
fn what_no_note_speaks_of_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let file = guest_file("i-am-server");
    // This engine checks nothing: there is no record of what the file should contain.
    Plugin::load(&PluginEngine::new(Some(cache.clone())).unwrap(), &file).unwrap();
    let before = pieces(&cache.join("wasmtime"));
    assert_eq!(before.len(), 1);
    flip(&before[0], 1000);
    let damaged = fs::read(&before[0]).unwrap();
    Plugin::load(&engine(&cache), &file).unwrap();
    let after = pieces(&cache.join("wasmtime"));
    assert_eq!(after, before);
    assert_ne!(fs::read(&after[0]).unwrap(), damaged, "it was loaded as it lay there");
}
