//! Tests of what a host does with a store, run on each kind of store: the ledgers of jobs, and
//! queued calls. The contract of the stores themselves is tested in `host/stores/tests`, whose rig
//! is used here.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "functions that tests share fail by panicking and print what they measured"
)]

#[macro_use]
#[path = "../../stores/tests/store/properties.rs"]
mod properties;

#[path = "../../stores/tests/store/call_queue/rig.rs"]
#[expect(dead_code, reason = "the stores' own tests need more of it")]
mod call_queue;
mod call_queue_service;
#[path = "../../stores/tests/store/etcd_server.rs"]
#[expect(dead_code, reason = "the stores' own tests need more of it")]
mod etcd_server;
mod ledger;
#[path = "../../stores/tests/store/pgbouncer.rs"]
mod pgbouncer;
#[path = "../../stores/tests/store/postgres_database.rs"]
#[expect(dead_code, reason = "the stores' own tests need more of it")]
mod postgres_database;
#[path = "../../stores/tests/store/postgres_server.rs"]
#[expect(dead_code, reason = "the stores' own tests need more of it")]
mod postgres_server;
#[path = "../../stores/tests/store/state/rig.rs"]
#[expect(dead_code, reason = "the stores' own tests need more of it")]
mod state;
mod storm;
mod workers;
#[path = "../../stores/tests/store/world.rs"]
#[expect(dead_code, reason = "the stores' own tests need more of it")]
mod world;

mod ledgers {
    properties! {
        ledger:
        a_run_is_claimed_kept_and_ended,
        a_claim_goes_by_the_mark_that_is,
        what_is_late_when_the_store_answers_is_not_claimed,
        who_leads_no_more_claims_nothing,
        what_was_under_way_is_interrupted,
        the_latest_are_kept,
        another_schedule_begins_now,
        a_foreign_ledger_is_named,
        a_clock_that_was_ahead_settles_what_it_claimed_and_no_more,
        state_and_ledgers_keep_apart,
        no_run_is_claimed_under_two_tokens,
        a_claim_whose_answer_was_lost_is_known_in_the_end,
    }
}

mod work {
    properties! {
        workers:
        a_queued_call_is_done_and_answered,
        what_fails_is_tried_again_and_buried_in_the_end,
        the_queued_calls_of_a_host_that_dies_are_done_by_others,
        a_queued_call_that_kills_its_hosts_is_no_loop,
        a_stop_gives_back_at_once,
        a_stop_lets_finish_what_is_under_way,
        a_lost_session_interrupts,
        a_full_host_leaves_a_queued_call_to_another,
        hosts_share_the_work_within_their_places,
    }
}

mod call_queue_operations {
    properties! {
        call_queue_service:
        what_cannot_be_enqueued_is_told_with_what_to_do,
        a_queued_call_is_looked_at_from_any_host,
        dead_letters_are_replayed_and_purged,
    }
}

mod storms {
    properties! {
        storm:
        queued_calls_outlive_hosts_that_die_at_random,
    }
}
