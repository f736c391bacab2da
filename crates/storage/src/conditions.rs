//! Conditions and values of statements, alike in both databases, as macros, so that every statement stays static text.

/// The columns of an ended execution in the order in which `rows::ended` reads them; the last one says whether it is
/// the first of its instance that is left.
macro_rules! ended_columns {
    () => {
        "id, end_time, job_instance_id, job_name, NOT EXISTS (SELECT 1 FROM oxbatch_job_execution AS earlier
             WHERE earlier.job_instance_id = ended.job_instance_id AND earlier.id < ended.id)"
    };
}

/// The execution that is updated is the last of its instance.
macro_rules! is_last_of_instance {
    () => {
        "NOT EXISTS (SELECT 1 FROM oxbatch_job_execution AS later
             WHERE later.job_instance_id = oxbatch_job_execution.job_instance_id
                 AND later.id > oxbatch_job_execution.id)"
    };
}

/// An execution `past` has attempted a step that no later one has attempted again.
macro_rules! has_newest_step {
    () => {
        "EXISTS (SELECT 1 FROM oxbatch_step_execution AS step
             WHERE step.job_execution_id = past.id AND NOT EXISTS (
                 SELECT 1 FROM oxbatch_step_execution AS later
                 WHERE later.job_instance_id = step.job_instance_id AND later.step_name = step.step_name
                     AND later.job_execution_id > step.job_execution_id))"
    };
}

/// The last executions `rerun` of the instances that run the skipped items of `past` again.
macro_rules! last_reruns {
    () => {
        "oxbatch_job_execution AS rerun
             WHERE rerun.rerun_of = past.id AND NOT EXISTS (
                 SELECT 1 FROM oxbatch_job_execution AS next
                 WHERE next.job_instance_id = rerun.job_instance_id AND next.id > rerun.id)"
    };
}

/// The step and the counts of its kept items; the last count is of those that were run again by executions which the
/// statement names.
macro_rules! kept_counts {
    () => {
        "step.step_name,
             count(*) FILTER (WHERE kept.rerun_execution_id IS NULL AND kept.complete AND kept.phase <> 'READ'),
             count(*) FILTER (WHERE kept.rerun_execution_id IS NULL AND kept.complete AND kept.phase = 'READ'),
             count(*) FILTER (WHERE kept.rerun_execution_id IS NULL AND NOT kept.complete),
             count(*) FILTER (WHERE kept.rerun_execution_id IN "
    };
}

/// The steps and their kept items.
macro_rules! kept_items {
    () => {
        " FROM oxbatch_step_execution AS step
             JOIN oxbatch_skipped_item AS kept ON kept.step_execution_id = step.id "
    };
}

/// A node that has a row already beats in it; the answer is the request to drain.
macro_rules! renews_heartbeat {
    () => {
        " ON CONFLICT (boot_id) DO UPDATE SET heartbeat = excluded.heartbeat, lease = excluded.lease
             RETURNING draining, drain_stop, drain_exit"
    };
}

/// A channel gets notices: a further column.
macro_rules! has_notice_channels {
    () => {
        ", EXISTS (SELECT 1 FROM oxbatch_notice_channel)"
    };
}

/// No pause holds up a waiting execution: a further condition of its claim.
macro_rules! no_launch_pause {
    () => {
        " AND NOT EXISTS (SELECT 1 FROM oxbatch_launch_pause AS pause
             WHERE pause.job_name = '' OR pause.job_name = oxbatch_job_execution.job_name) "
    };
}

/// An idempotency key that has outlived its time is overwritten.
macro_rules! overwrites_key {
    () => {
        " ON CONFLICT (key) DO UPDATE SET request_hash = excluded.request_hash,
             job_execution_id = excluded.job_execution_id, create_time = excluded.create_time"
    };
}

/// The last attempts of an instance since an execution, with the number of attempts since that and since another one.
macro_rules! past_attempts {
    ($instance:literal, $first:literal, $main:literal) => {
        concat!(
            "SELECT ",
            attempt_columns!(),
            ", attempts, attempts_since_main FROM (
                 SELECT max(id) AS last_id, count(*) AS attempts,
                     count(*) FILTER (WHERE job_execution_id >= ",
            $main,
            ") AS attempts_since_main
                 FROM oxbatch_step_execution WHERE job_instance_id = ",
            $instance,
            " AND job_execution_id >= ",
            $first,
            " GROUP BY step_name, iteration) AS past
             JOIN oxbatch_step_execution ON id = last_id ORDER BY iteration, id"
        )
    };
}

pub(crate) use {
    ended_columns, has_newest_step, has_notice_channels, is_last_of_instance, kept_counts, kept_items, last_reruns,
    no_launch_pause, overwrites_key, past_attempts, renews_heartbeat,
};
