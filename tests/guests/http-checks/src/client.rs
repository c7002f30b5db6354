//! A request to a server, and its response.

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use crate::bindings::wasi::io::streams::{InputStream, StreamError};

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
    Stream(#[expect(dead_code, reason = "read by the derived Debug")] StreamError),
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, authority: &'a str, path: &'a str) -> Self {
        Self { method, scheme: Scheme::Http, authority, path, body: b"", patience_ms: None }
    }

    pub(crate) fn send(&self) -> Result<Answer, Failure> {
        let request = self.request()?;
        let body = request.body().map_err(|()| Failure::Part("body"))?;
        let answer = outgoing_handler::handle(request, self.options()?)?;
        let to = body.write().map_err(|()| Failure::Part("stream"))?;
        for piece in self.body.chunks(4096) {
            to.blocking_write_and_flush(piece)?;
        }
        drop(to);
        OutgoingBody::finish(body, None)?;
        read(wait(&answer)?)
    }

    fn request(&self) -> Result<OutgoingRequest, Failure> {
        let headers = [("content-type".to_owned(), b"application/json".to_vec())];
        let headers = Fields::from_list(&headers).map_err(|_| Failure::Part("headers"))?;
        let request = OutgoingRequest::new(headers);
        request.set_method(&self.method).map_err(|()| Failure::Part("method"))?;
        request.set_scheme(Some(&self.scheme)).map_err(|()| Failure::Part("scheme"))?;
        request.set_authority(Some(self.authority)).map_err(|()| Failure::Part("authority"))?;
        request.set_path_with_query(Some(self.path)).map_err(|()| Failure::Part("path"))?;
        Ok(request)
    }

    fn options(&self) -> Result<Option<RequestOptions>, Failure> {
        let Some(ms) = self.patience_ms else { return Ok(None) };
        let (options, ns) = (RequestOptions::new(), Some(ms * 1_000_000));
        options.set_connect_timeout(ns).map_err(|()| Failure::Part("connect_timeout"))?;
        options.set_first_byte_timeout(ns).map_err(|()| Failure::Part("first_byte_timeout"))?;
        Ok(Some(options))
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(other, _)| other == name)?;
        str::from_utf8(value).ok()
    }
}

/// Waits for the head of a response.
pub(crate) fn wait(answer: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    answer.subscribe().block();
    answer.get().expect("it is ready").expect("it is taken once")
}

/// Reads a whole response.
pub(crate) fn read(response: IncomingResponse) -> Result<Answer, Failure> {
    let (status, headers) = (response.status(), response.headers().entries());
    let from = response.consume().map_err(|()| Failure::Part("body"))?;
    drop(response);
    let stream = from.stream().map_err(|()| Failure::Part("stream"))?;
    let body = rest(&stream)?;
    drop(stream);
    drop(IncomingBody::finish(from));
    Ok(Answer { status, headers, body })
}

/// Reads the rest of a stream.
pub(crate) fn rest(from: &InputStream) -> Result<Vec<u8>, StreamError> {
    let mut bytes = Vec::new();
    loop {
        match from.blocking_read(1 << 20) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(error),
        }
    }
}
