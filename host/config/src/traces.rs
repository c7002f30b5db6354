//! `[traces]`: where traces are sent, and how many of them.

use std::{collections::BTreeMap, path::PathBuf};

use http::{HeaderName, HeaderValue};

use super::{
    Secret,
    problem::{Location, Problem},
    resolver::Resolver,
    settings_file::{LocatedText, TracesTable},
    value,
};

/// Where traces are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct TracesConfig {
    /// The collector's URL, without a trailing slash.
    pub endpoint: String,
    /// The share of the traces begun here that is recorded, from 0 to 1.
    pub ratio: f64,
    /// Headers to send to the collector, by name in lower case.
    pub headers: BTreeMap<String, Secret>,
    /// The authority that signed the collector's certificate; by default the public ones.
    pub ca: Option<PathBuf>,
}

/// The settings of `table`; `None` after reporting what is wrong. Without an endpoint nothing is
/// exported.
pub(super) fn read(
    resolver: &mut Resolver<'_>,
    table: Option<TracesTable>,
) -> Option<Option<TracesConfig>> {
    let Some(table) = table else { return Some(None) };
    let endpoint = resolver.written(Some(table.endpoint), "");
    let endpoint = resolver.read(&endpoint, collector);
    let ratio = resolver.bounded(table.ratio.as_ref(), 1.0);
    let headers: Vec<_> =
        table.headers.into_iter().map(|(name, value)| header(resolver, name, value)).collect();
    let ca = table.ca.map(|file| resolver.file(file));
    let headers = headers.into_iter().collect::<Option<_>>();
    Some(Some(TracesConfig { endpoint: endpoint?, ratio: ratio?, headers: headers?, ca }))
}

fn collector(text: &str) -> Result<String, Problem> {
    value::url(text).map_err(|_| {
        Problem::new(
            format!("`{text}` is not the URL of a collector"),
            "write `http://HOST:PORT`, as in `http://127.0.0.1:4318`: spans are posted to \
             /v1/traces there (OTLP over HTTP)",
        )
    })
}

fn header(
    resolver: &mut Resolver<'_>,
    name: LocatedText,
    value: LocatedText,
) -> Option<(String, Secret)> {
    let reader = resolver.secret_reader();
    let name = resolver.written(Some(name), "");
    let mut value = resolver.written(Some(value), "");
    // Someone may have written the secret itself here, so the line is not shown.
    value.place = value.place.map(Location::without_text);
    let secret = resolver.read(&value, |text| {
        let secret = reader.fetch(text)?;
        HeaderValue::from_str(secret.reveal()).map_err(|_| {
            let help = "a header takes one line of printable ASCII; look at what is kept there";
            Problem::new("the secret is not fit for a header", help)
        })?;
        Ok(secret)
    });
    let name = resolver.read(&name, |text| {
        let lower = text.to_ascii_lowercase();
        HeaderName::from_bytes(lower.as_bytes()).map(|_| lower).map_err(|_| {
            let help = "write it as in `authorization = \"env:OTLP_TOKEN\"`";
            Problem::new(format!("`{text}` is not the name of a header"), help)
        })
    });
    Some((name?, secret?))
}
