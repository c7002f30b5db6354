//! The format of a file, recognised from its first bytes.

use std::fmt;

/// The first bytes of every WebAssembly file; the layer follows.
const MAGIC: &[u8] = b"\0asm";
const LAYER_MODULE: &[u8] = &[1, 0, 0, 0];
const LAYER_COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
/// The first bytes of a Linux program.
const ELF: &[u8] = b"\x7fELF";
/// How many bytes are examined to tell whether a file is text.
const SAMPLE: usize = 4096;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// A WebAssembly component.
    Component,
    /// A WebAssembly core module, which the host lifts to a component if it can.
    Module,
    /// WebAssembly of another version.
    OtherWasm,
    /// The file is empty.
    Empty,
    /// The text format of WebAssembly.
    TextFormat,
    /// Another kind of text.
    Text,
    /// A program for a processor.
    Elf,
    /// Another kind of file.
    Other,
}

impl FileFormat {
    /// The format of a file that holds `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes.strip_prefix(MAGIC) {
            Some(rest) if rest.starts_with(LAYER_COMPONENT) => Self::Component,
            Some(rest) if rest.starts_with(LAYER_MODULE) => Self::Module,
            Some(_) => Self::OtherWasm,
            None if bytes.is_empty() => Self::Empty,
            None if bytes.starts_with(ELF) => Self::Elf,
            None => text(bytes).unwrap_or(Self::Other),
        }
    }

    /// Whether the file has exports and imports.
    #[must_use]
    pub fn is_wasm(self) -> bool {
        matches!(self, Self::Component | Self::Module)
    }

    /// What to do about a file that is not WebAssembly.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Empty => "copy it again",
            Self::TextFormat => "assemble it first (`wasm-tools parse`)",
            Self::Text => {
                "check its content, which may be an error page; then build it or download it again"
            }
            Self::Elf => "build it for WebAssembly (the target `wasm32-wasip2`, GOOS=wasip1)",
            Self::OtherWasm => "copy it again, or build it with released tools",
            Self::Component | Self::Module | Self::Other => "build it again, or copy it again",
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Component => "component",
            Self::Module => "core module",
            Self::OtherWasm => "WebAssembly of another version",
            Self::Empty => "empty file",
            Self::TextFormat => "text format of WebAssembly",
            Self::Text => "text",
            Self::Elf => "program for a processor (ELF)",
            Self::Other => "something else",
        })
    }
}

/// Which kind of text it is; `None` if it is not text.
fn text(bytes: &[u8]) -> Option<FileFormat> {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let text = match std::str::from_utf8(sample) {
        Ok(text) => text,
        // The sample may end within a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&sample[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    if text.contains(|c: char| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let code = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(";;"));
    let assembles = code
        .is_some_and(|line| ["(module", "(component"].iter().any(|begin| line.starts_with(begin)));
    Some(if assembles { FileFormat::TextFormat } else { FileFormat::Text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_how_it_begins() {
        for (bytes, form) in [
            (&b""[..], FileFormat::Empty),
            (b"\0asm\x0d\0\x01\0", FileFormat::Component),
            (b"\0asm\x01\0\0\0", FileFormat::Module),
            (b"\0asm\x0b\0\x01\0", FileFormat::OtherWasm),
            (b"\0asm", FileFormat::OtherWasm),
            (b"\x7fELF\x02\x01", FileFormat::Elf),
            (b";; hello\n  (module)", FileFormat::TextFormat),
            (b"(component)", FileFormat::TextFormat),
            (b"<!DOCTYPE html>\n<title>Not found</title>", FileFormat::Text),
            ("gr\u{fc}n".as_bytes(), FileFormat::Text),
            (b"\x1f\x8b\x08\0", FileFormat::Other),
            (b"PK\x03\x04", FileFormat::Other),
        ] {
            assert_eq!(FileFormat::of(bytes), form, "{bytes:?}");
        }
        // A sample that ends within a character.
        let long = "\u{e4}".repeat(SAMPLE);
        assert_eq!(FileFormat::of(&long.as_bytes()[..SAMPLE + 1]), FileFormat::Text);
    }
}
