//! Several bodies that are passed on while they arrive.

use crate::answer;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, IncomingRequest, Method, OutgoingBody,
    OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};
use crate::bindings::wasi::io::poll::{Pollable, poll};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::client;

/// Fetches all URLs at once, and reports each as it answers.
pub(crate) fn hash_all(request: &IncomingRequest, out: ResponseOutparam) {
    let (body, to) = begin(out, Vec::new());
    let tell = |url: &str, told: String| {
        to.blocking_write_and_flush(format!("{url}: {told}\n").as_bytes()).expect("to write");
    };
    let mut waiting = Vec::new();
    for url in urls(request) {
        match outgoing_handler::handle(to_url(&url, &Method::Get), None) {
            Ok(answer) => waiting.push((url, answer)),
            Err(code) => tell(&url, format!("{code:?}")),
        }
    }
    while !waiting.is_empty() {
        let events: Vec<_> = waiting.iter().map(|(_, answer)| answer.subscribe()).collect();
        let ready = poll(&events.iter().collect::<Vec<_>>());
        drop(events);
        // From last to first, so that the other indices stay valid.
        for place in ready.into_iter().rev() {
            let (url, answer) = waiting.remove(place as usize);
            tell(&url, sum(&answer).unwrap_or_else(|failure| failure));
        }
    }
    end(body, to);
}

/// A checksum of the body: FNV-1a.
fn sum(answer: &FutureIncomingResponse) -> Result<String, String> {
    let response = client::wait(answer).map_err(|code| format!("{code:?}"))?;
    let answer = client::read(response).map_err(|failure| format!("{failure:?}"))?;
    if answer.status != 200 {
        return Err(format!("status {}", answer.status));
    }
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    Ok(format!("{:016x}", answer.body.iter().fold(0xcbf2_9ce4_8422_2325, step)))
}

/// Sends the body back as it arrives.
pub(crate) fn echo(request: &IncomingRequest, out: ResponseOutparam) {
    let from = request.consume().expect("once");
    let stream = from.stream().expect("once");
    let (body, to) = begin(out, kind(request));
    pass(vec![Pump::new(stream, body, to)]);
}

/// Sends the body back by way of another server.
pub(crate) fn double_echo(request: &IncomingRequest, out: ResponseOutparam) {
    let Some(url) = urls(request).pop() else { return answer(out, 400, "no url") };
    let onward = to_url(&url, &Method::Post);
    let there = onward.body().expect("once");
    let to = there.write().expect("once");
    let response = outgoing_handler::handle(onward, None).and_then(|told| client::wait(&told));
    let response = match response {
        Ok(response) if response.status() == 200 => response,
        Ok(response) => return answer(out, 502, &format!("status {}", response.status())),
        Err(code) => return answer(out, 502, &format!("{code:?}")),
    };
    let (came, back) = (request.consume().expect("once"), response.consume().expect("once"));
    let (body, out) = begin(out, kind(request));
    pass(vec![
        Pump::new(came.stream().expect("once"), there, to),
        Pump::new(back.stream().expect("once"), body, out),
    ]);
    drop(IncomingBody::finish(back));
}

fn urls(request: &IncomingRequest) -> Vec<String> {
    let urls = request.headers().get("url").into_iter();
    urls.map(|url| String::from_utf8(url).expect("a URL")).collect()
}

/// The content type of the request, for the response.
fn kind(request: &IncomingRequest) -> Vec<(String, Vec<u8>)> {
    let name = "content-type";
    let values = request.headers().get(name).into_iter();
    values.map(|value| (name.to_owned(), value)).collect()
}

fn to_url(url: &str, method: &Method) -> OutgoingRequest {
    let rest = url.strip_prefix("http://").expect("a URL of http");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(method).expect("a method");
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some(&format!("/{path}"))).expect("a path");
    request
}

fn begin(out: ResponseOutparam, headers: Vec<(String, Vec<u8>)>) -> (OutgoingBody, OutputStream) {
    let response = OutgoingResponse::new(Fields::from_list(&headers).expect("headers"));
    let body = response.body().expect("once");
    ResponseOutparam::set(out, Ok(response));
    let to = body.write().expect("once");
    (body, to)
}

fn end(body: OutgoingBody, to: OutputStream) {
    drop(to);
    OutgoingBody::finish(body, None).expect("whole");
}

/// Copies from one stream to another without blocking.
struct Pump {
    from: InputStream,
    to: Option<(OutgoingBody, OutputStream)>,
    /// Read, but not yet written.
    piece: Vec<u8>,
}

impl Pump {
    fn new(from: InputStream, body: OutgoingBody, to: OutputStream) -> Self {
        Self { from, to: Some((body, to)), piece: Vec::new() }
    }

    /// Copies what can be copied now. Returns what to wait for, or `None` when everything is
    /// copied.
    fn step(&mut self) -> Option<Pollable> {
        loop {
            let (_, to) = self.to.as_ref()?;
            if self.piece.is_empty() {
                match self.from.read(16 << 10) {
                    Ok(piece) if piece.is_empty() => return Some(self.from.subscribe()),
                    Ok(piece) => self.piece = piece,
                    Err(StreamError::Closed) => {
                        let (body, to) = self.to.take()?;
                        to.blocking_flush().expect("to write");
                        end(body, to);
                    }
                    Err(error) => panic!("the body broke off: {error:?}"),
                }
                continue;
            }
            match to.check_write().expect("to write") {
                0 => return Some(to.subscribe()),
                room => {
                    let some = self.piece.len().min(room as usize);
                    let piece: Vec<_> = self.piece.drain(..some).collect();
                    to.write(&piece).expect("to write");
                    to.flush().expect("to write");
                }
            }
        }
    }
}

/// Runs all pumps concurrently until they are done.
fn pass(mut pumps: Vec<Pump>) {
    loop {
        let events: Vec<_> = pumps.iter_mut().filter_map(Pump::step).collect();
        if events.is_empty() {
            return;
        }
        poll(&events.iter().collect::<Vec<_>>());
    }
}
