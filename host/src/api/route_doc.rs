//! What the description of the control API says of a route.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a route is for, what it takes and how it answers.
#[derive(Clone, Copy)]
pub(super) struct RouteDoc {
    /// What it does, in one sentence.
    pub(super) summary: &'static str,
    /// Its query parameters, as an object.
    pub(super) query: Option<SchemaOf>,
    /// The body that it takes.
    pub(super) body: Option<Content>,
    /// The status code of a success.
    pub(super) status: u16,
    /// Another status code of a success, with the same body.
    pub(super) other_status: Option<u16>,
    /// The body of a success.
    pub(super) answer: Option<Content>,
    /// The status codes of errors of its own; those of access control are the same everywhere.
    pub(super) errors: &'static [u16],
}

/// The body of a request or a response.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// JSON of this schema.
    Json(SchemaOf),
    /// Something of this media type.
    Media(&'static str),
}

impl RouteDoc {
    /// The description of a route that answers with 204 and nothing.
    pub(super) const fn new(summary: &'static str) -> Self {
        Self {
            summary,
            query: None,
            body: None,
            status: 204,
            other_status: None,
            answer: None,
            errors: &[],
        }
    }

    /// Adds query parameters.
    pub(super) const fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(schema_of::<T>), ..self }
    }

    /// It takes JSON.
    pub(super) const fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Some(Content::Json(schema_of::<T>)), ..self }
    }

    /// It takes any bytes.
    pub(super) const fn takes_bytes(self) -> Self {
        Self { body: Some(Content::Media("*/*")), ..self }
    }

    /// It answers with JSON.
    pub(super) const fn answers<T: JsonSchema>(self) -> Self {
        Self { status: 200, answer: Some(Content::Json(schema_of::<T>)), ..self }
    }

    /// It answers with JSON of this schema.
    pub(super) const fn answers_with(self, schema: SchemaOf) -> Self {
        Self { status: 200, answer: Some(Content::Json(schema)), ..self }
    }

    /// It answers with something of this media type.
    pub(super) const fn answers_as(self, media: &'static str) -> Self {
        Self { status: 200, answer: Some(Content::Media(media)), ..self }
    }

    /// Another status code of a success.
    pub(super) const fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// It may answer with this status code as well.
    pub(super) const fn or_status(self, status: u16) -> Self {
        Self { other_status: Some(status), ..self }
    }

    /// The status codes of its own errors.
    pub(super) const fn errors(self, errors: &'static [u16]) -> Self {
        Self { errors, ..self }
    }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
