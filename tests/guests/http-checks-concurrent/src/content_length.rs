//! Bodies whose length matches their content-length, and others: the sender learns of a mismatch.

use futures::future::join3;
use wasip3::{
    http::{
        client,
        types::{ErrorCode, Fields, Method, Request, Response, Scheme},
    },
    wit_future, wit_stream,
};

use crate::{Checked, holds};

/// The outcome of sending a request with `content-length: 11`.
struct Outcome {
    answer: Result<Response, ErrorCode>,
    sent: Result<(), ErrorCode>,
    /// Bytes that were not accepted.
    left: Vec<u8>,
}

/// Sends `body` with `content-length: 11`.
async fn send(to: &str, body: &[u8]) -> Outcome {
    let (mut writer, from) = wit_stream::new();
    let (trailers, later) = wit_future::new(|| unreachable!("there are always some"));
    let list = [("Content-Length".to_owned(), b"11".to_vec())];
    let headers = Fields::from_list(&list).expect("a header");
    let (request, sent) = Request::new(headers, Some(from), later, None);
    request.set_method(&Method::Post).expect("a method");
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(to)).expect("an authority");
    request.set_path_with_query(Some("/")).expect("a path");
    let write = async {
        let left = writer.write_all(body.to_vec()).await;
        // The host reads the trailers while the body is still open.
        let _ = trailers.write(Ok(None)).await;
        drop(writer);
        left
    };
    let (answer, sent, left) = join3(client::send(request), async { sent.await }, write).await;
    Outcome { answer, sent, left }
}

pub(crate) async fn enough(to: &str) -> Checked {
    let Outcome { answer, sent, left } = send(to, b"long enough").await;
    holds!(&*left, b"");
    holds!(answer.map(|answer| answer.get_status_code()), Ok(200));
    holds!(sent, Ok(()));
    Ok(())
}

/// A response may arrive before the end of the body is seen, so the result of sending the request
/// counts.
pub(crate) async fn too_little(to: &str) -> Checked {
    let Outcome { sent, left, .. } = send(to, b"msg").await;
    holds!(&*left, b"");
    holds!(sent, Err(ErrorCode::HttpRequestBodySize(Some(3))));
    Ok(())
}

pub(crate) async fn too_much(to: &str) -> Checked {
    let Outcome { answer, sent, left } = send(to, b"more than 11 bytes").await;
    holds!(&*left, b"more than 11 bytes");
    let answer = answer.map(|answer| answer.get_status_code());
    holds!(answer, Ok(_) | Err(ErrorCode::HttpRequestBodySize(Some(18))));
    holds!(sent, Err(ErrorCode::HttpRequestBodySize(Some(18))));
    Ok(())
}
