//! The suite that every repository must pass: each rule of the semantics is a case (feature `test-util`).
//!
//! A backend implements [`Backend`] and calls [`repository_conformance!`](crate::repository_conformance) in its tests,
//! which makes one test of each case.

pub mod access;
pub mod backfills;
pub mod bulk;
pub mod changes;
pub mod definitions;
pub mod fixture;
pub mod items;
pub mod joined;
pub mod launch_pauses;
pub mod launching;
pub mod logs;
pub mod new_runs;
pub mod notices;
pub mod purging;
pub mod reading;
pub mod recovering;
pub mod rerunning;
pub mod running;
pub mod schedules;
pub mod sharing;
pub mod times;

use futures_util::future::BoxFuture;

use crate::repository::{ChunkTransaction, JobRepository};

/// A repository under test: one store of its own for each case.
pub trait Backend: Send + Sync + 'static {
    /// Another handle on the same store, as another process has it. Dropping it is the death of that process.
    fn open(&self) -> Box<dyn JobRepository>;

    /// Writes a row of the author's own in the transaction of a chunk.
    fn write_row<'a>(&'a self, transaction: &'a mut dyn ChunkTransaction, value: i64) -> BoxFuture<'a, ()>;

    /// The author's rows that are committed.
    fn rows(&self) -> BoxFuture<'_, Vec<i64>>;
}

/// Makes a test of each case. The argument is a function that makes a [`Backend`](crate::conformance::Backend) with an
/// empty store.
#[macro_export]
macro_rules! repository_conformance {
    ($backend:path) => {
        $crate::repository_conformance! { @cases $backend;
            launching: [
                a_new_instance_is_created_with_its_parameters,
                a_running_instance_is_refused_with_the_running_execution,
                of_64_racing_launches_one_is_accepted,
                an_abandoned_instance_can_only_be_forced,
                a_full_queue_refuses_and_leaves_nothing_behind,
                an_idempotency_key_answers_the_first_execution_until_it_is_outdated,
                waiting_executions_are_claimed_oldest_first_and_once,
                a_launch_behind_another_execution_than_the_last_is_refused,
            ];
            new_runs: [
                a_new_run_has_the_number_after_the_greatest_of_its_job,
                racing_new_runs_have_numbers_of_their_own,
                a_new_run_is_never_the_instance_that_another_launch_numbers_by_itself,
                a_repeated_new_run_is_answered_by_the_first,
                a_refused_new_run_uses_up_no_number,
                the_last_number_has_none_after_it,
            ];
            running: [
                completed_steps_are_not_run_again_unless_told_so,
                a_failed_step_gets_its_state_and_the_job_its_context_back,
                a_forced_launch_counts_no_step_from_before,
                attempts_are_limited_within_a_lineage,
                a_chunk_commits_rows_state_and_counters_or_nothing,
                a_transaction_that_is_dropped_rolls_back,
                a_stop_reaches_the_chunk_the_renewal_and_the_next_step,
                a_waiting_execution_is_stopped_at_once,
                what_has_ended_is_not_stopped_and_what_runs_is_not_abandoned,
                an_ended_execution_leaves_no_step_running,
                a_chunk_that_is_committed_before_the_end_is_recorded_counts,
                skipped_items_are_kept_with_their_chunk_or_not_at_all,
                control_totals_commit_with_their_chunk_and_come_back_with_the_state,
                each_save_is_shown_whole_while_the_step_runs,
                entries_of_the_jobs_context_are_saved_one_by_one,
                a_context_that_others_have_filled_refuses_what_is_too_much,
            ];
            joined: [
                a_claim_begins_the_first_step_that_its_node_names,
                a_claim_begins_no_step_that_does_not_run,
                a_claim_begins_no_step_of_what_resumes_by_itself,
                of_racing_claims_each_begins_the_step_of_its_own_execution,
                a_last_step_ends_with_its_execution,
                a_zombie_ends_neither_its_last_step_nor_the_execution,
                a_last_end_that_is_refused_changes_neither,
                a_stop_and_a_last_end_come_one_behind_the_other,
            ];
            rerunning: [
                kept_items_are_counted_and_listed_by_what_can_be_done_with_them,
                a_rerun_is_linked_and_leaves_the_first_instance_alone,
                of_racing_reruns_one_is_accepted,
                a_kept_item_is_run_again_once,
                a_failed_rerun_is_resumed_and_a_complete_one_is_not_repeated,
                a_rerun_whose_owner_dies_is_recovered_as_one,
                a_rerun_of_what_is_not_restartable_is_resumed_by_a_person_alone,
                a_purge_keeps_what_is_being_rerun,
                a_purge_removes_a_restartable_rerun_before_what_it_runs_again,
                a_rerun_has_an_instance_of_its_own_although_earlier_ones_were_purged,
            ];
            recovering: [
                a_live_lease_is_never_taken,
                a_lease_that_its_node_does_not_know_of_runs_out_and_is_recovered,
                a_dead_process_is_recovered_at_once_or_when_its_lease_has_run_out,
                a_zombie_commits_nothing_and_its_rows_roll_back,
                recoveries_without_progress_come_to_an_end,
                what_was_being_stopped_is_stopped_and_not_restarted,
                a_shutdown_is_resumed_once_and_only_if_nobody_was_faster,
                a_foreground_launch_clears_its_own_instance_alone,
                what_is_not_restartable_is_refused_until_it_is_forced,
                what_is_not_restartable_stays_failed_when_its_owner_dies,
                a_shutdown_resumes_nothing_that_is_not_restartable,
            ];
            reading: [
                lists_are_filtered_and_paged_without_gaps,
                instances_are_counted_by_job,
                lists_by_time_survive_clocks_that_go_back,
                the_span_of_the_caller_is_kept,
                the_last_execution_of_each_instance_is_found,
                parameters_read_back_exactly,
                executions_are_found_by_parameters,
                executions_are_found_by_text,
                a_summary_counts_by_status,
                the_past_of_an_instance_is_what_its_next_execution_goes_on_with,
            ];
            purging: [
                a_purge_keeps_what_runs_and_what_can_be_restarted,
                a_purge_keeps_the_steps_that_a_later_execution_relies_on,
                a_dry_run_counts_what_a_purge_removes,
                a_purge_by_status_never_makes_an_earlier_execution_the_last,
                a_purge_goes_on_behind_what_it_keeps,
                a_long_history_of_one_instance_goes_in_batches,
            ];
            backfills: [
                a_backfill_launches_within_its_limit_and_never_moves_the_schedule,
                a_cancelled_backfill_launches_no_more,
            ];
            bulk: [
                a_bulk_is_worked_on_by_one_and_goes_on_where_it_was,
                the_same_bulk_runs_once_until_it_is_cancelled,
                the_last_executions_of_instances_are_found_together,
                what_a_filter_finds_is_counted_as_it_is_listed,
            ];
            launch_pauses: [
                a_paused_job_is_launched_and_waits,
                a_pause_of_all_holds_up_every_job,
            ];
            logs: [
                segments_are_read_from_a_position_on_or_from_the_end,
                the_last_segment_grows_in_its_place,
                a_log_is_purged_with_its_execution,
            ];
            notices: [
                the_end_of_an_execution_tells_those_who_want_it,
                services_with_other_channels_overwrite_each_other_in_nothing,
                a_notice_is_taken_by_one_and_tried_again_until_it_is_delivered,
            ];
            schedules: [
                of_many_nodes_one_fires,
                what_was_missed_is_recorded_with_the_fire_behind_it,
                a_fire_whose_instance_exists_is_recorded_alone,
                fires_wait_in_their_order_for_the_one_before_them,
                a_fire_waits_for_a_place_in_the_queue,
                a_pause_holds_schedules_and_its_end_begins_anew,
                what_is_due_and_what_waits_come_page_by_page,
                a_deadline_is_judged_once,
                a_schedule_is_changed_by_those_who_have_seen_it,
            ];
            sharing: [
                a_node_is_listed_with_what_it_runs_until_it_ends_in_order,
                a_node_whose_lease_has_run_out_is_gone_until_it_beats_again,
                a_draining_node_is_given_nothing_until_it_is_told_to_go_on,
                higher_priorities_leave_the_queue_first_and_equal_ones_by_age,
                a_job_at_its_limit_waits_and_holds_up_no_other,
                limits_hold_exactly_when_many_claim_at_once,
                a_launch_that_runs_at_once_keeps_to_the_limits,
                a_closed_repository_takes_no_work,
                news_reach_other_processes_where_the_store_tells_them,
            ];
            definitions: [
                a_restart_under_a_changed_past_is_refused_until_the_change_is_accepted,
                the_definition_of_the_last_execution_that_was_run_is_in_force,
                what_resumes_by_itself_brings_the_definition_of_its_past,
                a_launch_behind_a_complete_execution_is_not_compared,
            ];
            times: [
                mt_12_each_change_of_a_status_has_its_time,
                a_running_time_goes_on_in_what_resumes_by_itself_alone,
                a_dead_owner_has_run_no_longer_than_its_lease,
                a_main_result_keeps_its_running_time,
            ];
            access: [
                a_token_is_found_by_its_hash_until_it_is_revoked,
                a_session_ends_with_its_token,
                a_login_code_is_used_once,
                the_audit_log_keeps_changes_with_their_outcomes,
            ];
            changes: [
                each_change_of_a_status_is_told_once,
                many_changes_are_told_in_pages,
                no_change_is_missed_while_many_happen_at_once,
                a_position_of_another_store_tells_where_the_history_is,
                the_steps_of_all_that_runs_are_listed_together,
            ];
        }
    };
    (@cases $backend:path; $($module:ident: [$($case:ident,)*];)*) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::$module::$case(&$backend()).await;
            })*
        })*
    };
}

#[cfg(test)]
mod tests {
    /// A case that is in no list would be tested by nobody.
    #[test]
    fn every_case_is_in_the_list() {
        let list = include_str!("conformance.rs");
        for source in [
            include_str!("conformance/access.rs"),
            include_str!("conformance/launching.rs"),
            include_str!("conformance/new_runs.rs"),
            include_str!("conformance/running.rs"),
            include_str!("conformance/joined.rs"),
            include_str!("conformance/recovering.rs"),
            include_str!("conformance/rerunning.rs"),
            include_str!("conformance/reading.rs"),
            include_str!("conformance/purging.rs"),
            include_str!("conformance/sharing.rs"),
            include_str!("conformance/changes.rs"),
            include_str!("conformance/times.rs"),
            include_str!("conformance/definitions.rs"),
            include_str!("conformance/logs.rs"),
            include_str!("conformance/bulk.rs"),
            include_str!("conformance/launch_pauses.rs"),
        ] {
            for line in source.lines() {
                let Some(rest) = line.strip_prefix("pub async fn ") else { continue };
                let name = rest.split('(').next().unwrap();
                assert!(list.contains(&format!("{name},")), "{name} is not in the list");
            }
        }
    }
}
