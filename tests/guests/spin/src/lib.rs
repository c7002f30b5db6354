//! An HTTP handler that strains the host in every way.
//!
//! | path | what it does |
//! |---|---|
//! | `/` | answers `ok` |
//! | `/spin` | computes for ever |
//! | `/spin-later` | waits for the body of the request, answers, and computes for ever |
//! | `/sleep?ms=N` | prints `sleeping`, and answers `slept` after N milliseconds |
//! | `/slow-body` | answers at once, then writes a line each 100 ms, 20 of them |
//! | `/trap` | panics |
//! | `/resign?WHY` | asks the host to give up its leadership, and answers `asked` |
//! | `/where` | answers with the path that it sees, and with the prefix that was removed |
//! | `/echo` | sends the body and the trailer `x-sum` back while they arrive |
//! | `/test.Echo/Both` | the same for gRPC, with trailers that a guest may not send |
//! | `/count` | answers how many such requests this instance has answered |
//! | `/silent` | returns without a response |
//! | `/status?N` | answers with this status, and a body |
//! | `/broken?HOW` | prints `breaking`, and begins a response that is broken in this way |

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "http-plugin",
        generate_all,
    });
}

use std::sync::atomic::{AtomicU32, Ordering};

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::soloist::plugin::term;
use bindings::wasi::clocks::monotonic_clock;
use bindings::wasi::http::types::{
    Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use bindings::wasi::io::streams::{OutputStream, StreamError};

struct Spin;

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Guest for Spin {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/" => answer(out, 200, "ok"),
            "/spin" => spin(),
            "/spin-later" => respond(out, 200, |to| {
                echo(&request, to)?;
                spin()
            }),
            "/sleep" => match query.strip_prefix("ms=").and_then(|ms| ms.parse().ok()) {
                Some(ms) => {
                    println!("sleeping");
                    sleep(ms);
                    answer(out, 200, "slept");
                }
                None => answer(out, 400, "ask for /sleep?ms=N"),
            },
            "/slow-body" => respond(out, 200, slow_body),
            "/trap" => panic!("asked to trap"),
            "/resign" => {
                term::resign(query);
                answer(out, 200, "asked");
            }
            "/where" => {
                let prefix = request.headers().get("x-forwarded-prefix").concat();
                answer(out, 200, &format!("{target} under {}", String::from_utf8_lossy(&prefix)));
            }
            "/echo" => echo_all(&request, out),
            "/test.Echo/Both" => echo_grpc(&request, out),
            "/count" => answer(out, 200, &(COUNT.fetch_add(1, Ordering::Relaxed) + 1).to_string()),
            // It stays in the instance for ever.
            "/silent" => std::mem::forget(out),
            "/status" => answer(out, query.parse().unwrap_or(400), "a body"),
            "/broken" => {
                println!("breaking");
                broken(out, query);
            }
            _ => answer(out, 404, "no such path"),
        }
    }
}

fn spin() -> ! {
    let mut number = 0_u64;
    loop {
        // Hides the loop from the optimiser, which may remove loops without effect.
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

fn sleep(ms: u64) {
    monotonic_clock::subscribe_duration(ms * 1_000_000).block();
}

fn slow_body(to: &OutputStream) -> Result<(), StreamError> {
    for chunk in 1..=20 {
        to.blocking_write_and_flush(format!("chunk {chunk}\n").as_bytes())?;
        sleep(100);
    }
    Ok(())
}

fn echo(request: &IncomingRequest, to: &OutputStream) -> Result<(), StreamError> {
    match request.consume() {
        Ok(body) => copy(&body, to),
        Err(()) => Ok(()),
    }
}

fn copy(body: &IncomingBody, to: &OutputStream) -> Result<(), StreamError> {
    let Ok(from) = body.stream() else {
        return Ok(());
    };
    loop {
        match from.blocking_read(4096) {
            Ok(bytes) => to.blocking_write_and_flush(&bytes)?,
            Err(StreamError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn echo_all(request: &IncomingRequest, out: ResponseOutparam) {
    let fields = Fields::new();
    let _ = fields.append("trailer", b"x-sum");
    let response = OutgoingResponse::new(fields);
    let (Ok(to), Ok(from)) = (response.body(), request.consume()) else { return };
    ResponseOutparam::set(out, Ok(response));
    let copied = to.write().is_ok_and(|to| copy(&from, &to).is_ok());
    let trailers = IncomingBody::finish(from);
    trailers.subscribe().block();
    if copied && let Some(Ok(Ok(trailers))) = trailers.get() {
        let _ = OutgoingBody::finish(to, trailers);
    }
}

/// A gRPC method that streams in both directions and sends each message back. Messages are framed
/// alike in both directions, so bytes are copied as they arrive.
fn echo_grpc(request: &IncomingRequest, out: ResponseOutparam) {
    let fields = Fields::new();
    let _ = fields.append("content-type", b"application/grpc");
    let response = OutgoingResponse::new(fields);
    let (Ok(to), Ok(from)) = (response.body(), request.consume()) else { return };
    ResponseOutparam::set(out, Ok(response));
    if to.write().is_ok_and(|to| copy(&from, &to).is_ok()) {
        let trailers = Fields::new();
        for (name, value) in
            [("grpc-status", "0"), ("content-length", "9"), ("soloist-fencing-token", "9")]
        {
            let _ = trailers.append(name, value.as_bytes());
        }
        let _ = OutgoingBody::finish(to, Some(trailers));
    }
}

/// Answers, broken in one of the ways that the host cannot notice in time.
fn broken(out: ResponseOutparam, how: &str) {
    let fields = Fields::new();
    if how == "short" {
        let _ = fields.append("content-length", b"4");
    }
    if how == "headers" {
        for number in 0..250 {
            let _ = fields.append("x-many", number.to_string().as_bytes());
        }
    }
    let response = OutgoingResponse::new(fields);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let write =
        |text: &[u8]| body.write().is_ok_and(|to| to.blocking_write_and_flush(text).is_ok());
    match how {
        "trap" => panic!("asked to trap"),
        "late" => {
            write(b"half");
            panic!("asked to trap")
        }
        "dropped" => drop(body),
        "short" => {
            write(b"12");
            let _ = OutgoingBody::finish(body, None);
        }
        _ => {
            write(b"12345");
            let _ = OutgoingBody::finish(body, None);
        }
    }
}

fn answer(out: ResponseOutparam, status: u16, text: &str) {
    respond(out, status, |to| to.blocking_write_and_flush(text.as_bytes()));
}

fn respond(
    out: ResponseOutparam,
    status: u16,
    write: impl FnOnce(&OutputStream) -> Result<(), StreamError>,
) {
    let response = OutgoingResponse::new(Fields::new());
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let written = body.write().is_ok_and(|to| write(&to).is_ok());
    // A body that is not finished shows the client that something is missing.
    if written {
        let _ = OutgoingBody::finish(body, None);
    }
}

bindings::export!(Spin with_types_in bindings);
