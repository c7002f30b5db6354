//! `cargo xtask book`: the documentation as a book, in target/book/.
//!
//! mdBook shows the pages in `docs/` alone. A link to another file of the repository becomes an
//! address at the repository's site, which `git-repository-url` in book.toml names; without one, only
//! its text stays. mdBook calls this program for that (`[preprocessor]` in book.toml). At the end
//! every link within the book is looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use soloist_devtools::{cmd, paths, tools};

/// The folder of the pages, in the repository.
const PAGES: &str = "docs";
/// The branch that addresses at the repository's site name.
const BRANCH: &str = "main";
/// Pages that mdBook makes of all others, or that no page links to.
const MADE: [&str; 3] = ["print.html", "404.html", "toc.html"];

/// Builds the book, and looks up its links.
pub(crate) fn run() -> Result<()> {
    let programs =
        tools::install("mdbook", "mdbook", &["--no-default-features", "--features", "search"])?;
    let mut build = std::process::Command::new(programs.join("mdbook"));
    cmd::run(build.arg("build").current_dir(paths::repo()))?;
    let book = paths::repo().join("target/book");
    let pages = pages_in(&book)?;
    let faults: Vec<_> =
        pages.iter().flat_map(|(page, html)| faults(page, html, &pages, &book)).collect();
    if !faults.is_empty() {
        bail!("links of the book lead nowhere:\n{}", faults.join("\n"));
    }
    println!("{}", book.join("index.html").display());
    Ok(())
}

/// Answers mdBook, which asks by `arguments` whether this is for an output, or hands over the book.
pub(crate) fn preprocess(arguments: &[String]) -> Result<()> {
    if let [_, _output] = arguments {
        return Ok(());
    }
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let mut input: Value = serde_json::from_str(&input).context("no book of mdBook")?;
    let site =
        input[0]["config"]["output"]["html"]["git-repository-url"].as_str().map(str::to_owned);
    rewrite_chapters(&mut input[1], site.as_deref());
    println!("{}", input[1]);
    Ok(())
}

/// Rewrites the links of every chapter in `value`, a part of a book.
fn rewrite_chapters(value: &mut Value, site: Option<&str>) {
    if let (Some(path), Some(content)) = (value["path"].as_str(), value["content"].as_str()) {
        let content = rewrite(content, Path::new(path), site);
        value["content"] = content.into();
    }
    match value {
        Value::Array(values) => values.iter_mut().for_each(|it| rewrite_chapters(it, site)),
        Value::Object(map) => map.values_mut().for_each(|it| rewrite_chapters(it, site)),
        _ => {}
    }
}

/// The text of the chapter `page` with its links as they are in the book.
fn rewrite(text: &str, page: &Path, site: Option<&str>) -> String {
    let mut in_block = false;
    let lines = text.lines().map(|line| {
        in_block ^= line.trim_start().starts_with("```");
        if in_block { line.to_owned() } else { rewrite_line(line, page, site) }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn rewrite_line(line: &str, page: &Path, site: Option<&str>) -> String {
    let mut done = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("](") {
        let Some((target, behind)) = after.split_once(')') else { break };
        rest = behind;
        done += before;
        match (outside(page, target), site) {
            (None, _) => done += &format!("]({})", target.replace("README.md", "index.md")),
            (Some(file), Some(site)) => done += &format!("]({site}/blob/{BRANCH}/{file})"),
            (Some(_), None) => {
                if let Some(opening) = done.rfind('[') {
                    done.remove(opening);
                }
            }
        }
    }
    done + rest
}

/// The file of the repository that `target` means on `page`, with its anchor, if it is not a page.
fn outside(page: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with('#') || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(f, a)| (f, Some(a)));
    let file = joined(&Path::new(PAGES).join(page), file)?;
    if file.starts_with(PAGES) {
        return None;
    }
    let anchor = anchor.map(|anchor| format!("#{anchor}")).unwrap_or_default();
    Some(format!("{}{anchor}", file.display()))
}

/// The file that `target` means in the file `from`.
fn joined(from: &Path, target: &str) -> Option<PathBuf> {
    let mut file = from.parent()?.to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => file.push(name),
            Component::ParentDir if !file.pop() => return None,
            _ => {}
        }
    }
    Some(file)
}

/// The HTML of the pages in `folder`, by their paths.
fn pages_in(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        let made = MADE.iter().any(|name| path.ends_with(name));
        if path.is_dir() {
            pages.extend(pages_in(&path)?);
        } else if path.extension().is_some_and(|it| it == "html") && !made {
            let html = fs::read_to_string(&path)?;
            pages.insert(path, html);
        }
    }
    Ok(pages)
}

/// The links of `page` that lead to no file of the book, or to no heading of a page.
fn faults(page: &Path, html: &str, pages: &BTreeMap<PathBuf, String>, book: &Path) -> Vec<String> {
    let attributes = ["href=\"", "src=\""].into_iter().flat_map(|name| html.split(name).skip(1));
    let links: BTreeSet<_> = attributes.filter_map(|rest| rest.split('"').next()).collect();
    let own = links
        .into_iter()
        .filter(|it| !it.contains("://") && !it.starts_with("mailto:") && !it.starts_with("data:"));
    let wrong = own.filter(|link| {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let file = if file.is_empty() { Some(page.to_owned()) } else { joined(page, file) };
        let Some(file) = file else { return true };
        let file = if file.is_dir() { file.join("index.html") } else { file };
        let has_anchor = |html: &String| html.contains(&format!("id=\"{anchor}\""));
        !file.starts_with(book)
            || !file.exists()
            || (!anchor.is_empty() && pages.get(&file).is_some_and(|html| !has_anchor(html)))
    });
    let page = page.strip_prefix(book).unwrap_or(page).display();
    wrong.map(|link| format!("{page}: {link}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_book_lead_to_the_repository() {
        let text = "See [a](../wit) and [b](jobs.md#x), [`c.toml`](../../examples/c.toml#l).\n\
                    ```\n[d](../../e)\n```\n[f](https://g/) [h](README.md)\n";
        let page = Path::new("how-to/page.md");
        let site = rewrite(text, page, Some("https://git.example/soloist"));
        assert_eq!(
            site,
            "See [a](../wit) and [b](jobs.md#x), \
             [`c.toml`](https://git.example/soloist/blob/main/examples/c.toml#l).\n\
             ```\n[d](../../e)\n```\n[f](https://g/) [h](index.md)\n"
        );
        let alone = rewrite("[x](../a) and [y](../../wit/task.wit)!", page, None);
        assert_eq!(alone, "[x](../a) and y!\n");
    }
}
