//! An HTTP handler that tries to take more than it is granted, in every way.
//!
//! | path | what it does |
//! |---|---|
//! | `/grow?MIB` | allocates this much memory and writes to all of it |
//! | `/print?LINES` | prints this many lines |
//! | `/bodies?N` | creates this many requests, sends none of them, and writes as much as possible to the body of each; answers with the number of bodies and bytes |
//! | `/headers?N` | creates this many sets of headers, each of the maximum length |
//! | `/swallow` | reads the body of the request, and answers with its length |
//! | `/env?NAME`, `/config?KEY`, `/args` | answers with what it was given |
//! | `/connect?HOST:PORT` | connects, sends `hello`, and answers with what comes back |
//! | `/send?HOST:PORT` | sends the datagram `hello`, and answers with what comes back |
//! | `/drip?HOST:PORT` | connects, and sends a line every few milliseconds until it cannot |
//! | `/listen` | listens on any port |
//!
//! If something fails, it answers 502 with the error.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "http-plugin",
        generate_all,
    });
}

use std::{
    env,
    hint::black_box,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    thread::sleep,
    time::Duration,
};

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::config::store;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam,
};
use bindings::wasi::io::streams::StreamError;

struct Escape;

impl Guest for Escape {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let done = match path {
            "/grow" => Ok(grow(query.parse().unwrap_or(0))),
            "/print" => Ok(print(query.parse().unwrap_or(0))),
            "/bodies" => Ok(bodies(query.parse().unwrap_or(0))),
            "/headers" => Ok(headers(query.parse().unwrap_or(0))),
            "/swallow" => swallow(&request).map_err(|error| format!("{error:?}")),
            "/env" => env::var(query).map_err(|error| error.to_string()),
            "/config" => config(query),
            "/args" => Ok(env::args().collect::<Vec<_>>().join(" ")),
            "/connect" => connect(query).map_err(|error| error.to_string()),
            "/send" => send(query).map_err(|error| error.to_string()),
            "/drip" => drip(query).map_err(|error| error.to_string()),
            "/listen" => listen().map_err(|error| error.to_string()),
            _ => Err("no such path".to_owned()),
        };
        match done {
            Ok(text) => answer(out, 200, &text),
            Err(error) => answer(out, 502, &error),
        }
    }
}

fn grow(mib: usize) -> String {
    let mut taken = vec![0_u8; mib << 20];
    for page in taken.chunks_mut(4096) {
        page[0] = 1;
    }
    black_box(&taken);
    "grown".to_owned()
}

fn print(lines: usize) -> String {
    for line in 1..=lines {
        println!("line {line} of a guest that talks and talks");
    }
    "printed".to_owned()
}

fn bodies(count: usize) -> String {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for _ in 0..count {
        let request = OutgoingRequest::new(Fields::new());
        let Ok(body) = request.body() else { break };
        let to = body.write().expect("once");
        while let Ok(room @ 1..) = to.check_write() {
            let piece = vec![b'x'; usize::try_from(room).expect("a length")];
            to.write(&piece).expect("there is room");
            bytes += piece.len();
        }
        drop(to);
        OutgoingBody::finish(body, None).expect("it is whole");
        kept.push(request);
    }
    let bodies = kept.len();
    // Otherwise there may be no resources left for the response.
    drop(kept);
    format!("{bodies} bodies of {bytes} bytes")
}

fn headers(count: usize) -> String {
    let value = vec![b'x'; 20_000];
    let full = || {
        let fields = Fields::new();
        // The host ends a guest that does this with more than 64 KiB.
        for _ in 0..3 {
            fields.append("x", &value).expect("there is room");
        }
        fields
    };
    let kept: Vec<_> = (0..count).map(|_| full()).collect();
    format!("{} sets of headers", kept.len())
}

fn swallow(request: &IncomingRequest) -> Result<String, StreamError> {
    let body = request.consume().expect("once");
    let stream = body.stream().expect("once");
    let mut length = 0;
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(bytes) => length += bytes.len(),
            Err(StreamError::Closed) => return Ok(length.to_string()),
            Err(error) => return Err(error),
        }
    }
}

fn config(key: &str) -> Result<String, String> {
    if key.is_empty() {
        return store::get_all()
            .map(|all| format!("{all:?}"))
            .map_err(|error| format!("{error:?}"));
    }
    let value = store::get(key).map_err(|error| format!("{error:?}"))?;
    value.ok_or_else(|| "no such key".to_owned())
}

fn connect(to: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(b"hello")?;
    let mut back = [0; 64];
    let count = stream.read(&mut back)?;
    Ok(String::from_utf8_lossy(&back[..count]).into_owned())
}

fn send(to: &str) -> io::Result<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.send_to(b"hello", to)?;
    let mut back = [0; 64];
    let (count, _) = socket.recv_from(&mut back)?;
    Ok(String::from_utf8_lossy(&back[..count]).into_owned())
}

fn drip(to: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(to)?;
    for line in 1_u64.. {
        writeln!(stream, "drop {line}")?;
        sleep(Duration::from_millis(2));
    }
    Ok(String::new())
}

fn listen() -> io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.to_string())
}

fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let Ok(to) = body.write() else { return };
    let written = to.blocking_write_and_flush(text.as_bytes());
    drop(to);
    if written.is_ok() {
        let _ = OutgoingBody::finish(body, None);
    }
}

bindings::export!(Escape with_types_in bindings);
