//! What is sent to the registry, with places for what differs from term to term.

use std::collections::BTreeMap;

use kit::{
    TermInfo,
    client::{Flight, Outgoing, Url},
};
use serde::{Deserialize, Serialize};

/// How long the registry may take for its answer, in milliseconds.
const PATIENCE: u64 = 5_000;

/// The settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) register: Call,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remove: Option<Call>,
    /// The address of each host, by its name.
    #[serde(default)]
    pub(crate) addresses: BTreeMap<String, String>,
    /// The seconds after which it is registered again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh: Option<u64>,
}

/// One request.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: String,
}

impl Record {
    /// Reads the settings.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("these are no settings of a record: {error}"))?;
        for call in std::iter::once(&record.register).chain(&record.remove) {
            let method = call.method.as_str();
            if !["GET", "PUT", "POST", "PATCH", "DELETE"].contains(&method) {
                return Err(format!(
                    "`{method}` is no method: write PUT, POST, PATCH, DELETE or GET"
                ));
            }
            Url::parse(&fill(&call.url, &|_| Some("x".to_owned()))?)?;
        }
        if record.refresh == Some(0) {
            return Err("`refresh` is a number of seconds, from 1".to_owned());
        }
        Ok(record)
    }

    /// Sends `call` for `term`, and waits for the answer.
    pub(crate) fn send(&self, call: &Call, term: &TermInfo) -> Result<(), String> {
        let value = |name: &str| match name {
            "host" => Some(term.host.clone()),
            "group" => Some(term.group.clone()),
            "fencing_token" => Some(term.fencing_token.to_string()),
            "address" => self.addresses.get(&term.host).cloned(),
            _ => None,
        };
        let url = Url::parse(&fill(&call.url, &|name| value(name).map(|text| in_url(&text)))?)?;
        let body = fill(&call.body, &|name| value(name).map(|text| in_json(&text)))?;
        let headers: Vec<_> = call
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
            .collect();
        let (method, body) = (call.method.as_str(), body.as_bytes());
        let outgoing = Outgoing { method, url: &url, headers: &headers, body };
        match Flight::start(&outgoing, PATIENCE).and_then(Flight::complete) {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(format!("{} answered {status}", url.origin())),
            Err(failure) => Err(failure.text()),
        }
    }
}

/// Puts in what `{…}` stands for; braces around anything else are left alone.
fn fill(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = text.to_owned();
    for name in ["host", "group", "fencing_token", "address"] {
        let place = format!("{{{name}}}");
        if filled.contains(&place) {
            let value = value(name)
                .ok_or_else(|| "`addresses` has no address of this host: add it".to_owned())?;
            filled = filled.replace(&place, &value);
        }
    }
    Ok(filled)
}

/// `text`, as a part of a path or of a query.
fn in_url(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// `text`, as a part of a text in JSON; most names are the same there.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_other_braces_left() {
        let value = |name: &str| (name != "address").then(|| format!("<{name}>"));
        let filled = fill(r#"{"a": "{host} {fencing_token}", "b": {x}}"#, &value);
        assert_eq!(filled.as_deref(), Ok(r#"{"a": "<host> <fencing token>", "b": {x}}"#));
        assert!(fill("{address}", &value).is_err());
        assert_eq!((in_url("a/b ü"), in_json("a\"b")), ("a%2Fb%20%C3%BC".into(), "a\\\"b".into()));
    }

    #[test]
    fn settings_are_refused_with_a_reason() {
        let good = r#"{"register": {"method": "PUT", "url": "http://a:1/{group}"}}"#;
        assert!(Record::parse(good.as_bytes()).is_ok());
        for (bad, says) in [
            ("", "no settings"),
            (r#"{"register": {"method": "PUT"}}"#, "url"),
            (r#"{"register": {"method": "put", "url": "http://a/"}}"#, "`put`"),
            (r#"{"register": {"method": "PUT", "url": "ftp://a/"}}"#, "http://"),
            (r#"{"register": {"method": "PUT", "url": "http://a/"}, "x": 1}"#, "`x`"),
            (r#"{"register": {"method": "PUT", "url": "http://a/"}, "refresh": 0}"#, "refresh"),
        ] {
            let told = Record::parse(bad.as_bytes()).unwrap_err();
            assert!(told.contains(says), "{told}");
        }
    }
}
