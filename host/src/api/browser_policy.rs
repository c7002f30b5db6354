//! Headers that keep browsers from running what the control address serves. Whatever guests,
//! clients or the store put into a response, no browser runs it, treats it as another type, or
//! treats it as a page of this address.
//!
//! A page of the control address could do what its viewer may do. Two kinds of responses are
//! therefore restricted: those of the control API, and those of the leader's actions, which are
//! plugins' own pages and are isolated like another site's. The only exception is the dashboard:
//! its files are part of the program and have a policy of their own.
//!
//! Invariant: every response passes through here, however it was made (`server.rs`).

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

/// Marks a response as a file of the dashboard, with this content security policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct DashboardFile(pub(super) &'static str);

/// Nothing may be run, loaded, framed or sent (W3C: Content Security Policy Level 3, `sandbox`
/// without any permission).
const NOTHING: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
);
/// A plugin's page may run its scripts, but as a site of its own.
const ANOTHER_SITE: HeaderValue =
    HeaderValue::from_static("sandbox allow-downloads allow-forms allow-popups allow-scripts");

/// The types that browsers display without running anything.
const SHOWN: [&str; 5] = [
    "application/json",
    "application/problem+json",
    "text/plain",
    "text/event-stream",
    "application/x-ndjson",
];

/// Headers that affect the whole address, so that a plugin may not set them: service workers
/// outside of its path, clearing of browser data, enforced HTTPS, and alternative addresses.
const FOR_ALL: [HeaderName; 4] = [
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("clear-site-data"),
    header::STRICT_TRANSPORT_SECURITY,
    header::ALT_SVC,
];

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// Sets the headers of a response of the control API.
pub(super) fn apply_to_api(headers: &mut HeaderMap, file: Option<DashboardFile>) {
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

/// Turns something that is no dashboard file into such a response.
pub(super) fn api_response(of: impl IntoResponse) -> Response {
    let mut response = of.into_response();
    apply_to_api(response.headers_mut(), None);
    response
}

/// Sets the headers of an action's response at the control address. The action's own policy stays
/// in force: with two policies, browsers apply both.
pub(super) fn apply_to_action(headers: &mut HeaderMap) {
    same(headers);
    for name in FOR_ALL {
        headers.remove(name);
    }
    headers.append(header::CONTENT_SECURITY_POLICY, ANOTHER_SITE);
}

fn same(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Whether browsers display the content as text. A response without content needs no type.
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
            apply_to_api(&mut headers, None);
            assert_eq!(!headers.contains_key("content-disposition"), shown, "{form:?}");
            assert!(headers["content-security-policy"].to_str().unwrap().ends_with("; sandbox"));
        }
    }

    #[test]
    fn a_plugin_adds_to_the_policy_and_says_nothing_for_all() {
        let mut headers = of(Some("text/html"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("img-src *"));
        headers.extend(FOR_ALL.map(|name| (name, HeaderValue::from_static("\"*\""))));
        apply_to_action(&mut headers);
        let policies: Vec<_> = headers.get_all(header::CONTENT_SECURITY_POLICY).iter().collect();
        assert_eq!(policies, ["img-src *", ANOTHER_SITE.to_str().unwrap()]);
        assert!(FOR_ALL.iter().all(|name| !headers.contains_key(name)), "{headers:?}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
}
