//! The description of the control API, by OpenAPI 3.1: `GET /v1/openapi.json`.
//!
//! It is made from the table of routes and the types of what they take and answer, so it cannot
//! name a route that is not there, or leave one out.

mod parameters;
#[cfg(test)]
mod reference;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use axum::{
    extract::State,
    http::{Method, StatusCode, header},
    response::IntoResponse,
};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use self::parameters::{path_parameters, query_parameters};
use super::{
    required_role::{READ, RequiredRole},
    route_doc::{Content, RouteDoc},
    routes::ApiRoutes,
};
use crate::http::{PROBLEM_JSON, ProblemDetails};

const ABOUT: &str = "\
Every host answers all of this at `host.listen`, whether it leads or not, and passes on what only \
the leader can do. A request needs the role that its operation names in `x-role`, unless the host \
has neither tokens nor a client authority. Error responses are problem documents (RFC 9457). \
`/leader/ACTION/PATH` answers what the leader's action answers at `/PATH`, and is not part of this \
description.";

/// The description, once it is made.
pub(super) type SharedDocument = Arc<OnceLock<String>>;

pub(super) fn routes(document: SharedDocument) -> ApiRoutes {
    let doc = RouteDoc::new("This description.").answers::<Map<String, Value>>();
    ApiRoutes::new().get("/v1/openapi.json", READ, serve, doc).with(document)
}

async fn serve(State(document): State<SharedDocument>) -> impl IntoResponse {
    let text = document.get().cloned().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], text)
}

/// The description of these routes, as JSON.
pub(super) fn document(routes: &ApiRoutes) -> String {
    let text = serde_json::to_string_pretty(&describe(routes)).unwrap_or_default();
    text + "\n"
}

fn describe(routes: &ApiRoutes) -> Value {
    let mut answers = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .for_serialize()
        .into_generator();
    let mut requests = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let problem = answers.subschema_for::<ProblemDetails>();
    let mut paths = BTreeMap::<String, Map<String, Value>>::new();
    for (path, method, role, doc) in routes.listed() {
        let operation = operation(path, &method, role, doc, &mut answers, &mut requests);
        let path = path.replace("{*", "{");
        paths.entry(path).or_default().insert(method.as_str().to_lowercase(), operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "soloist control API", "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
        },
        "paths": paths,
        "components": {
            "schemas": answers.take_definitions(true),
            "responses": {
                "ProblemDetails": {
                    "description": "The request was not carried out.",
                    "content": { PROBLEM_JSON: { "schema": problem } },
                },
            },
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "browser": { "type": "http", "scheme": "basic" },
                "certificate": { "type": "mutualTLS" },
            },
        },
    })
}

fn operation(
    path: &str,
    method: &Method,
    role: RequiredRole,
    doc: &RouteDoc,
    answers: &mut SchemaGenerator,
    requests: &mut SchemaGenerator,
) -> Value {
    let mut parameters = path_parameters(path);
    parameters.extend(doc.query.into_iter().flat_map(|query| query_parameters(&query(requests))));
    let mut responses = Map::new();
    for status in std::iter::once(doc.status).chain(doc.other_status) {
        let mut success = json!({ "description": reason(status) });
        if let Some(answer) = doc.answer {
            success["content"] = content(answer, answers);
        }
        responses.insert(status.to_string(), success);
    }
    let access: &[u16] = if role == RequiredRole::Nothing { &[] } else { &[401, 403, 421] };
    for code in doc.errors.iter().chain(access) {
        responses
            .insert(code.to_string(), json!({ "$ref": "#/components/responses/ProblemDetails" }));
    }
    responses.insert("default".into(), json!({ "$ref": "#/components/responses/ProblemDetails" }));
    let mut operation = json!({
        "operationId": id(method, path),
        "summary": doc.summary,
        "responses": responses,
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = doc.body {
        operation["requestBody"] = json!({ "content": content(body, requests) });
    }
    if let RequiredRole::Role(role) = role {
        operation["x-role"] = role.to_string().into();
        operation["security"] = json!([{ "token": [] }, { "browser": [] }, { "certificate": [] }]);
    }
    operation
}

fn content(content: Content, generator: &mut SchemaGenerator) -> Value {
    match content {
        Content::Json(schema) => {
            json!({ "application/json": { "schema": schema(generator) } })
        }
        Content::Media(media) => json!({ media: {} }),
    }
}

fn reason(status: u16) -> &'static str {
    let status = StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("Success")
}

/// A name for an operation, as in `get-v1-jobs-name`.
fn id(method: &Method, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<_> = words.collect();
    format!("{}-{}", method.as_str().to_lowercase(), words.join("-")).trim_end_matches('-').into()
}
