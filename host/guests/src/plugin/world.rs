//! Finds the WIT world of a core module that does not carry one.
//!
//! A world is normally embedded in a custom section, but Go's linker writes none. The names of the
//! module's exports are those that the worlds of `soloist:plugin` require, so they tell which world
//! it was built for.

use wit_component::{StringEncoding, embed_component_metadata};

use super::{outline::Outline, plugin_error::BoxError, wit};

/// A function that only modules of this world export.
const MARKER_EXPORTS: &[(&str, &str)] = &[
    ("wasi:http/incoming-handler@0.2.12#handle", "http-plugin"),
    ("wasi:cli/run@0.2.12#run", "service-plugin"),
    ("soloist:plugin/task@0.1.0#handle", "task-plugin"),
    ("soloist:plugin/strategy@0.1.0#rank", "strategy-plugin"),
    ("soloist:plugin/hooks@0.1.0#on-leader", "hooks-plugin"),
];

/// The export by which a module without a world says that it was built for the interfaces of this
/// version: `soloist plugin bindings` writes it into the runtime of Go's bindings. A module has no
/// types of records, so its imports cannot show that it takes a field for another one. The number
/// rises with each change of an interface that keeps the names of its functions.
pub const INTERFACES_EXPORT: &str = "soloist_interfaces_1";

/// Whether a module with this outline, which carries no world, uses interfaces of soloist and does
/// not say that they are those of this version.
pub(super) fn hides_its_interfaces(outline: &Outline) -> bool {
    let own = |name: &String| name.starts_with("soloist:plugin/");
    let says = outline.exports.iter().any(|export| export == INTERFACES_EXPORT);
    !says && outline.imports.iter().chain(&outline.exports).any(own)
}

/// The world that a module with this outline was built for, if it can be told.
pub(super) fn world_of(outline: &Outline) -> Option<&'static str> {
    let exported = |name: &str| outline.exports.iter().any(|export| export == name);
    MARKER_EXPORTS.iter().find(|(mark, _)| exported(mark)).map(|(_, world)| *world)
}

/// Embeds `world` into `module`, as its compiler could have done.
pub(super) fn with_world(module: &[u8], world: &str) -> Result<Vec<u8>, BoxError> {
    let (resolve, package) = wit::resolve()?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut module = module.to_owned();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(exports: &[&str]) -> Option<&'static str> {
        let exports = exports.iter().map(|name| (*name).to_owned()).collect();
        world_of(&Outline { exports, ..Outline::default() })
    }

    #[test]
    fn a_world_is_known_by_what_is_exported() {
        let http = "wasi:http/incoming-handler@0.2.12#handle";
        assert_eq!(world(&["memory", http]), Some("http-plugin"));
        assert_eq!(world(&["wasi:cli/run@0.2.12#run", "_initialize"]), Some("service-plugin"));
        assert_eq!(world(&["soloist:plugin/task@0.1.0#handle"]), Some("task-plugin"));
        assert_eq!(world(&["_start", "handle", "wasi:http/incoming-handler@0.2.12"]), None);
    }

    #[test]
    fn a_module_without_a_world_has_to_say_for_which_interfaces_it_was_built() {
        let outline = |imports: &[&str], exports: &[&str]| Outline {
            imports: imports.iter().map(|name| (*name).to_owned()).collect(),
            exports: exports.iter().map(|name| (*name).to_owned()).collect(),
            ..Outline::default()
        };
        let (reads, run) = ("soloist:plugin/term@0.1.0::current", "wasi:cli/run@0.2.12#run");
        assert!(hides_its_interfaces(&outline(&[reads], &[run])));
        assert!(hides_its_interfaces(&outline(&[], &["soloist:plugin/hooks@0.1.0#on-leader"])));
        assert!(!hides_its_interfaces(&outline(&[reads], &[run, INTERFACES_EXPORT])));
        assert!(!hides_its_interfaces(&outline(&["wasi:io/poll@0.2.12::poll"], &[run])));
    }

    #[test]
    fn every_mark_is_a_function_of_its_world() {
        let (resolve, package) = wit::resolve().unwrap();
        for (mark, world) in MARKER_EXPORTS {
            let (interface, function) = mark.split_once('#').unwrap();
            let world = resolve.packages[package].worlds[*world];
            let exports = &resolve.worlds[world].exports;
            let id = exports.keys().find_map(|key| match key {
                wit_parser::WorldKey::Interface(id) => {
                    (resolve.id_of(*id).as_deref() == Some(interface)).then_some(*id)
                }
                wit_parser::WorldKey::Name(_) => None,
            });
            let id = id.unwrap_or_else(|| panic!("no {interface} in its world"));
            assert!(resolve.interfaces[id].functions.contains_key(function), "{mark}");
        }
    }
}
