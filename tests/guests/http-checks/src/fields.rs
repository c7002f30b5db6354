//! Headers, methods and other parts of a request: what a host accepts, and what it refuses.

use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, HeaderError, Method, OutgoingBody, OutgoingRequest, OutgoingResponse,
    Scheme, http_error_code,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::{Checked, holds};

pub(crate) fn invalid_header() -> Checked {
    let fields = Fields::new();
    holds!(fields.append("malformed header name", b"value"), Err(HeaderError::InvalidSyntax));
    holds!(fields.append("a-good-name", b"value"), Ok(()));
    holds!(fields.append("a-good-name", b"bad\nvalue"), Err(HeaderError::InvalidSyntax));
    for name in ["Connection", "Keep-Alive", "Host"] {
        holds!(fields.append(name, b"value"), Err(HeaderError::Forbidden));
    }
    holds!(list("bad name", b"value"), Err(HeaderError::InvalidSyntax));
    holds!(list("a-good-name", b"bad\nvalue"), Err(HeaderError::InvalidSyntax));
    holds!(list("host", b"value"), Err(HeaderError::Forbidden));

    let request = OutgoingRequest::new(fields);
    let fields = request.headers();
    let name = "Content-Length";
    holds!(fields.set(name, &[b"10".to_vec()]), Err(HeaderError::Immutable));
    holds!(fields.append(name, b"10"), Err(HeaderError::Immutable));
    holds!(fields.delete(name), Err(HeaderError::Immutable));
    Ok(())
}

/// A header that the test host of wasmtime forbids, in addition to those that every host forbids.
pub(crate) fn custom_header() -> Checked {
    let fields = Fields::new();
    holds!(fields.append("custom-forbidden-header", b"no"), Err(HeaderError::Forbidden));
    holds!(fields.append("Custom-Forbidden-Header", b"no"), Err(HeaderError::Forbidden));
    holds!(list("custom-forbidden-header", b"no"), Err(HeaderError::Forbidden));
    Ok(())
}

fn list(name: &str, value: &[u8]) -> Result<(), HeaderError> {
    Fields::from_list(&[(name.to_owned(), value.to_vec())]).map(drop)
}

pub(crate) fn response_build() -> Checked {
    let request = OutgoingRequest::new(of_type("application/json"));
    holds!(request.set_method(&Method::Get), Ok(()));
    holds!(request.set_scheme(Some(&Scheme::Https)), Ok(()));
    holds!(request.set_authority(Some("www.example.com")), Ok(()));
    write(&request.body().expect("once"), b"of a request")?;
    let response = OutgoingResponse::new(of_type("application/text"));
    write(&response.body().expect("once"), b"of a response")?;

    let request = OutgoingRequest::new(Fields::new());
    holds!(request.set_method(&Method::Other("invalid method".to_owned())), Err(()));
    holds!(request.set_authority(Some("bad-\nhost")), Err(()));
    holds!(request.set_authority(Some("[::]:443")), Ok(()));
    holds!(request.set_authority(Some("[::]")), Ok(()));
    holds!(request.set_scheme(Some(&Scheme::Other("bad\nscheme".to_owned()))), Err(()));
    holds!(request.set_path_with_query(Some("/bad\npath")), Err(()));
    Ok(())
}

fn of_type(text: &str) -> Fields {
    let list = [("Content-Type".to_owned(), text.as_bytes().to_vec())];
    Fields::from_list(&list).expect("a header")
}

fn write(body: &OutgoingBody, bytes: &[u8]) -> Checked {
    let to = body.write().map_err(|()| "there is no stream")?;
    to.blocking_write_and_flush(bytes).map_err(|error| format!("{error:?}"))
}

/// A request with `content-length: 11`, of which nothing is written yet.
fn of_eleven() -> (OutgoingRequest, OutgoingBody) {
    let list = [("Content-Length".to_owned(), b"11".to_vec())];
    let request = OutgoingRequest::new(Fields::from_list(&list).expect("a header"));
    request.set_method(&Method::Post).expect("a method");
    let body = request.body().expect("once");
    (request, body)
}

pub(crate) fn enough() -> Checked {
    let (_request, body) = of_eleven();
    write(&body, b"long enough")?;
    holds!(OutgoingBody::finish(body, None), Ok(()));
    Ok(())
}

pub(crate) fn too_little() -> Checked {
    let (_request, body) = of_eleven();
    write(&body, b"msg")?;
    let finished = OutgoingBody::finish(body, None);
    holds!(finished, Err(ErrorCode::HttpRequestBodySize(Some(3))));
    Ok(())
}

pub(crate) fn too_much() -> Checked {
    let (_request, body) = of_eleven();
    let to = body.write().map_err(|()| "there is no stream")?;
    let code = match to.blocking_write_and_flush(b"more than 11 bytes") {
        Err(StreamError::LastOperationFailed(error)) => http_error_code(&error),
        other => return Err(format!("writing too much is {other:?}")),
    };
    holds!(code, Some(ErrorCode::HttpRequestBodySize(Some(18))));
    drop(to);
    let finished = OutgoingBody::finish(body, None);
    holds!(finished, Err(ErrorCode::HttpRequestBodySize(Some(18))));
    Ok(())
}
