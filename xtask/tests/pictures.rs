//! The pictures of the documentation share one style, and say in words what they show.
//!
//! A page embeds a picture as an image, which cannot load a style sheet. So each picture has a
//! copy of `docs/pictures/style.css`; `BLESS=1 cargo test -p xtask --test pictures` renews them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::fs;

use soloist_devtools::paths::repo;

#[test]
fn pictures_have_the_shared_style_and_a_description() {
    let folder = repo().join("docs/pictures");
    let style = fs::read_to_string(folder.join("style.css")).unwrap();
    assert!(style.contains("prefers-color-scheme: dark"), "pictures must be readable in the dark");
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|it| it != "svg") {
            continue;
        }
        count += 1;
        let name = file.display();
        let picture = fs::read_to_string(&file).unwrap();
        for part in ["<title id=\"title\">", "<desc id=\"desc\">", "role=\"img\""] {
            assert!(picture.contains(part), "{name} lacks {part}");
        }
        let (before, rest) = picture.split_once("<style>\n").unwrap();
        let (own, after) = rest.split_once("  </style>").unwrap();
        if own == style {
            continue;
        }
        assert!(
            env::var_os("BLESS").is_some(),
            "the style of {name} is not that of style.css: `BLESS=1 cargo test -p xtask --test \
             pictures` copies it there"
        );
        fs::write(&file, format!("{before}<style>\n{style}  </style>{after}")).unwrap();
    }
    assert!(count > 0, "there are no pictures in {}", folder.display());
}
