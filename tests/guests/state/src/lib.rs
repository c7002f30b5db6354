//! An HTTP handler that operates on its state.
//!
//! The path is the call and its arguments, and the response its result; or 500 with the error.
//!
//! | path | answer |
//! |---|---|
//! | `/open/NAME` | nothing |
//! | `/get/KEY...` | one line each: the value, or `-` |
//! | `/set/KEY/VALUE...` | nothing |
//! | `/fill/KEY/BYTES...` | nothing; each value is this many zeros |
//! | `/delete/KEY...` | nothing |
//! | `/exists/KEY` | `true` or `false` |
//! | `/increment/KEY/DELTA` | the sum |
//! | `/list` | each key on a line, and an empty line after each page |
//! | `/list-from/CURSOR` | nothing |
//! | `/spin` | none, it computes for ever |
//!
//! With one key it uses `store`, with several keys `batch`.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "http-plugin",
        generate_all,
    });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use bindings::wasi::keyvalue::store::{Bucket, Error, open};
use bindings::wasi::keyvalue::{atomics, batch};

struct State;

impl Guest for State {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let mut words = target.split('/').skip(1);
        let call = words.next().unwrap_or_default();
        match ask(call, &words.collect::<Vec<_>>()) {
            Ok(text) => answer(out, 200, &text),
            Err(Error::NoSuchStore) => answer(out, 500, "no such store"),
            Err(Error::AccessDenied) => answer(out, 500, "access denied"),
            Err(Error::Other(text)) => answer(out, 500, &text),
        }
    }
}

fn ask(call: &str, words: &[&str]) -> Result<String, Error> {
    let bucket = open(if call == "open" { words[0] } else { "" })?;
    match (call, words) {
        ("open", _) => {}
        ("get", [key]) => return Ok(line(bucket.get(key)?)),
        ("get", keys) => {
            let pairs = batch::get_many(&bucket, &owned(keys))?;
            return Ok(pairs.into_iter().map(|pair| line(pair.map(|(_, value)| value))).collect());
        }
        ("set", pairs) => set(&bucket, pairs, |value| value.into())?,
        ("fill", pairs) => set(&bucket, pairs, |bytes| vec![0; bytes.parse().unwrap()])?,
        ("delete", [key]) => bucket.delete(key)?,
        ("delete", keys) => batch::delete_many(&bucket, &owned(keys))?,
        ("exists", [key]) => return Ok(bucket.exists(key)?.to_string()),
        ("increment", [key, delta]) => {
            let sum = atomics::increment(&bucket, key, delta.parse().unwrap())?;
            return Ok(sum.to_string());
        }
        ("list", _) => return list(&bucket),
        ("spin", _) => loop {
            std::hint::spin_loop();
        },
        ("list-from", [cursor]) => drop(bucket.list_keys(cursor.parse().ok())?),
        _ => return Err(Error::Other("no such path".to_owned())),
    }
    Ok(String::new())
}

fn set(bucket: &Bucket, words: &[&str], value: impl Fn(&str) -> Vec<u8>) -> Result<(), Error> {
    match words {
        [key, text] => bucket.set(key, &value(text)),
        words => {
            let pairs = words.chunks(2).map(|pair| (pair[0].to_owned(), value(pair[1])));
            batch::set_many(bucket, &pairs.collect::<Vec<_>>())
        }
    }
}

fn list(bucket: &Bucket) -> Result<String, Error> {
    let (mut text, mut cursor) = (String::new(), None);
    loop {
        let page = bucket.list_keys(cursor)?;
        text.extend(page.keys.iter().map(|key| format!("{key}\n")));
        text.push('\n');
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(text);
        }
    }
}

fn line(value: Option<Vec<u8>>) -> String {
    let text = value.map_or("-".into(), |value| String::from_utf8_lossy(&value).into_owned());
    format!("{text}\n")
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let Ok(to) = body.write() else { return };
    for piece in text.as_bytes().chunks(4096) {
        if to.blocking_write_and_flush(piece).is_err() {
            return;
        }
    }
    drop(to);
    let _ = OutgoingBody::finish(body, None);
}

bindings::export!(State with_types_in bindings);
