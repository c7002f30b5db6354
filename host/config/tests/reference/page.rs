//! The page `docs/reference/settings.md`, made from the schema of the settings.

use std::collections::BTreeMap;

use serde_json::Value;

const HEAD: &str = "\
# Settings

<!-- Made by `cargo xtask reference` from host/config/src/settings_file.rs and action_table.rs: change it there. -->

Every setting of `soloist.toml` and of `NAME.toml` in the plugins folder, table by table. \
[examples/soloist.toml](../../examples/soloist.toml) is a complete file. The pages \
[settings](../settings.md), [elections](../elections.md), [jobs](../jobs.md), \
[tasks](../tasks.md) and [observing](../observing.md) explain how the settings work together.

| type | as in |
|---|---|
| text | `\"web\"` |
| duration | `\"500ms\"`, `\"5s\"`, `\"1m 30s\"`, `\"24h\"`, `\"30days\"` |
| size | `\"0B\"`, `\"64KiB\"`, `\"16MiB\"`, `\"1GiB\"` |
| rate | `\"64KiB/s\"` |
| number | `8` |
| list, table | `[\"a\", \"b\"]`, `{ a = \"b\" }` |

A value out of its bounds is refused, with its place in the file.
";

/// The whole page.
pub(crate) fn page(schema: &Value) -> String {
    let mut page = HEAD.to_owned();
    let mut tables = Vec::new();
    section(&mut page, schema, "", &mut tables);
    while !tables.is_empty() {
        let (heading, table) = tables.remove(0);
        let mut inner = Vec::new();
        section(&mut page, &schema["definitions"][&table], &heading, &mut inner);
        tables.splice(0..0, inner);
    }
    page
}

/// Adds the part about one table. The tables within it are added to `inner`, with their headings.
fn section(page: &mut String, table: &Value, heading: &str, inner: &mut Vec<(String, String)>) {
    let title = if heading.is_empty() { "The top of the file".to_owned() } else { code(heading) };
    let about = sentences(table).join(" ");
    page.push_str(&format!("\n## {title}\n\n{}\n\n", markdown(&about)));
    page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    let name = heading.trim_matches(['[', ']']);
    // Whether the schema keeps the order of the source depends on how serde_json was built.
    let keys: BTreeMap<_, _> = table["properties"].as_object().into_iter().flatten().collect();
    for (key, property) in keys {
        if let Some((definition, path)) = table_of(property, key) {
            let path = if name.is_empty() { path } else { within(name, &path) };
            inner.push((path, definition));
        }
        let required = table["required"].as_array().is_some_and(|it| it.contains(&key[..].into()));
        let (meaning, default) = meaning(property, required);
        let value = match inner.last().filter(|_| table_of(property, key).is_some()) {
            Some((heading, _)) => format!("[{}](#{})", value(property), anchor(heading)),
            None => value(property),
        };
        let row = [code(key), value, default, meaning].join(" | ");
        page.push_str(&format!("| {row} |\n"));
    }
}

/// The definition of the table that a key holds, and the heading of that table.
fn table_of(property: &Value, key: &str) -> Option<(String, String)> {
    let of = |value: &Value| {
        let reference = value["$ref"].as_str().or_else(|| value["allOf"][0]["$ref"].as_str())?;
        Some(reference.rsplit('/').next()?.to_owned())
    };
    let one = of(property).map(|table| (table, format!("[{key}]")));
    let named = || Some((of(&property["additionalProperties"])?, format!("[{key}.NAME]")));
    let listed = || Some((of(&property["items"])?, format!("[[{key}]]")));
    one.or_else(named).or_else(listed)
}

/// The heading `inner` below the table `outer`.
fn within(outer: &str, inner: &str) -> String {
    let at = inner.find(|c| c != '[').unwrap_or_default();
    format!("{}{outer}.{}", &inner[..at], &inner[at..])
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    kept.collect::<String>().to_lowercase()
}

/// The type of a key and its bounds.
fn value(property: &Value) -> String {
    if let Some(bounds) = property["x-bounds"].as_str() {
        let kind = match bounds {
            rate if rate.ends_with("/s") => "rate",
            size if size.ends_with('B') => "size",
            _ => "duration",
        };
        return format!("{kind}, {bounds}");
    }
    if let Some(words) = property["enum"].as_array() {
        let words: Vec<_> = words.iter().map(|word| code(&word.to_string())).collect();
        return words.join(", ");
    }
    if table_of(property, "").is_some() {
        let list = property["type"] == "array";
        return if list { "list of tables".to_owned() } else { "table".to_owned() };
    }
    match property["type"].as_str() {
        Some("string") => "text".to_owned(),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("array") => "list of texts".to_owned(),
        Some("object") => "table of texts".to_owned(),
        _ => format!("number, {} to {}", property["minimum"], property["maximum"]),
    }
}

/// What a key means, and its default. The bounds are in the type already.
fn meaning(property: &Value, required: bool) -> (String, String) {
    let mut sentences = sentences(property);
    let default = sentences.iter().position(|it| it.starts_with("Default: "));
    let default = default.map(|at| sentences.split_off(at).join(" "));
    let bounds = value(property);
    sentences.retain(|it| !bounds.ends_with(it.trim_end_matches('.')));
    let default = match default.as_deref().and_then(|it| it.strip_prefix("Default: ")) {
        _ if required => "required".to_owned(),
        None => String::new(),
        Some(text) => {
            let text = text.trim_end_matches('.');
            let plain = text.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
            let is_value = matches!(text, "true" | "false") || (plain && !text.contains(' '));
            if is_value { code(text) } else { markdown(text) }
        }
    };
    (markdown(&sentences.join(" ")), default)
}

/// The sentences of a description.
fn sentences(property: &Value) -> Vec<String> {
    let text = property["description"].as_str().unwrap_or_default().replace('\n', " ");
    let mut sentences: Vec<String> = Vec::new();
    let mut rest = text.trim();
    while let Some(end) = rest.find(". ") {
        sentences.push(rest[..=end].to_owned());
        rest = rest[end + 1..].trim_start();
    }
    sentences.push(rest.to_owned());
    sentences
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// The text with everything escaped that Markdown would take for its own, except code.
fn markdown(text: &str) -> String {
    let parts: Vec<_> = text.split('`').collect();
    let escaped = parts.iter().enumerate().map(|(at, part)| match at % 2 {
        0 => part.replace('*', "\\*").replace('|', "\\|").replace('[', "\\["),
        _ => part.replace('|', "\\|"),
    });
    escaped.collect::<Vec<_>>().join("`")
}
