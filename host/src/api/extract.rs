//! Extracts path and query parameters. What cannot be parsed is refused with an [`ApiError`].

use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::api_error::ApiError;

/// The parameters in the path.
pub(super) struct Path<T>(pub(super) T);

/// The parameters in the query.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = extract::Path::from_request_parts(parts, state).await;
        read.map(|read| Self(read.0)).map_err(|error| ApiError::bad_request(error.body_text()))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = extract::Query::from_request_parts(parts, state).await;
        read.map(|read| Self(read.0)).map_err(|error| ApiError::bad_request(error.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        http::{Request, StatusCode, header},
        routing::get,
    };
    use serde::Deserialize;
    use tower_service::Service;

    use super::*;

    #[derive(Deserialize)]
    struct Options {
        count: u8,
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_refused_in_the_same_form() {
        let asked = |Path(name): Path<String>, Query(Options { count }): Query<Options>| async move {
            format!("{name} {count}")
        };
        let mut router = Router::new().route("/{name}", get(asked));
        for (uri, code) in [("/a?count=1", 200), ("/a?count=x", 400), ("/%ff?count=1", 400)] {
            let request = Request::get(uri).body(axum::body::Body::empty()).unwrap();
            let answer = router.call(request).await.unwrap();
            assert_eq!(answer.status(), code, "{uri}");
            let form = &answer.headers()[header::CONTENT_TYPE];
            assert_eq!(
                form == "application/problem+json",
                code == StatusCode::BAD_REQUEST,
                "{uri}"
            );
        }
    }
}
