#![doc = include_str!("../README.md")]

mod desk;
mod keeper;
mod record;

use kit::{
    Plugin, Pollable, TermInfo,
    state::State,
    web::{Refusal, Reply, Request},
};

struct LeaderDns;

impl Plugin for LeaderDns {
    fn answer(request: &Request, state: &State) -> Result<Reply, Refusal> {
        desk::answer(request, state)
    }

    fn perform(term: &TermInfo, ending: &Pollable, state: &State) -> Result<(), String> {
        keeper::perform(term, ending, state);
        Ok(())
    }
}

kit::export!(LeaderDns);
