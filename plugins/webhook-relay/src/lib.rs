#![doc = include_str!("../README.md")]

mod courier;
mod delivery;
mod desk;
mod keys;
mod overview;
mod topic;

use kit::{
    Plugin, Pollable, TermInfo,
    state::State,
    web::{Refusal, Reply, Request},
};

struct Relay;

impl Plugin for Relay {
    fn answer(request: &Request, state: &State) -> Result<Reply, Refusal> {
        desk::answer(request, state)
    }

    fn perform(_: &TermInfo, ending: &Pollable, state: &State) -> Result<(), String> {
        courier::perform(ending, state)
    }
}

kit::export!(Relay);
