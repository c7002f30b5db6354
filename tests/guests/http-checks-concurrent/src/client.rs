//! A request to a server, and its response.

use futures::future::join3;
use wasip3::{
    http::{
        client,
        types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme},
    },
    wit_future, wit_stream,
};

/// A request to be sent.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) scheme: Scheme,
    pub(crate) authority: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
    /// Timeout for connecting and for the head of the response, in milliseconds.
    pub(crate) patience_ms: Option<u64>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The host refuses this part of a request.
    Part(&'static str),
    Code(ErrorCode),
    /// There is a response, but sending the request failed.
    Transmission(#[expect(dead_code, reason = "read by the derived Debug")] ErrorCode),
    /// This many bytes of the body were not accepted.
    Left(#[expect(dead_code, reason = "read by the derived Debug")] usize),
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, authority: &'a str, path: &'a str) -> Self {
        Self { method, scheme: Scheme::Http, authority, path, body: b"", patience_ms: None }
    }

    pub(crate) async fn send(&self) -> Result<Answer, Failure> {
        let (mut to, from) = wit_stream::new();
        let (trailers, later) = wit_future::new(|| Ok(None));
        let headers = [("content-type".to_owned(), b"application/json".to_vec())];
        let headers = Fields::from_list(&headers).map_err(|_| Failure::Part("headers"))?;
        let (request, sent) = Request::new(headers, Some(from), later, self.options()?);
        self.address(&request)?;
        let write = async {
            let left = to.write_all(self.body.to_vec()).await;
            drop(to);
            // The response may have come before, and the connection may be gone.
            let _ = trailers.write(Ok(None)).await;
            left.len()
        };
        let answer = async { read(client::send(request).await?).await };
        let (sent, left, answer) = join3(async { sent.await }, write, answer).await;
        let answer = answer?;
        sent.map_err(Failure::Transmission)?;
        if left == 0 { Ok(answer) } else { Err(Failure::Left(left)) }
    }

    fn address(&self, request: &Request) -> Result<(), Failure> {
        request.set_method(&self.method).map_err(|()| Failure::Part("method"))?;
        request.set_scheme(Some(&self.scheme)).map_err(|()| Failure::Part("scheme"))?;
        request.set_authority(Some(self.authority)).map_err(|()| Failure::Part("authority"))?;
        request.set_path_with_query(Some(self.path)).map_err(|()| Failure::Part("path"))
    }

    fn options(&self) -> Result<Option<RequestOptions>, Failure> {
        let Some(ms) = self.patience_ms else { return Ok(None) };
        let (options, ns) = (RequestOptions::new(), Some(ms * 1_000_000));
        options.set_connect_timeout(ns).map_err(|_| Failure::Part("connect_timeout"))?;
        options.set_first_byte_timeout(ns).map_err(|_| Failure::Part("first_byte_timeout"))?;
        Ok(Some(options))
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(other, _)| other == name)?;
        str::from_utf8(value).ok()
    }
}

/// Reads a whole response.
pub(crate) async fn read(response: Response) -> Result<Answer, Failure> {
    let status = response.get_status_code();
    let headers = response.get_headers().copy_all();
    let (body, trailers) = Response::consume_body(response, wit_future::new(|| Ok(())).1);
    let body = body.collect().await;
    trailers.await?;
    Ok(Answer { status, headers, body })
}
