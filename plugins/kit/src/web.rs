//! Requests that come in, and what is answered.

use serde::Serialize;

use crate::bindings::wasi::{
    http::types::{
        Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse,
        ResponseOutparam,
    },
    io::streams::StreamError,
};
use crate::state::StateError;

/// How much goes to the host in one call.
const PIECE: usize = 4096;

/// One request. Its body is read at most once.
pub struct Request {
    inner: IncomingRequest,
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
}

impl Request {
    pub(crate) fn new(inner: IncomingRequest) -> Self {
        let method = match inner.method() {
            Method::Get | Method::Head => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            _ => "",
        };
        let (target, headers) =
            (inner.path_with_query().unwrap_or_default(), inner.headers().entries());
        Self { inner, method: method.to_owned(), target, headers }
    }

    /// The method, `HEAD` as `GET`, and the steps of the path.
    #[must_use]
    pub fn route(&self) -> (&str, Vec<&str>) {
        let path = self.target.split('?').next().unwrap_or_default();
        let steps = path.split('/').filter(|step| !step.is_empty());
        (&self.method, steps.collect())
    }

    /// The number that the query gives for `name`, if it gives one.
    ///
    /// # Errors
    /// It is not from `least` to `most`.
    pub fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let Some((_, text)) = pairs.find(|(key, _)| *key == name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Refusal::new(400, format!("`{name}` is a number from {least} to {most}"))),
        }
    }

    /// All headers, as they came.
    #[must_use]
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The first header of this name, which is in lower case, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// Whether somebody looks at the answer, rather than a program.
    #[must_use]
    pub fn is_of_a_browser(&self) -> bool {
        self.header("accept").is_some_and(|accept| accept.contains("text/html"))
    }

    /// The path that the host took off before the plugin saw the request.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.header("x-forwarded-prefix").unwrap_or_default()
    }

    /// The body, of `most` bytes at most.
    ///
    /// # Errors
    /// It is longer, or the client broke off.
    pub fn body(&self, most: usize) -> Result<Vec<u8>, Refusal> {
        let broken = || Refusal::new(400, "the body broke off");
        let long = || Refusal::new(413, format!("the body may have {most} bytes at most"));
        let announced = self.header("content-length").and_then(|text| text.parse::<u64>().ok());
        if announced.is_some_and(|length| length > most as u64) {
            return Err(long());
        }
        let body = self.inner.consume().map_err(|()| broken())?;
        let stream = body.stream().map_err(|()| broken())?;
        let mut bytes = Vec::new();
        loop {
            match stream.blocking_read(64 << 10) {
                Ok(piece) => bytes.extend(piece),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(_)) => return Err(broken()),
            }
            if bytes.len() > most {
                return Err(long());
            }
        }
        drop(stream);
        drop(IncomingBody::finish(body));
        Ok(bytes)
    }

    /// The body as one line of text.
    ///
    /// # Errors
    /// As [`body`](Self::body), or it is no text.
    pub fn text(&self, most: usize) -> Result<String, Refusal> {
        let text = String::from_utf8(self.body(most)?);
        let text = text.map_err(|_| Refusal::new(400, "the body is not UTF-8"))?;
        Ok(text.trim().to_owned())
    }
}

/// What is answered.
#[derive(Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// Nothing but a status.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A value for programs.
    #[must_use]
    pub fn json<T: Serialize>(status: u16, value: &T) -> Self {
        // It fails for maps with odd keys and for what cannot be read only.
        let mut body = serde_json::to_vec_pretty(value).unwrap_or_default();
        body.push(b'\n');
        Self::of(status, "application/json", body)
    }

    /// A page for people. It may do nothing but be looked at.
    #[must_use]
    pub fn html(page: String) -> Self {
        Self::of(200, "text/html; charset=utf-8", page.into_bytes())
            .with("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")
    }

    fn of(status: u16, kind: &str, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), body }
            .with("content-type", kind)
            .with("cache-control", "no-store")
            .with("x-content-type-options", "nosniff")
    }

    /// The same with one header more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn send(self, out: ResponseOutparam) {
        let fields = Fields::new();
        for (name, value) in &self.headers {
            // It fails for what HTTP forbids only.
            let _ = fields.append(name, value.as_bytes());
        }
        if self.status != 204 {
            let _ = fields.append("content-length", self.body.len().to_string().as_bytes());
        }
        let response = OutgoingResponse::new(fields);
        let _ = response.set_status_code(self.status);
        let Ok(body) = response.body() else { return };
        ResponseOutparam::set(out, Ok(response));
        if let Ok(stream) = body.write() {
            // A client that has gone needs no answer.
            let _ = self
                .body
                .chunks(PIECE)
                .try_for_each(|piece| stream.blocking_write_and_flush(piece));
        }
        let _ = OutgoingBody::finish(body, None);
    }
}

/// Why a request is not done, and what to do.
#[derive(Debug)]
pub struct Refusal {
    status: u16,
    text: String,
    allow: Option<&'static str>,
}

impl Refusal {
    /// A refusal with this status.
    #[must_use]
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), allow: None }
    }

    /// The path is known, the method is not one of `allow`.
    #[must_use]
    pub fn method(allow: &'static str) -> Self {
        let text = format!("this path takes {allow}");
        Self { status: 405, text, allow: Some(allow) }
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::new(503, String::from(error))
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let body = format!("{}\n", refusal.text).into_bytes();
        let reply = Self::of(refusal.status, "text/plain; charset=utf-8", body);
        match refusal.allow {
            Some(allow) => reply.with("allow", allow),
            None => reply,
        }
    }
}
