//! The pages `docs/reference/openapi.json` and `docs/reference/http-api.md`.

use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

use serde_json::Value;

use super::{super::server, document};
use crate::api::{
    access_control::AccessControl,
    server::tests::{fake, idle, services},
};

const START: &str = "\
# The control API

<!-- Written by `cargo xtask reference`; the source is `host/src/api`. -->

Every host answers all of this at `host.listen`, whether it leads or not, and passes on what only \
the leader can do. [`openapi.json`](openapi.json) is the same by OpenAPI 3.1, for programs; a host \
serves it at `/v1/openapi.json`. What the values in a status mean is in \
[observing.md](../observing.md#the-status).

A request needs the role that its section names (`read` or `operate`), unless the host has neither \
tokens nor a client authority. An error response is a problem document, \
`{\"title\", \"status\", \"detail\", \"help\"}` (RFC 9457). All routes with a role answer 401 without \
credentials, 403 without the role, and 421 if the host is called by a name that is not its own; \
503 says when to try again (`retry-after`).

`/leader/ACTION/PATH` answers what the leader's action answers at `/PATH`, from any host.
";

/// The page, from the description.
fn page(document: &Value) -> String {
    let mut page = START.to_owned();
    let paths = document["paths"].as_object().unwrap().iter();
    // The files of the dashboard are of no use to programs.
    for (path, methods) in paths.filter(|(path, _)| !path.starts_with("/dashboard")) {
        for (method, operation) in methods.as_object().unwrap() {
            section(&mut page, &format!("{} {path}", method.to_uppercase()), operation);
        }
    }
    page += "\n## Schemas\n";
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let about = schema["description"].as_str().unwrap_or_default();
        let _ = write!(page, "\n### {name}\n\n{}\n", one_line(about));
        if let Some(properties) = schema["properties"].as_object() {
            page += "\n| key | type | meaning |\n|---|---|---|\n";
            for (key, schema) in properties {
                let about = one_line(schema["description"].as_str().unwrap_or_default());
                let _ = writeln!(page, "| `{key}` | {} | {about} |", type_of(schema));
            }
        } else if let Some(values) = schema["oneOf"].as_array() {
            page += "\n| value | meaning |\n|---|---|\n";
            for value in values {
                let about = one_line(value["description"].as_str().unwrap_or_default());
                let value = value["const"].as_str().unwrap_or_default();
                let _ = writeln!(page, "| `{value}` | {about} |");
            }
        }
    }
    page
}

fn section(page: &mut String, title: &str, operation: &Value) {
    let summary = operation["summary"].as_str().unwrap();
    let role = operation["x-role"].as_str().map_or("none".to_owned(), |role| format!("`{role}`"));
    let _ = write!(page, "\n## `{title}`\n\n{summary} Role: {role}.\n");
    if let Some(parameters) = operation["parameters"].as_array() {
        page.push_str("\n| parameter | in | type | meaning |\n|---|---|---|---|\n");
        for it in parameters {
            let (name, place) = (it["name"].as_str().unwrap(), it["in"].as_str().unwrap());
            let about = one_line(it["description"].as_str().unwrap_or_default());
            let _ = writeln!(page, "| `{name}` | {place} | {} | {about} |", type_of(&it["schema"]));
        }
    }
    let body = &operation["requestBody"]["content"];
    if let Some(properties) = body["application/json"]["schema"]["properties"].as_object() {
        page.push_str("\n| key of the body | type | meaning |\n|---|---|---|\n");
        for (key, schema) in properties {
            let about = one_line(schema["description"].as_str().unwrap_or_default());
            let _ = writeln!(page, "| `{key}` | {} | {about} |", type_of(schema));
        }
    } else if body.is_object() {
        page.push_str("\nThe body is taken as it is.\n");
    }
    page.push_str("\n| status | body |\n|---|---|\n");
    for (status, response) in operation["responses"].as_object().unwrap() {
        if ["401", "403", "421", "default"].contains(&&**status) {
            continue;
        }
        let _ = writeln!(page, "| {status} | {} |", answer(response));
    }
}

fn answer(response: &Value) -> String {
    if response["$ref"].is_string() {
        return "a problem document".to_owned();
    }
    let Some(content) = response["content"].as_object() else { return "none".to_owned() };
    let (media, content) = content.iter().next().unwrap();
    if content["schema"].is_null() { format!("`{media}`") } else { type_of(&content["schema"]) }
}

/// A schema in a few words.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return any.iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(|it| format!("`{}`", it.as_str().unwrap_or("null")))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let one = |kind: &str| match kind {
        "array" => format!("list of {}", type_of(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("object by name of {}", type_of(&schema["additionalProperties"]))
        }
        kind => kind.to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => one(kind),
        Value::Array(kinds) => {
            let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).map(one).collect();
            kinds.join(" or ")
        }
        _ => "any".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `cargo xtask reference` runs this with `BLESS=1`, which writes the pages.
#[tokio::test]
async fn the_reference_is_what_is_routed() {
    let folder = tempfile::tempdir().unwrap();
    let services = services(fake(), folder.path(), AccessControl::open());
    let routes = server::all_routes(services, idle());
    let text = document(&routes);
    let described: Value = serde_json::from_str(&text).unwrap();

    let operations = described["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
    });
    let routed = routes.listed().map(|(path, method, ..)| {
        format!("{} {}", method.as_str().to_lowercase(), path.replace("{*", "{"))
    });
    assert_eq!(operations.collect::<BTreeSet<_>>(), routed.collect());
    let ids = described["paths"].as_object().unwrap().values().flat_map(|methods| {
        methods.as_object().unwrap().values().map(|it| it["operationId"].as_str().unwrap())
    });
    let (all, different) = (ids.clone().count(), ids.collect::<BTreeSet<_>>().len());
    assert_eq!(all, different, "an id is used twice");

    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    for (name, text) in [("openapi.json", &text), ("http-api.md", &page(&described))] {
        let file = reference.join(name);
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(&reference).unwrap();
            fs::write(&file, text).unwrap();
        }
        let written = fs::read_to_string(&file).unwrap_or_default();
        assert!(&written == text, "{name} is out of date: run `cargo xtask reference`");
    }
}
