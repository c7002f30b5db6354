//! Requests that go out, several at a time.
//!
//! Invariant: a flight ends by its deadline, whatever the other side does, and
//! an advance never blocks. So one silent server holds up nobody else.

use crate::bindings::wasi::{
    http::{
        outgoing_handler,
        types::{
            ErrorCode, Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest,
            RequestOptions, Scheme,
        },
    },
    io::streams::{OutputStream, StreamError},
};
use crate::{Pollable, clock::Moment, poll};

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    https: bool,
    authority: String,
    path: String,
}

impl Url {
    /// Reads `http://…` or `https://…`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("`{text}` is not where a request can go: {what}");
        let (https, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(wrong("begin with http:// or https://")),
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.len() > 2048 {
            return Err(wrong("write at most 2048 letters of ASCII without spaces"));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() || authority.contains('@') {
            return Err(wrong("name a host, and no login"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { https, authority: authority.to_owned(), path: format!("{slash}{path}") })
    }

    /// The entry of `outbound` that grants it.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

/// What is sent.
pub struct Outgoing<'a> {
    /// As in `POST`.
    pub method: &'a str,
    /// Where to.
    pub url: &'a Url,
    /// Beside those that the host sets. What HTTP forbids is left out.
    pub headers: &'a [(String, Vec<u8>)],
    /// All of the body.
    pub body: &'a [u8],
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The settings do not let the request out: that says nothing of the other side.
    NotGranted(String),
    /// Anything else.
    Other(String),
}

impl Failure {
    /// What to tell people.
    #[must_use]
    pub fn text(self) -> String {
        let (Self::NotGranted(text) | Self::Other(text)) = self;
        text
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

/// A request under way.
pub struct Flight {
    // The order is that in which they may be dropped: children first.
    writing: Option<Writing>,
    response: FutureIncomingResponse,
    began: Moment,
    deadline: Moment,
    origin: String,
}

struct Writing {
    stream: OutputStream,
    body: OutgoingBody,
    rest: Vec<u8>,
}

impl Flight {
    /// Sends a request off. Its answer must begin within `patience_ms`.
    ///
    /// # Errors
    /// The host lets nothing go there, or the request is none.
    pub fn start(outgoing: &Outgoing<'_>, patience_ms: u64) -> Result<Self, Failure> {
        let refused = |()| Failure::Other("the request cannot be put into HTTP".to_owned());
        let fields = Fields::new();
        for (name, value) in outgoing.headers {
            let _ = fields.append(name, value);
        }
        // Without it the body would go in pieces, which not every server takes.
        let _ = fields.append("content-length", outgoing.body.len().to_string().as_bytes());
        let (url, request) = (outgoing.url, OutgoingRequest::new(fields));
        let scheme = if url.https { Scheme::Https } else { Scheme::Http };
        request.set_method(&method(outgoing.method)).map_err(refused)?;
        request.set_scheme(Some(&scheme)).map_err(refused)?;
        request.set_authority(Some(&url.authority)).map_err(refused)?;
        request.set_path_with_query(Some(&url.path)).map_err(refused)?;
        let body = request.body().map_err(refused)?;
        let stream = body.write().map_err(refused)?;
        let response = outgoing_handler::handle(request, Some(options(patience_ms)))
            .map_err(|code| tell(&code, &url.origin()))?;
        let began = Moment::now();
        Ok(Self {
            writing: Some(Writing { stream, body, rest: outgoing.body.to_vec() }),
            response,
            began,
            deadline: began.plus(patience_ms),
            origin: url.origin(),
        })
    }

    /// What it waits for: whichever is ready first, [`advance`](Self::advance) it.
    #[must_use]
    pub fn pollables(&self) -> Vec<Pollable> {
        let mut list = vec![self.response.subscribe(), self.deadline.pollable()];
        list.extend(self.writing.as_ref().map(|writing| writing.stream.subscribe()));
        list
    }

    /// How long it has been under way, in milliseconds.
    #[must_use]
    pub fn age_ms(&self) -> u64 {
        Moment::now().since(self.began)
    }

    /// Goes as far as it can. The status of the answer, or why there is none,
    /// once it is over.
    pub fn advance(&mut self) -> Option<Result<u16, Failure>> {
        if let Some(answer) = self.response.get() {
            return Some(match answer {
                Ok(Ok(response)) => Ok(response.status()),
                Ok(Err(code)) => Err(tell(&code, &self.origin)),
                Err(()) => Err("the answer was taken already".to_owned().into()),
            });
        }
        if Moment::now() >= self.deadline {
            return Some(Err("no answer in time".to_owned().into()));
        }
        if let Some(mut writing) = self.writing.take() {
            match writing.advance() {
                Ok(true) => drop(writing.finish()),
                Ok(false) => self.writing = Some(writing),
                // The answer will say why.
                Err(_) => {}
            }
        }
        None
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// As [`advance`](Self::advance) says.
    pub fn complete(mut self) -> Result<u16, Failure> {
        loop {
            if let Some(done) = self.advance() {
                return done;
            }
            poll(&self.pollables().iter().collect::<Vec<_>>());
        }
    }
}

impl Writing {
    /// Writes what is taken at the moment. Whether that was all.
    fn advance(&mut self) -> Result<bool, StreamError> {
        while !self.rest.is_empty() {
            let room = usize::try_from(self.stream.check_write()?).unwrap_or(usize::MAX);
            if room == 0 {
                return Ok(false);
            }
            let piece: Vec<_> = self.rest.drain(..room.min(self.rest.len())).collect();
            self.stream.write(&piece)?;
        }
        self.stream.flush()?;
        Ok(true)
    }

    fn finish(self) -> Result<(), ErrorCode> {
        drop(self.stream);
        OutgoingBody::finish(self.body, None)
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "PUT" => Method::Put,
        "POST" => Method::Post,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        other => Method::Other(other.to_owned()),
    }
}

fn options(patience_ms: u64) -> RequestOptions {
    let (options, ns) = (RequestOptions::new(), Some(patience_ms.saturating_mul(1_000_000)));
    // It fails where the host knows no such time-out; the deadline holds all the same.
    let _ = options.set_connect_timeout(ns);
    let _ = options.set_first_byte_timeout(ns);
    options
}

/// What went wrong, for people.
fn tell(code: &ErrorCode, origin: &str) -> Failure {
    let text = match code {
        ErrorCode::HttpRequestDenied => {
            return Failure::NotGranted(format!(
                "the settings let nothing go there: add \"{origin}\" to `outbound`"
            ));
        }
        ErrorCode::DestinationIpProhibited => {
            return Failure::NotGranted(format!(
                "{origin} stands for no public address: set `outbound_private = true`, or name the address"
            ));
        }
        ErrorCode::ConnectionRefused => "the connection was refused".to_owned(),
        ErrorCode::ConnectionTimeout => "nobody took the connection in time".to_owned(),
        ErrorCode::ConnectionReadTimeout => "no answer in time".to_owned(),
        ErrorCode::InternalError(Some(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    Failure::Other(text)
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn urls_are_read_or_refused() {
        let url = |https, authority: &str, path: &str| {
            Ok(Url { https, authority: authority.to_owned(), path: path.to_owned() })
        };
        assert_eq!(Url::parse("http://a:80"), url(false, "a:80", "/"));
        assert_eq!(Url::parse("https://a.b/c?d#e"), url(true, "a.b", "/c?d"));
        assert_eq!(Url::parse("http://a?b"), url(false, "a", "/?b"));
        for bad in ["", "a", "ftp://a", "http://", "http:///x", "http://u@h/", "http://a b/"] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
        assert!(Url::parse("http://a/\r\nx: y").is_err());
    }
}
