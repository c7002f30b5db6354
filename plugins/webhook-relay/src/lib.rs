#![doc = include_str!("../README.md")]

mod delivery;
mod keys;
mod overview;
mod routes;
mod sender;
mod topic;

use kit::{
    Plugin, Pollable, TermInfo,
    state::State,
    web::{Refusal, Reply, Request},
};

struct Relay;

impl Plugin for Relay {
    fn answer(request: &Request, state: &State) -> Result<Reply, Refusal> {
        routes::answer(request, state)
    }

    fn perform(_: &TermInfo, ending: &Pollable, state: &State) -> Result<(), String> {
        sender::perform(ending, state)
    }
}

kit::export!(Relay);
