//! Headers, methods and other parts of a request: what a host accepts, and what it refuses.

use wasip3::{
    http::types::{Fields, HeaderError, Method, Request, Response, Scheme},
    wit_stream,
};

use crate::{Checked, holds, no_trailers};

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

    let (request, _) = Request::new(fields, None, no_trailers(), None);
    let fields = request.get_headers();
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

pub(crate) async fn response_build() -> Checked {
    unread_request().await?;
    unread_response().await?;
    let (request, _) = Request::new(Fields::new(), None, no_trailers(), None);
    holds!(request.set_method(&Method::Other("invalid method".to_owned())), Err(()));
    for bad in ["bad-port:99999", "bad-\nhost", "too-many-ports:80:80:80"] {
        holds!(request.set_authority(Some(bad)), Err(()));
    }
    holds!(request.set_authority(Some("[::]:443")), Ok(()));
    holds!(request.set_authority(Some("[::]")), Ok(()));
    holds!(request.set_scheme(Some(&Scheme::Other("bad\nscheme".to_owned()))), Err(()));
    holds!(request.set_path_with_query(Some("/bad\npath")), Err(()));
    Ok(())
}

/// Nothing is read of a request that was given up.
async fn unread_request() -> Checked {
    let (mut to, from) = wit_stream::new();
    let (request, _) = Request::new(of_type("application/json"), Some(from), no_trailers(), None);
    holds!(request.set_method(&Method::Get), Ok(()));
    holds!(request.set_scheme(Some(&Scheme::Https)), Ok(()));
    holds!(request.set_authority(Some("www.example.com")), Ok(()));
    drop(request);
    holds!(&*to.write_all(b"of a request".to_vec()).await, b"of a request");
    Ok(())
}

async fn unread_response() -> Checked {
    let (mut to, from) = wit_stream::new();
    drop(Response::new(of_type("application/text"), Some(from), no_trailers()));
    holds!(&*to.write_all(b"of a response".to_vec()).await, b"of a response");
    Ok(())
}

fn of_type(text: &str) -> Fields {
    let list = [("Content-Type".to_owned(), text.as_bytes().to_vec())];
    Fields::from_list(&list).expect("a header")
}
