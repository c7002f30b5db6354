//! The JSON Schema of the settings, for editors and for programs that write them.
//!
//! It is generated from the types that parse the files (`settings_file.rs`), so both accept the
//! same keys. Problems of the settings as a whole, such as timings that do not fit together, are
//! only found by [`Config::load`](super::Config::load).

use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform},
};
use serde_json::Value;

use super::settings_file::{ActionTable, SettingsFile};

/// The schema of `soloist.toml`.
#[must_use]
pub fn settings_schema() -> Value {
    of::<SettingsFile>()
}

/// The schema of `NAME.toml`, which holds the settings of one action.
#[must_use]
pub fn action_schema() -> Value {
    of::<ActionTable>()
}

fn of<T: JsonSchema>() -> Value {
    // Taplo, which editors use for TOML, supports drafts up to the seventh.
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    RecursiveTransform(without_null).transform(&mut schema);
    schema.to_value()
}

/// Removes `null`, which TOML does not have: optional keys are left out instead.
fn without_null(schema: &mut Schema) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [only] = &choices[..] {
            // In this draft a reference may have no siblings.
            let only = Value::from(vec![only.clone()]);
            schema.remove("anyOf");
            schema.insert("allOf".to_owned(), only);
        }
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use boon::{Compiler, SchemaIndex, Schemas};
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::action_table::TlsTable;
    use crate::settings_file::{
        ApiTable, GroupTable, HostTable, HostTlsTable, LeaseTable, MountTable, StoreTlsTable,
        TokenTable, TracesTable,
    };
    use crate::{
        ApiRole, CatchUpPolicy, OverlapPolicy, RestartPolicy, StandbyMode, choice::Choice,
        instance_policy::InstanceMode,
    };

    struct Judge(Schemas, SchemaIndex);

    impl Judge {
        fn of(schema: Value) -> Self {
            let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
            compiler.add_resource("mem:///soloist.json", schema).unwrap();
            let index = compiler.compile("mem:///soloist.json", &mut schemas).unwrap();
            Self(schemas, index)
        }

        fn takes(&self, toml: &str) -> Result<(), String> {
            let value: Value = toml::from_str(toml).unwrap();
            self.0.validate(&value, self.1).map_err(|error| format!("{error:#}"))
        }
    }

    #[test]
    fn the_examples_fit() {
        let judge = Judge::of(settings_schema());
        for (name, text) in [
            ("soloist.toml", include_str!("../../../examples/soloist.toml")),
            ("etcd.toml", include_str!("../../../examples/etcd.toml")),
            ("postgres.toml", include_str!("../../../examples/postgres.toml")),
            ("compose/soloist.toml", include_str!("../../../examples/compose/soloist.toml")),
            (
                "compose/postgres/soloist.toml",
                include_str!("../../../examples/compose/postgres/soloist.toml"),
            ),
        ] {
            judge.takes(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn what_is_wrong_is_refused_by_both() {
        let judge = Judge::of(settings_schema());
        for text in [
            "colour = \"red\"",
            "host = 4",
            "[host]\nnmae = \"a\"",
            "[host]\npriority = \"10\"",
            "[lease]\ntll = \"5s\"",
            "[lease]\nttl = 5",
            "[group.main]\npreempt = \"yes\"",
            "[group.main]\nprefers = [\"size=big\"]",
            "[action.web]\nlisten = 3000",
            "[action.web]\nport = 3000",
            "[action.web]\ntls = { cert = \"c.pem\" }",
            "[action.web]\nmounts = [{ source = \"a\", target = \"/a\", readonly = true }]",
            "[action.web]\nconfig = { a = 1 }",
        ] {
            assert!(judge.takes(text).is_err(), "the schema takes {text}");
            assert!(toml::from_str::<SettingsFile>(text).is_err(), "the host takes {text}");
        }
        // These are rejected by the host because of their values.
        for text in [
            "standby = \"forwards\"",
            "max_attempts = 1001",
            "instances = \"new\"",
            "max_busy_instances = 0",
        ] {
            let text = format!("[action.web]\n{text}");
            assert!(judge.takes(&text).is_err(), "the schema takes {text}");
        }
    }

    /// The words that the schema lists for a key.
    fn listed(schema: &Value, table: &str, key: &str) -> Vec<String> {
        serde_json::from_value(schema["definitions"][table]["properties"][key]["enum"].clone())
            .unwrap_or_else(|error| panic!("{table}.{key} lists no words: {error}"))
    }

    #[test]
    fn the_schema_lists_the_words_that_the_host_takes() {
        let schema = settings_schema();
        let taken: Vec<Vec<_>> = vec![
            StandbyMode::words().collect(),
            RestartPolicy::words().collect(),
            CatchUpPolicy::words().collect(),
            OverlapPolicy::words().collect(),
            InstanceMode::words().collect(),
        ];
        let keys = ["standby", "restart", "catch_up", "overlap", "instances"];
        assert_eq!(keys.map(|key| listed(&schema, "ActionTable", key)).to_vec(), taken);
        let roles: Vec<_> = ApiRole::words().collect();
        assert_eq!(listed(&schema, "TokenTable", "role"), roles);
        assert_eq!(listed(&schema, "HostTlsTable", "client_role"), roles);
    }

    /// The keys that the host knows, taken from its message about an unknown key.
    fn known<T: DeserializeOwned>() -> BTreeSet<String> {
        let refusal = match toml::from_str::<T>("no-such-key = 1") {
            Err(error) => error.message().to_owned(),
            Ok(_) => panic!("any key is taken"),
        };
        let mut quoted = refusal.split('`').skip(1).step_by(2).map(str::to_owned);
        assert_eq!(quoted.next().as_deref(), Some("no-such-key"), "{refusal}");
        quoted.collect()
    }

    /// Whether the value of a key is a table with keys of its own.
    fn is_table(property: &Value) -> bool {
        let table = |value: &Value| value.get("$ref").is_some() || value.get("allOf").is_some();
        table(property) || table(&property["additionalProperties"])
    }

    fn described(schema: &Value) -> BTreeSet<String> {
        assert_eq!(schema["additionalProperties"], false, "{schema}");
        let properties = schema["properties"].as_object().unwrap();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (key, property) in properties {
            let text = property["description"].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "`{key}` is not described in sentences: {text:?}");
            let needs_none = required.contains(&key.as_str().into()) || is_table(property);
            let has_default = text.replace('\n', " ").contains(" Default: ");
            assert!(needs_none || has_default, "`{key}` has no default: {text}");
        }
        properties.keys().cloned().collect()
    }

    #[test]
    fn every_key_is_described() {
        let schema = settings_schema();
        let table = |name: &str| described(&schema["definitions"][name]);
        assert_eq!(described(&schema), known::<SettingsFile>());
        assert_eq!(table("StoreTlsTable"), known::<StoreTlsTable>());
        assert_eq!(table("TracesTable"), known::<TracesTable>());
        assert_eq!(table("HostTable"), known::<HostTable>());
        assert_eq!(table("HostTlsTable"), known::<HostTlsTable>());
        assert_eq!(table("ApiTable"), known::<ApiTable>());
        assert_eq!(table("TokenTable"), known::<TokenTable>());
        assert_eq!(table("LeaseTable"), known::<LeaseTable>());
        assert_eq!(table("GroupTable"), known::<GroupTable>());
        assert_eq!(table("ActionTable"), known::<ActionTable>());
        assert_eq!(table("TlsTable"), known::<TlsTable>());
        assert_eq!(table("MountTable"), known::<MountTable>());
        assert_eq!(described(&action_schema()), known::<ActionTable>());
        assert!(!schema.to_string().contains("null"), "TOML has no null: {schema:#}");
    }

    /// Calls `look` with each key that is a number or has bounds, and with its schema.
    fn numbers(schema: &Value, look: &mut impl FnMut(&str, &Value)) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let has_bounds = property.get("x-bounds").is_some();
            if has_bounds || property["type"] == "integer" || property["type"] == "number" {
                look(key, property);
            }
        }
        for definition in schema["definitions"].as_object().into_iter().flatten() {
            numbers(definition.1, look);
        }
    }

    /// The bounds of a key, in the words of its description.
    fn bounds(key: &str, property: &Value) -> String {
        if let Some(text) = property.get("x-bounds") {
            return text.as_str().unwrap().to_owned();
        }
        let end = |name| property.get(name).unwrap_or_else(|| panic!("`{key}` has no {name}"));
        format!("{} to {}", end("minimum"), end("maximum"))
    }

    /// This finds numbers of plain Rust types such as `usize`: they have no maximum in the
    /// schema.
    #[test]
    fn every_number_and_span_has_bounds_and_says_them() {
        let mut seen = 0;
        numbers(&settings_schema(), &mut |key, property| {
            let bounds = bounds(key, property);
            let description = property["description"].as_str().unwrap().replace('\n', " ");
            let told = format!(". {}{}. Default: ", bounds[..1].to_uppercase(), &bounds[1..]);
            assert!(description.contains(&told), "{key}: {description}");
            seen += 1;
        });
        assert_eq!(seen, 29, "settings with bounds");
    }

    #[test]
    fn the_settings_of_one_action_have_a_schema_of_their_own() {
        let judge = Judge::of(action_schema());
        judge.takes("schedule = \"0 3 * * *\"\nmax_attempts = 3\nstate = true").unwrap();
        judge.takes(include_str!("../../../examples/compose/uptime.toml")).unwrap();
        assert!(judge.takes("[action.web]\nstate = true").is_err());
    }
}
