#![doc = include_str!("../README.md")]

mod checks;
mod desk;
mod history;
mod overview;
mod rounds;

use kit::{
    Plugin, Pollable, TermInfo,
    state::State,
    web::{Refusal, Reply, Request},
};

struct Uptime;

impl Plugin for Uptime {
    fn answer(request: &Request, state: &State) -> Result<Reply, Refusal> {
        desk::answer(request, state)
    }

    fn perform(_: &TermInfo, ending: &Pollable, state: &State) -> Result<(), String> {
        rounds::perform(ending, state);
        Ok(())
    }
}

kit::export!(Uptime);
