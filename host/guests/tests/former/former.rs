//! The source of `former.wasm`. It is compiled by nothing here, since its interfaces are gone.
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package tests:former;
            world former {
                import soloist:plugin/term@0.1.0;
                import soloist:plugin/tasks@0.1.0;
                export soloist:plugin/hooks@0.1.0;
                export soloist:plugin/task@0.1.0;
            }
        ",
        world: "tests:former/former",
        generate_all,
    });
}
use bindings::exports::soloist::plugin::{hooks, task};
use bindings::soloist::plugin::{
    tasks::{self, Order},
    term,
};

struct Former;

impl hooks::Guest for Former {
    fn on_leader(term: hooks::TermInfo) -> Result<(), String> {
        let _ = (term.token, term.lease_remaining_ms);
        Ok(())
    }
    fn on_standby(_: String, leader: Option<hooks::Leader>) {
        let _ = leader.map(|leader| leader.token);
    }
}

impl task::Guest for Former {
    fn handle(call: task::Call) -> Result<task::Answer, task::Failure> {
        let order = || Order {
            task: String::new(),
            payload: Vec::new(),
            content_type: None,
            timeout_ms: None,
            attempts: 1,
        };
        term::ending().block();
        let _ = tasks::cast("", &[], None);
        let _ = tasks::call(&order());
        let pending = tasks::begin(&order());
        pending.subscribe().block();
        let _ = pending.take();
        let payload = term::current().token.to_le_bytes().to_vec();
        if call.attempt > 1 {
            return Err(task::Failure::Refused(String::new()));
        }
        Ok(task::Answer { payload, content_type: None })
    }
}

bindings::export!(Former with_types_in bindings);
