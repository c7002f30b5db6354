//! A file that is run from copies of it, under the name by which people know it.

use std::path::Path;

/// Puts the name of a file wherever a text names one of its copies.
#[derive(Clone)]
pub(super) struct FileAlias {
    file: String,
    copies: Vec<String>,
}

impl FileAlias {
    /// `file` stands for these copies.
    pub(super) fn new(file: &Path, copies: &[&Path]) -> Self {
        let text = |path: &Path| path.display().to_string();
        let copies = copies.iter().map(|copy| text(copy)).filter(|copy| *copy != text(file));
        Self { file: text(file), copies: copies.collect() }
    }

    /// `text` as it is shown.
    pub(super) fn shown(&self, text: String) -> String {
        self.copies.iter().fold(text, |text, copy| {
            if text.contains(copy) { text.replace(copy, &self.file) } else { text }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_shown_as_the_file() {
        let [file, copy, other] = ["web.wasm", "/tmp/x/web.wasm", "/tmp/y/web.wasm"].map(Path::new);
        let alias = FileAlias::new(file, &[copy, other, file]);
        let shown = |text: &str| alias.shown(text.to_owned());
        assert_eq!(shown("compiling /tmp/x/web.wasm"), "compiling web.wasm");
        assert_eq!(shown("/tmp/y/web.wasm is no plugin"), "web.wasm is no plugin");
        assert_eq!(shown("web.wasm was removed"), "web.wasm was removed");
    }
}
