#![doc = include_str!("../README.md")]

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "task-plugin",
        generate_all,
    });
}

use bindings::exports::soloist::plugin::task::{Call, Error, Guest, Output};

/// What is not too large to be done while somebody waits.
const LARGEST: u64 = 1_000_000_000_000_000_000;

struct Factor;

impl Guest for Factor {
    fn handle(call: Call) -> Result<Output, Error> {
        let number = number(&call.payload).map_err(Error::Invalid)?;
        let factors: Vec<_> = factors(number).iter().map(ToString::to_string).collect();
        let text = format!("{number} = {}\n", factors.join(" × "));
        Ok(Output {
            payload: text.into_bytes(),
            content_type: Some("text/plain; charset=utf-8".to_owned()),
        })
    }
}

fn number(payload: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(payload);
    let number = text.trim().parse().ok().filter(|number| (2..=LARGEST).contains(number));
    number.ok_or_else(|| format!("{:?} is no number from 2 to {LARGEST}", text.trim()))
}

/// The prime factors of `number`, the smallest first.
fn factors(mut number: u64) -> Vec<u64> {
    let mut factors = Vec::new();
    let mut divisor = 2;
    while divisor * divisor <= number {
        while number % divisor == 0 {
            factors.push(divisor);
            number /= divisor;
        }
        // After 2 the odd ones suffice.
        divisor += if divisor == 2 { 1 } else { 2 };
    }
    if number > 1 {
        factors.push(number);
    }
    factors
}

bindings::export!(Factor with_types_in bindings);
