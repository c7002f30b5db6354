//! The dashboard: one page and its files, which are part of the program.
//!
//! ```text
//! GET /                    the page, for browsers; a list of the routes, for other clients
//! GET /dashboard.css, /dashboard.js, /dashboard/…
//! ```
//!
//! The files contain nothing about the cluster. The page requests that through the same routes as
//! every client.
//!
//! Invariant: the page runs nothing but these files. Its content security policy forbids inline
//! scripts, other sites, frames, and turning text into HTML.

use axum::{
    Extension,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use super::{
    browser_policy::DashboardFile, required_role::READ, route_doc::RouteDoc, routes::ApiRoutes,
};

/// What the page may do (W3C: Content Security Policy Level 3, Trusted Types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";
const INDEX: RouteDoc =
    RouteDoc::new("The dashboard, for browsers; for other clients the list of routes.")
        .answers_as("text/html");
const PART: RouteDoc = RouteDoc::new("A part of the dashboard.").answers_as("*/*");
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

const PAGE: &str = include_str!("index.html");

/// The files of the page: path, type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("/dashboard.css", CSS, include_str!("dashboard.css")),
    ("/dashboard.js", JS, include_str!("dashboard.js")),
    ("/dashboard/icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("/dashboard/line.js", JS, include_str!("line.js")),
    ("/dashboard/log.js", JS, include_str!("log.js")),
    ("/dashboard/order.js", JS, include_str!("order.js")),
    ("/dashboard/page.js", JS, include_str!("page.js")),
    ("/dashboard/parts.js", JS, include_str!("parts.js")),
    ("/dashboard/terms.js", JS, include_str!("terms.js")),
];

/// The page for browsers, and `index` for other clients.
pub(super) fn routes(index: &'static str) -> ApiRoutes {
    let page = move |headers: HeaderMap| async move {
        if wants_html(&headers) {
            file(HTML, PAGE)
        } else {
            ([(header::VARY, "accept")], index).into_response()
        }
    };
    FILES.iter().fold(
        ApiRoutes::new().get("/", READ, page, INDEX),
        |routes, &(path, form, content)| {
            routes.get(path, READ, move || async move { file(form, content) }, PART)
        },
    )
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter();
    accept.filter_map(|value| value.to_str().ok()).any(|value| value.contains("text/html"))
}

/// A dashboard file with its policy. Browsers must request it again each time: later another host
/// or another version may answer.
fn file(form: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, form),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept"),
    ];
    (Extension(DashboardFile(POLICY)), headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_one_names_is_there() {
        let named = |text: &'static str| {
            let quoted = text.split('"').skip(1).step_by(2);
            quoted.filter(|word| word.starts_with("/dashboard")).collect::<Vec<_>>()
        };
        let contents = FILES.iter().map(|(_, _, content)| *content).chain([PAGE]);
        let wanted: Vec<_> = contents.flat_map(named).collect();
        for path in &wanted {
            assert!(FILES.iter().any(|(known, ..)| known == path), "no {path}");
        }
        for (path, ..) in FILES {
            assert!(wanted.contains(path), "nobody wants {path}");
        }
    }

    #[test]
    fn no_text_becomes_html_and_nothing_is_inline() {
        for (path, _, content) in FILES {
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!content.contains(word), "{word} in {path}");
            }
        }
        for word in ["<script>", "<style", " style=", " onclick", "http://", "https://"] {
            assert!(!PAGE.contains(word), "{word} in the page");
        }
    }
}
