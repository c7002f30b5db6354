#![doc = include_str!("../README.md")]

mod checks;
mod history;
mod overview;
mod prober;
mod routes;

use kit::{
    Plugin, Pollable, TermInfo,
    state::State,
    web::{Refusal, Reply, Request},
};

struct Uptime;

impl Plugin for Uptime {
    fn answer(request: &Request, state: &State) -> Result<Reply, Refusal> {
        routes::answer(request, state)
    }

    fn perform(_: &TermInfo, ending: &Pollable, state: &State) -> Result<(), String> {
        prober::perform(ending, state);
        Ok(())
    }
}

kit::export!(Uptime);
