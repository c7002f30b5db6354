//! Hooks only. The settings say what they do: `config = { on-leader = "…", on-standby = "…" }`.
//!
//! | text | what it does |
//! |---|---|
//! | empty | prints its arguments, and returns |
//! | `fail TEXT` | returns the text as an error; on standby it traps |
//! | `trap` | traps |
//! | `spin` | computes for ever |
//! | `wait` | waits for ever |
//! | `state` | increments a counter in the state, or prints why it cannot |
//! | `term` | prints the fencing token of `term.current` |
//! | `send URL` | sends a request to `http://URL/`, and prints the status |

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "hooks-plugin",
        generate_all,
    });
}

use bindings::exports::soloist::plugin::hooks::{Guest, Leader, TermInfo};
use bindings::soloist::plugin::term;
use bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use bindings::wasi::config::store;
use bindings::wasi::http::outgoing_handler::{OutgoingRequest, handle};
use bindings::wasi::http::types::{Fields, Scheme};
use bindings::wasi::keyvalue::{atomics, store as state};

struct Hooks;

impl Guest for Hooks {
    fn on_leader(term: TermInfo) -> Result<(), String> {
        println!(
            "on-leader: {} of {}, fencing token {}",
            term.host, term.group, term.fencing_token
        );
        obey("on-leader")?;
        println!("on-leader: done");
        Ok(())
    }

    fn on_standby(group: String, leader: Option<Leader>) {
        match leader {
            Some(Leader { host, fencing_token }) => {
                println!("on-standby: {host} leads {group}, fencing token {fencing_token}")
            }
            None => println!("on-standby: nobody leads {group}"),
        }
        obey("on-standby").expect("it does what it is told");
        println!("on-standby: done");
    }
}

fn obey(hook: &str) -> Result<(), String> {
    let order = store::get(hook).ok().flatten().unwrap_or_default();
    let (verb, rest) = order.split_once(' ').unwrap_or((&order, ""));
    match verb {
        "fail" => return Err(rest.to_owned()),
        "trap" => panic!("as it was told"),
        "spin" => loop {
            std::hint::black_box(());
        },
        "wait" => subscribe_duration(u64::MAX).block(),
        "state" => match count() {
            Ok(count) => println!("counted {count}"),
            Err(error) => println!("no state: {error:?}"),
        },
        "term" => println!("current: {}", term::current().fencing_token),
        "send" => println!("answered {}", send(rest)),
        _ => {}
    }
    Ok(())
}

fn count() -> Result<u64, state::Error> {
    atomics::increment(&state::open("default")?, "hooks", 1)
}

fn send(authority: &str) -> u16 {
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some("/")).unwrap();
    let answer = handle(request, None).expect("it is granted");
    answer.subscribe().block();
    answer.get().expect("ready").expect("once").expect("an answer").status()
}

bindings::export!(Hooks with_types_in bindings);
