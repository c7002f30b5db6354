//! One suite of properties that is run against all stores, and further tests of each store. The etcd
//! used is a real one: `SOLOIST_TEST_ETCD`, or `etcd` on the PATH; and so is the PostgreSQL:
//! `SOLOIST_TEST_POSTGRES`, or the newest that Debian has installed, or `postgres` on the PATH.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "functions that tests share fail by panicking and print what they measured"
)]

#[macro_use]
mod properties;

mod backup;
mod call_queue;
mod contract;
mod crowd;
mod etcd;
mod etcd_server;
mod etcd_tls;
mod identity;
mod pgbouncer;
mod postgres;
mod postgres_database;
#[expect(dead_code, reason = "the end-to-end tests need more of it")]
mod postgres_server;
mod postgres_tls;
mod proxy;
mod raises;
mod sqlite;
mod sqlite_files;
mod state;
mod state_guard;
mod state_limits;
mod world;

mod sessions {
    properties! {
        contract::sessions:
        a_renewed_lease_lives_and_an_unrenewed_one_ends,
        a_revoked_lease_is_gone,
    }
}

mod campaigns {
    properties! {
        contract::campaigns:
        the_queue_is_first_come_first_served,
        a_candidate_wins_when_the_leader_resigns,
        a_candidate_wins_when_the_leader_s_lease_is_revoked,
        a_candidate_wins_when_the_leader_s_lease_runs_out,
        a_dropped_campaign_is_withdrawn,
        a_dropped_campaign_never_hits_the_next,
        a_campaign_dropped_at_once_leaves_nobody_behind,
        a_rehearsal_leaves_nothing_behind,
        whoever_leaves_and_stands_again_stands_last,
    }
}

mod leaderships {
    properties! {
        contract::leaderships:
        a_leadership_is_verified,
        a_proclamation_is_guarded,
        a_resignation_never_hits_a_successor,
        a_leader_that_stands_again_keeps_its_key,
    }
}

mod members {
    properties! {
        contract::members:
        members_come_and_go,
        a_name_is_one_session_s,
        a_host_that_comes_back_has_its_name,
        an_earlier_session_of_the_same_host_gives_way,
        a_removed_host_does_not_join,
    }
}

mod rosters {
    properties! {
        contract::rosters:
        notes_stand_until_they_are_erased,
        a_watch_shows_what_a_fresh_look_does,
        a_watch_begins_with_the_present,
        groups_and_clusters_are_apart,
    }
}

mod identities {
    properties! {
        mut identity:
        the_identity_is_made_once,
        an_older_store_is_told_of,
        an_older_state_alone_is_told_of,
        another_store_is_told_of,
        a_store_that_goes_on_is_the_same,
    }
}

mod raised_tokens {
    properties! {
        mut raises:
        later_fencing_tokens_exceed_what_was_asked,
        nobody_leads_during_the_grace_period,
        a_raise_that_is_not_needed_changes_nothing,
        a_restored_store_goes_on_above_what_it_has_forgotten,
        whoever_has_not_noticed_is_told_by_the_raise,
        what_two_hosts_ask_for_holds_for_both,
    }
}

mod backups {
    properties! {
        backup:
        every_store_imports_what_it_exports,
        an_export_is_of_one_moment,
        what_belongs_to_hosts_stays_behind,
        the_highest_fencing_token_is_no_lower_than_any_that_was_given_out,
        an_import_may_be_repeated,
        an_import_is_seen_by_those_who_watch,
        what_is_erased_is_gone_and_its_versions_do_not_come_back,
        an_imported_queued_call_goes_on_where_it_was,
        what_no_store_accepts_is_refused,
    }
}

mod states {
    properties! {
        state:
        what_is_put_is_got,
        keys_are_listed_in_the_order_of_their_bytes,
        a_long_list_is_whole,
        a_batch_is_made_wholly_or_not_at_all,
        versions_change_and_never_come_back,
        a_write_may_ask_for_a_version,
        increments_by_version_are_never_lost,
        state_outlives_those_who_wrote_it,
        clusters_and_actions_keep_apart,
        the_roster_does_not_show_state,
        a_flood_of_state_holds_up_no_renewal,
        who_does_not_go_on_holds_nobody_up,
    }
}

mod guards {
    properties! {
        state_guard:
        a_leader_writes,
        a_leader_that_resigned_writes_nothing,
        a_leader_whose_lease_was_revoked_writes_nothing,
        a_leader_whose_lease_ran_out_writes_nothing,
        a_leader_whose_key_was_deleted_writes_nothing,
        a_leader_of_an_earlier_term_writes_nothing,
        a_person_needs_no_leadership,
    }
}

mod limits {
    properties! {
        state_limits:
        what_is_too_large_is_refused_and_nothing_written,
        the_largest_call_goes_through,
        an_action_keeps_so_many_keys_and_no_more,
        a_write_says_by_how_much_the_state_grows,
    }
}

mod queued_call {
    properties! {
        call_queue:
        a_queued_call_is_done_step_by_step,
        one_host_at_a_time_has_a_claim,
        a_claim_that_was_made_is_got_again,
        a_claim_goes_with_its_lease,
        what_is_stale_is_not_claimed,
        attempts_are_counted_and_errors_kept,
        dead_letters_are_kept_replayed_and_purged,
        many_dead_letters_are_purged,
        answers_expire_and_not_too_early,
        the_answers_of_the_oldest_queued_calls_go_first,
        a_full_queue_takes_no_more,
        the_queue_is_followed_change_by_change,
        what_is_purged_between_two_looks_has_left,
        a_long_queue_is_whole,
        clusters_and_tasks_keep_apart,
        the_roster_does_not_show_queued_calls,
        a_flood_of_queued_calls_holds_up_no_renewal,
    }
}
