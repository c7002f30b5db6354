//! What differs between the interfaces of soloist that a plugin was built against, and those of
//! this host. Only errors need it, so nothing here is fast.

use std::collections::BTreeSet;

use wit_parser::{
    Interface, InterfaceId, Resolve, WorldItem,
    decoding::{DecodedWasm, decode},
};

use super::{outline::Outline, wit, wit_text};

/// The package of soloist's interfaces, as the beginning of their names.
const OWN: &str = "soloist:plugin/";

/// What has changed in the interfaces that `component` uses, one text a change. Empty if nothing
/// has, or if the component cannot be read.
pub(super) fn of_component(component: &[u8]) -> Vec<String> {
    let (Ok(DecodedWasm::Component(theirs, world)), Ok((ours, _))) =
        (decode(component), wit::resolve())
    else {
        return Vec::new();
    };
    let world = &theirs.worlds[world];
    let used = world.imports.values().chain(world.exports.values());
    let used = used.filter_map(|item| match item {
        WorldItem::Interface { id, .. } => Some(*id),
        WorldItem::Function(_) | WorldItem::Type { .. } => None,
    });
    // An interface that is imported and exported is compared once.
    let mut changes = BTreeSet::new();
    for id in used {
        let Some(name) = theirs.id_of(id).filter(|name| name.starts_with(OWN)) else { continue };
        let Some(own) = interface(&ours, &name) else { continue };
        compare(&theirs, &theirs.interfaces[id], &ours, &ours.interfaces[own], &mut changes);
    }
    changes.into_iter().collect()
}

/// The functions of soloist that a core module with this outline imports or exports, and that this
/// host does not have. Their types are not part of a core module.
pub(super) fn of_module(outline: &Outline) -> Vec<String> {
    let Ok((ours, _)) = wit::resolve() else { return Vec::new() };
    let imported = outline.imports.iter().filter_map(|name| name.split_once("::"));
    let exported = outline.exports.iter().filter_map(|name| name.split_once('#'));
    let gone = imported.chain(exported).filter(|(interface_name, function)| {
        let own = interface_name.starts_with(OWN).then(|| interface(&ours, interface_name));
        let own = own.flatten().map(|id| &ours.interfaces[id]);
        own.is_some_and(|own| match function.strip_prefix("[resource-drop]") {
            Some(resource) => !own.types.contains_key(resource),
            None => !own.functions.contains_key(*function),
        })
    });
    gone.map(|(interface, function)| gone_text(&short(interface), function)).collect()
}

/// The interface of this host with this name and version.
fn interface(ours: &Resolve, name: &str) -> Option<InterfaceId> {
    ours.interfaces.iter().map(|(id, _)| id).find(|id| ours.id_of(*id).as_deref() == Some(name))
}

fn compare(
    theirs: &Resolve,
    used: &Interface,
    ours: &Resolve,
    own: &Interface,
    changes: &mut BTreeSet<String>,
) {
    let interface = own.name.as_deref().unwrap_or_default();
    for (name, function) in &used.functions {
        let Some(now) = own.functions.get(name) else {
            changes.insert(gone_text(interface, name));
            continue;
        };
        let (was, is) = (wit_text::signature(theirs, function), wit_text::signature(ours, now));
        if was != is {
            let name = function_name(interface, name);
            changes.insert(format!("`{name}` was `{was}` and is `{is}`"));
        }
    }
    for (name, id) in &used.types {
        // A type that is gone shows in the functions that use it.
        let now = own.types.get(name).and_then(|id| wit_text::parts(ours, *id));
        let Some((was, is)) = wit_text::parts(theirs, *id).zip(now) else { continue };
        if was != is {
            let (gone, new) = (missing_in(&was, &is), missing_in(&is, &was));
            changes.insert(match (gone.is_empty(), new.is_empty()) {
                (true, true) => format!("`{interface}.{name}` has another order"),
                (true, false) => format!("`{interface}.{name}` also has {new}"),
                (false, true) => format!("`{interface}.{name}` has no {gone}"),
                (false, false) => format!("`{interface}.{name}` has {new} and not {gone}"),
            });
        }
    }
}

fn gone_text(interface: &str, function: &str) -> String {
    format!("there is no `{}`", function_name(interface, function))
}

/// `tasks.pending-call.get` for the method `[method]pending-call.get` of `tasks`.
fn function_name(interface: &str, function: &str) -> String {
    let name = function.rsplit(']').next().unwrap_or(function);
    format!("{interface}.{name}")
}

/// `term` for `soloist:plugin/term@0.1.0`.
fn short(interface: &str) -> String {
    let name = interface.strip_prefix(OWN).unwrap_or(interface);
    name.split('@').next().unwrap_or(name).to_owned()
}

/// Those of `these` that are not in `those`, as a list.
fn missing_in(these: &[String], those: &[String]) -> String {
    let missing = these.iter().filter(|it| !those.contains(it));
    missing.map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// See `tests/former/README.md`.
    const FORMER: &[u8] = include_bytes!("../../tests/former/former.wasm");

    #[test]
    fn each_change_is_named() {
        let changes = of_component(FORMER);
        for change in [
            "there is no `term.ending`",
            "there is no `tasks.begin`",
            "there is no `tasks.cast`",
            "there is no `tasks.pending.take`",
            "`term.term-info` has `fencing-token: u64`, `deadline-in: duration` and not `token: u64`, `lease-remaining-ms: u64`",
            "`hooks.leader` has `fencing-token: u64` and not `group: string`, `token: u64`",
            "`task.handle` was `func(call: call) -> result<answer, failure>` and is `func(call: call) -> result<output, error>`",
            "`tasks.call` was `func(order: order) -> result<done, failure>` and is `func(request: call-request) -> result<outcome, error>`",
        ] {
            assert!(changes.iter().any(|it| it == change), "{change}: {changes:#?}");
        }
        assert!(!changes.iter().any(|it| it.contains("wasi")), "{changes:#?}");
    }

    #[test]
    fn a_core_module_has_functions_alone() {
        let outline = |imports: &[&str], exports: &[&str]| Outline {
            imports: imports.iter().map(|name| (*name).to_owned()).collect(),
            exports: exports.iter().map(|name| (*name).to_owned()).collect(),
            ..Outline::default()
        };
        let former = outline(
            &[
                "soloist:plugin/term@0.1.0::ending",
                "soloist:plugin/tasks@0.1.0::[resource-drop]pending",
                "soloist:plugin/tasks@0.1.0::[method]pending.take",
                "wasi:io/poll@0.2.12::gone",
            ],
            &["soloist:plugin/task@0.1.0#run"],
        );
        assert_eq!(
            of_module(&former),
            [
                "there is no `term.ending`",
                "there is no `tasks.pending`",
                "there is no `tasks.pending.take`",
                "there is no `task.run`"
            ]
        );
        let present = outline(
            &[
                "soloist:plugin/term@0.1.0::current",
                "soloist:plugin/tasks@0.1.0::[resource-drop]pending-call",
                "soloist:plugin/tasks@0.1.0::[method]pending-call.get",
            ],
            &["soloist:plugin/task@0.1.0#handle", "memory"],
        );
        assert!(of_module(&present).is_empty());
    }
}
