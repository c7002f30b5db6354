#![doc = include_str!("../README.md")]

mod record;
mod registrar;
mod routes;

use kit::{
    Plugin, Pollable, TermInfo,
    state::State,
    web::{Refusal, Reply, Request},
};

struct LeaderDns;

impl Plugin for LeaderDns {
    fn answer(request: &Request, state: &State) -> Result<Reply, Refusal> {
        routes::answer(request, state)
    }

    fn perform(term: &TermInfo, ending: &Pollable, state: &State) -> Result<(), String> {
        registrar::perform(term, ending, state);
        Ok(())
    }
}

kit::export!(LeaderDns);
