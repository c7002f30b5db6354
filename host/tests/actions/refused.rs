//! A file that is no plugin is refused, with a reason that names what is wrong.

use std::{fs, path::Path};

use soloist_guests::plugin::{Plugin, PluginEngine, PluginError};

use crate::rig::guest_file;

pub(crate) fn refusal(file: &Path) -> PluginError {
    let engine = PluginEngine::new(None).unwrap();
    let Err(error) = Plugin::load(&engine, file) else { panic!("{} was loaded", file.display()) };
    let text = error.to_string();
    assert!(text.contains(file.to_str().unwrap()), "names no file: {text}");
    error
}

/// The refusal of a file that holds `bytes`.
pub(crate) fn refusal_of(bytes: &[u8]) -> PluginError {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.wasm");
    fs::write(&file, bytes).unwrap();
    refusal(&file)
}

#[test]
fn unknown_imports_are_all_named() {
    let error = refusal(&guest_file("needs-unknown"));
    let PluginError::Imports { imports, .. } = &error else { panic!("{error}") };
    assert!(!imports.is_empty());
    assert!(imports.iter().all(|name| error.to_string().contains(name)), "{error}");
    assert!(imports.iter().all(|name| !name.starts_with("wasi:")), "{error}");
}

/// A component of former interfaces: the names of its imports are known, but not all that it uses
/// of them. See `host/guests/tests/former`.
#[test]
fn changed_interfaces_are_named() {
    let error = refusal_of(include_bytes!("../../guests/tests/former/former.wasm"));
    let PluginError::Interfaces { changes, .. } = &error else { panic!("{error}") };
    let text = error.to_string();
    for change in ["there is no `term.ending`", "`fencing-token: u64`", "result<output, error>"] {
        assert!(changes.iter().any(|it| it.contains(change)) && text.contains(change), "{text}");
    }
    assert!(text.contains("`soloist plugin bindings`"), "{text}");
}

#[test]
fn exports_are_listed_if_none_can_be_run() {
    let error = refusal(&guest_file("exports-nothing"));
    assert!(matches!(error, PluginError::NoKind { .. }), "{error}");
    assert!(error.to_string().contains("wasi:http/incoming-handler"), "{error}");
}

#[test]
fn what_is_not_wasm() {
    for bytes in [&b""[..], b"\0as", b"(component)", b"\x7fELF", b"\0asm\x09\0\0\0"] {
        let error = refusal_of(bytes);
        assert!(matches!(error, PluginError::NotWasm { .. }), "{error}");
    }
}

/// A component that imports one empty interface of this name.
fn importing(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    let empty_interface = [7, 3, 1, 0x42, 0];
    let import = [&[10, length + 5, 1, 0, length], name.as_bytes(), &[5, 0]].concat();
    [b"\0asm\x0d\0\x01\0", &empty_interface[..], &import].concat()
}

#[test]
fn both_versions_of_wasi_are_known() {
    for offered in ["wasi:http/types@0.2.0", "wasi:http/types@0.3.0"] {
        let error = refusal_of(&importing(offered));
        assert!(matches!(error, PluginError::NoKind { .. }), "{error}");
    }
}

#[test]
fn a_truncated_component() {
    let whole = fs::read(guest_file("i-am-server")).unwrap();
    for length in [9, 100, whole.len() / 2, whole.len() - 1] {
        let error = refusal_of(&whole[..length]);
        // Cut between two sections, the file is a valid component that exports nothing.
        let expected = matches!(error, PluginError::Compile { .. } | PluginError::NoKind { .. });
        assert!(expected, "{length}: {error}");
    }
}

#[test]
fn a_folder_and_nothing_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("x.wasm");
    assert!(matches!(refusal(&named), PluginError::Read { .. }));
    fs::create_dir(&named).unwrap();
    assert!(matches!(refusal(&named), PluginError::NotAFile { .. }));
}
