//! The imports and exports of a WebAssembly file, read without compiling it.

use wasmparser::{Parser, Payload};

/// The external names of a module or a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Its imports, in order; those of a core module as `module::name`.
    pub(super) imports: Vec<String>,
    /// Its exports, in order.
    pub(super) exports: Vec<String>,
    /// Whether it is a core module with an embedded WIT world.
    pub(super) world: bool,
    /// How deep modules and components are nested in it; zero if there are none.
    pub(super) depth: usize,
}

/// The prefix of the custom sections in which binding generators embed the world of a core module.
const WORLD: &str = "component-type";

impl Outline {
    /// Reads the outline of `bytes`.
    ///
    /// # Errors
    /// When the file is truncated, or is not WebAssembly.
    pub(super) fn read(bytes: &[u8]) -> wasmparser::Result<Self> {
        let mut outline = Self::default();
        // Names within a nested component are skipped.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    depth += 1;
                    outline.depth = outline.depth.max(depth);
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                payload if depth == 0 => outline.record(payload)?,
                _ => {}
            }
        }
        Ok(outline)
    }

    fn record(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    self.imports.push(format!("{}::{}", import.module, import.name));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.to_owned());
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) => self.world |= section.name().starts_with(WORLD),
            _ => {}
        }
        Ok(())
    }
}
