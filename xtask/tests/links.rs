//! Every link of every page leads somewhere: to a file that is there, and to a heading of it. And
//! the table of contents (`docs/SUMMARY.md`) leads to every page of `docs/`. Every page has one title.
//!
//! Addresses of other sites are not asked: a test must not depend on them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use soloist_devtools::paths::repo;

/// Where pages are: these folders with all that is in them, and the files of the root.
const FOLDERS: [&str; 6] = [".github", "docs", "examples", "plugins", "tests", "wit"];
/// Folders of build results and of other projects.
const SKIPPED: [&str; 4] = ["node_modules", "target", "vendor", "fixtures"];
const SUMMARY: &str = "docs/SUMMARY.md";

/// What other pages can link to, and what a page links to.
#[derive(Default)]
struct Page {
    /// The number of headings of the first level.
    titles: usize,
    anchors: BTreeSet<String>,
    links: Vec<String>,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let mut headings = BTreeMap::<String, usize>::new();
        for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { level, .. }) => {
                    page.titles += usize::from(level == HeadingLevel::H1);
                    heading = Some(String::new());
                }
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap());
                    let number = headings.entry(anchor.clone()).or_default();
                    page.anchors.insert(match *number {
                        0 => anchor,
                        more => format!("{anchor}-{more}"),
                    });
                    *number += 1;
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::Html(html) | Event::InlineHtml(html) => page.read_html(&html),
                _ => {}
            }
        }
        page
    }

    fn read_html(&mut self, html: &str) {
        for attribute in ["href=\"", "src=\"", "srcset=\""] {
            let values = html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
            self.links.extend(values.map(ToOwned::to_owned));
        }
        let ids = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next());
        self.anchors.extend(ids.map(ToOwned::to_owned));
    }
}

/// The anchor that GitHub and mdBook give to a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let dashed = |c| if c == ' ' { '-' } else { c };
    heading.trim().to_lowercase().chars().filter(kept).map(dashed).collect()
}

/// Adds the pages in `folder`, by their path from the root.
fn collect(folder: &Path, deep: bool, pages: &mut BTreeMap<PathBuf, Page>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let skipped = path.file_name().is_some_and(|name| SKIPPED.iter().any(|it| name == *it));
        if path.is_dir() {
            if deep && !skipped {
                collect(&path, deep, pages);
            }
        } else if path.extension().is_some_and(|it| it == "md") {
            let page = Page::read(&fs::read_to_string(&path).unwrap());
            pages.insert(path.strip_prefix(repo()).unwrap().to_owned(), page);
        }
    }
}

fn pages() -> BTreeMap<PathBuf, Page> {
    let mut pages = BTreeMap::new();
    collect(repo(), false, &mut pages);
    for folder in FOLDERS {
        collect(&repo().join(folder), true, &mut pages);
    }
    pages
}

/// The file that `target` means in the page `from`, by its path from the root; none if that leads
/// out of it.
fn resolve(from: &Path, target: &str) -> Option<PathBuf> {
    let mut path = from.parent().unwrap().to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// What is wrong with a link.
fn fault(from: &Path, link: &str, pages: &BTreeMap<PathBuf, Page>) -> Option<&'static str> {
    let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
    let file = if target.is_empty() { Some(from.to_owned()) } else { resolve(from, target) };
    let Some(file) = file else { return Some("leads out of the repository") };
    if !repo().join(&file).exists() {
        return Some("leads to no file");
    }
    let has_anchor = |page: &Page| page.anchors.contains(anchor);
    if !anchor.is_empty() && !pages.get(&file).is_some_and(has_anchor) {
        return Some("leads to no heading of that page");
    }
    None
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let (mut faults, mut count) = (String::new(), 0);
    for (file, page) in &pages {
        let own = page.links.iter().filter(|link| !link.contains("://") && !is_mail(link));
        for link in own {
            count += 1;
            if let Some(fault) = fault(file, link, &pages) {
                let _ = writeln!(faults, "{}: {link} {fault}", file.display());
            }
        }
    }
    assert!(count > 200, "only {count} links were found");
    assert!(faults.is_empty(), "\n{faults}");
}

fn is_mail(link: &str) -> bool {
    link.starts_with("mailto:")
}

/// A page that is in no table of contents is not in the book, and nobody finds it.
#[test]
fn the_table_of_contents_leads_to_every_page() {
    let pages = pages();
    let summary = Path::new(SUMMARY);
    let listed = pages[summary].links.iter().filter_map(|link| resolve(summary, link));
    let listed: BTreeSet<_> = listed.collect();
    let missing = pages
        .keys()
        .filter(|page| page.starts_with("docs") && *page != summary && !listed.contains(*page));
    let missing: Vec<_> = missing.map(|page| page.display().to_string()).collect();
    assert!(missing.is_empty(), "{SUMMARY} does not link to {}", missing.join(", "));
}

/// A second one would begin another page, for a reader of the book and for a search engine.
#[test]
fn every_page_has_one_title() {
    let pages = pages();
    // The forms in `.github` become the text of something that has a title, and the summary's
    // headings are the parts of the book.
    let is_page = |file: &Path| !file.starts_with(".github") && file != Path::new(SUMMARY);
    let other = pages.iter().filter(|(file, page)| is_page(file) && page.titles != 1);
    let other: Vec<_> = other.map(|(file, _)| file.display().to_string()).collect();
    assert!(other.is_empty(), "more headings of the first level than one, or none: {other:?}");
}

#[test]
fn anchors_are_those_of_github() {
    for (heading, expected) in [
        ("Errors: 421, 502, 503", "errors-421-502-503"),
        ("What it needs", "what-it-needs"),
        ("etcdctl lock", "etcdctl-lock"),
        ("3. Tokens, for people", "3-tokens-for-people"),
    ] {
        assert_eq!(anchor(heading), expected);
    }
    let page = Page::read("# A\n## `a b`\n## A\n");
    assert_eq!(page.anchors, ["a", "a-b", "a-1"].map(ToOwned::to_owned).into());
}
