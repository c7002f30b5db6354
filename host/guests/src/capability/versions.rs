//! Tests that every gated interface is offered in exactly one version: a second version, by
//! wasmtime, would let guests bypass the gate.
//!
//! A linker cannot list what it offers, but it refuses to define what exists already. So the test
//! tries to define each function of the interfaces (`plugin/wit.rs`) in each version.

use std::collections::BTreeSet;

use wasmtime::{StoreContextMut, component::Linker};

use super::{GuestState, OFFERED, linker, linker_of_both};

/// Patch versions that are tried.
const VERSIONS: u32 = 64;

/// Functions of WASI 0.3 that send something or ask others for something. The file functions are
/// wasmtime's own.
const OF_0_3: [(&str, &[&str]); 3] = [
    (
        "wasi:sockets/types",
        &[
            "tcp-socket.connect",
            "tcp-socket.listen",
            "tcp-socket.send",
            "tcp-socket.receive",
            "udp-socket.connect",
            "udp-socket.send",
            "udp-socket.receive",
        ],
    ),
    ("wasi:sockets/ip-name-lookup", &["resolve-addresses"]),
    ("wasi:http/client", &["send"]),
];

/// Prefixes of function names, by kind.
const KINDS: [&str; 4] = ["", "[async]", "[method]", "[async method]"];

/// The functions of WASI 0.2 sockets with an effect: those that are replaced with gated ones
/// (`sockets/mod.rs`), and those where wasmtime calls the address check, which passes the gate.
const REPLACED: [&str; 3] = [
    "[method]tcp-socket.finish-connect",
    "resolve-addresses",
    "[method]resolve-address-stream.resolve-next-address",
];
const CHECKED: [&str; 10] = [
    "[method]tcp-socket.start-bind",
    "[method]tcp-socket.finish-bind",
    "[method]tcp-socket.start-connect",
    "[method]tcp-socket.start-listen",
    "[method]tcp-socket.finish-listen",
    "[method]tcp-socket.accept",
    "[method]udp-socket.start-bind",
    "[method]udp-socket.finish-bind",
    "[method]udp-socket.stream",
    "[method]outgoing-datagram-stream.send",
];
/// Parts of the names of functions without an effect.
const HARMLESS: [&str; 8] =
    ["set-", "subscribe", "-address", "-size", "-limit", "keep-alive", "create-", "is-listening"];
const ALSO_HARMLESS: [&str; 6] = [
    "[method]tcp-socket.address-family",
    "[method]tcp-socket.shutdown",
    "[method]udp-socket.address-family",
    "[method]incoming-datagram-stream.receive",
    "[method]outgoing-datagram-stream.check-send",
    "instance-network",
];

/// An interface without its version, its version, and its functions.
type InterfaceFunctions = (String, String, Vec<String>);

/// The offered interfaces of WASI 0.2, and those of soloist.
fn interfaces() -> Vec<InterfaceFunctions> {
    let (wit, _) = crate::plugin::wit::resolve().unwrap();
    let offered = |(id, interface): (_, &wit_parser::Interface)| {
        let name = wit.id_of(id)?;
        let (name, version) = name.split_once('@')?;
        let known = |(prefix, track): &(&str, &str)| {
            format!("{name}@{version}").starts_with(prefix) && version.starts_with(track)
        };
        let functions = interface.functions.keys().cloned().collect();
        OFFERED.iter().any(known).then(|| (name.to_owned(), version.to_owned(), functions))
    };
    wit.interfaces.iter().filter_map(offered).collect()
}

/// Whether this function exists. If not, it is defined now.
fn has(linker: &mut Linker<GuestState>, interface: &str, function: &str) -> bool {
    let nothing = |_: StoreContextMut<'_, GuestState>, (): ()| Ok(());
    linker.instance(interface).unwrap().func_wrap(function, nothing).is_err()
}

/// The versions of an interface, among those with the prefix `track`, that have `function`.
fn versions(
    linker: &mut Linker<GuestState>,
    interface: &str,
    track: &str,
    function: &str,
) -> Vec<String> {
    let all = (0..VERSIONS).map(|patch| format!("{track}{patch}"));
    all.filter(|version| has(linker, &format!("{interface}@{version}"), function)).collect()
}

/// Functions that are offered in another version than the known one, and the number of functions
/// that are not.
fn stray_versions(linker: &mut Linker<GuestState>) -> (Vec<String>, usize) {
    let (mut strays, mut known) = (Vec::new(), 0);
    let mut look = |interface: &str, version: &str, functions: &[String]| {
        // Drafts have no patch version.
        let Some((track, _)) = version.rsplit_once('.').filter(|_| !version.contains('-')) else {
            return;
        };
        for function in functions {
            let found = versions(linker, interface, &format!("{track}."), function);
            if found == [version] {
                known += 1;
            } else if !found.is_empty() {
                strays.push(format!("{interface} {function}: {found:?} and not {version}"));
            }
        }
    };
    for (interface, version, functions) in interfaces() {
        look(&interface, &version, &functions);
    }
    (strays, known)
}

fn engine(concurrent: bool) -> wasmtime::Engine {
    let mut config = wasmtime::Config::new();
    config.concurrency_support(concurrent);
    wasmtime::Engine::new(&config).unwrap()
}

#[test]
fn what_is_offered_is_offered_in_one_version() {
    let mut linker = linker(&engine(false)).unwrap();
    let (none, known) = stray_versions(&mut linker);
    assert!(none.is_empty() && known > 150, "{none:?} of {known}");
    // Simulates an update of wasmtime that offers the next version in addition.
    let next = "wasi:sockets/tcp@0.2.13";
    let mut linker = super::linker(&engine(false)).unwrap();
    assert!(!has(&mut linker, next, REPLACED[0]));
    let (strays, _) = stray_versions(&mut linker);
    assert!(strays.len() == 1 && strays[0].contains("0.2.13"), "{strays:?}");
}

#[test]
fn what_leaves_by_wasi_0_3_does_in_one_version() {
    let mut linker = linker_of_both(&engine(true)).unwrap();
    for (interface, functions) in OF_0_3 {
        for function in functions {
            let found = KINDS.iter().flat_map(|kind| {
                versions(&mut linker, interface, "0.3.", &format!("{kind}{function}"))
            });
            assert_eq!(found.collect::<Vec<_>>(), ["0.3.0"], "{interface} {function}");
        }
    }
}

#[test]
fn every_function_of_sockets_is_known() {
    let all = interfaces().into_iter().filter(|(name, ..)| name.starts_with("wasi:sockets/"));
    let all: BTreeSet<String> = all.flat_map(|(.., functions)| functions).collect();
    assert!(all.len() > 50, "{all:?}");
    let gated: Vec<_> = REPLACED.iter().chain(&CHECKED).collect();
    for function in &gated {
        assert!(all.contains(**function), "there is no {function} any more");
    }
    let harmless = |function: &str| {
        HARMLESS.iter().any(|part| function.contains(part)) || ALSO_HARMLESS.contains(&function)
    };
    let unknown: Vec<_> = all
        .iter()
        .filter(|it| !gated.iter().any(|gated| **gated == it.as_str()) && !harmless(it))
        .collect();
    assert!(unknown.is_empty(), "what stands before these? {unknown:?}");
}
