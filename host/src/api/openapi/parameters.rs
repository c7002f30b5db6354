//! The parameters of a route.

use schemars::Schema;
use serde_json::{Value, json};

/// The parameters that a path names.
pub(super) fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameter = |name: &str| {
        let name = name.trim_start_matches('*');
        json!({
            "name": name, "in": "path", "required": true, "description": meaning(name),
            "schema": { "type": "string" },
        })
    };
    names.map(parameter).collect()
}

fn meaning(name: &str) -> &'static str {
    match name {
        "action" => "The name of an action.",
        "key" => "A key of the action's state, percent-encoded.",
        "name" => "The name of a job.",
        "task" => "The name of a task.",
        "id" => "The id of a queued call.",
        _ => "",
    }
}

/// The parameters of a query, from the schema of the type that takes them.
pub(super) fn query_parameters(query: &Schema) -> Vec<Value> {
    let properties = query.get("properties").and_then(Value::as_object);
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({
            "name": name, "in": "query", "required": false, "schema": schema,
            "description": description.unwrap_or_default(),
        })
    };
    properties.into_iter().flatten().map(parameter).collect()
}
