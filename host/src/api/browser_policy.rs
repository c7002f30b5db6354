//! What the control address shows is data: whatever guests, clients or the store put into an
//! answer, no browser runs it, as what it was not sent as, or as a page of this address.
//!
//! A page at the control address could do what whoever looks at it may do. Two kinds of
//! answers have no say in that: those of the control API's rooms, and those of the leader's
//! actions, which are plugins' own pages and are kept apart as another site's. The one
//! exception is the dashboard, whose files are part of the program and bring a policy along.
//!
//! Invariant: every answer passes here, whichever way it came about (`server.rs`).

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

/// Marks an answer that is a file of the program's own, under this policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct DashboardFile(pub(super) &'static str);

/// Nothing is run, loaded, framed or sent from it (W3C: Content Security Policy Level 3,
/// `sandbox` without any permission).
const NOTHING: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
);
/// A plugin's page may run its scripts, but they count as another site's.
const ANOTHER_SITE: HeaderValue =
    HeaderValue::from_static("sandbox allow-downloads allow-forms allow-popups allow-scripts");

/// What browsers show, and never run.
const SHOWN: [&str; 4] =
    ["application/json", "text/plain", "text/event-stream", "application/x-ndjson"];

/// What concerns all of an address, and so is not for a plugin to say: whose scripts get between
/// a browser and this address, what the browser forgets or remembers of it, and where else it
/// is found.
const FOR_ALL: [HeaderName; 4] = [
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("clear-site-data"),
    header::STRICT_TRANSPORT_SECURITY,
    header::ALT_SVC,
];

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// Whatever a room of the control API answers.
pub(super) fn answer(headers: &mut HeaderMap, file: Option<DashboardFile>) {
    same(headers);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, SAME_ORIGIN);
    headers.insert(OPENER_POLICY, SAME_ORIGIN);
    let policy = file.map_or(NOTHING, |DashboardFile(policy)| HeaderValue::from_static(policy));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    if file.is_none() && !is_shown(headers) {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
}

/// What is no file of the program's own, as such an answer.
pub(super) fn api_response(of: impl IntoResponse) -> Response {
    let mut response = of.into_response();
    answer(response.headers_mut(), None);
    response
}

/// Whatever an action answers at the control address. Its own policy holds as well: of two,
/// browsers take both.
pub(super) fn action(headers: &mut HeaderMap) {
    same(headers);
    for name in FOR_ALL {
        headers.remove(name);
    }
    headers.append(header::CONTENT_SECURITY_POLICY, ANOTHER_SITE);
}

fn same(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Whether the content is of a type that browsers show as text. What has no content needs none.
fn is_shown(headers: &HeaderMap) -> bool {
    let Some(form) = headers.get(header::CONTENT_TYPE) else { return true };
    let form = form.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    SHOWN.iter().any(|shown| form.eq_ignore_ascii_case(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: Option<&'static str>) -> HeaderMap {
        form.map(|form| (header::CONTENT_TYPE, HeaderValue::from_static(form)))
            .into_iter()
            .collect()
    }

    #[test]
    fn only_what_is_text_is_shown() {
        for (form, shown) in [
            (None, true),
            (Some("application/json"), true),
            (Some("Text/Plain; charset=utf-8"), true),
            (Some("text/plain, text/html"), false),
            (Some("text/html"), false),
            (Some("image/svg+xml"), false),
            (Some("application/octet-stream"), false),
            (Some(""), false),
        ] {
            let mut headers = of(form);
            answer(&mut headers, None);
            assert_eq!(!headers.contains_key("content-disposition"), shown, "{form:?}");
            assert!(headers["content-security-policy"].to_str().unwrap().ends_with("; sandbox"));
        }
    }

    #[test]
    fn a_plugin_adds_to_the_policy_and_says_nothing_for_all() {
        let mut headers = of(Some("text/html"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("img-src *"));
        headers.extend(FOR_ALL.map(|name| (name, HeaderValue::from_static("\"*\""))));
        action(&mut headers);
        let policies: Vec<_> = headers.get_all(header::CONTENT_SECURITY_POLICY).iter().collect();
        assert_eq!(policies, ["img-src *", ANOTHER_SITE.to_str().unwrap()]);
        assert!(FOR_ALL.iter().all(|name| !headers.contains_key(name)), "{headers:?}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
}
