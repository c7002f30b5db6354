//! Answers a call with its text in capital letters.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "task-plugin", generate_all });
}

use bindings::exports::soloist::plugin::task::{Call, Error, Guest, Output};

struct Plugin;

impl Guest for Plugin {
    fn handle(call: Call) -> Result<Output, Error> {
        let text = String::from_utf8(call.payload)
            .map_err(|_| Error::Invalid("the payload is not UTF-8".to_owned()))?;
        Ok(Output {
            payload: text.to_uppercase().into_bytes(),
            content_type: Some("text/plain; charset=utf-8".to_owned()),
        })
    }
}

bindings::export!(Plugin with_types_in bindings);
