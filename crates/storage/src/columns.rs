//! The columns of rows, alike in both databases, as macros, so that every statement stays static text.

/// The columns of an execution in the order in which `rows::execution` reads them.
macro_rules! execution_columns {
    () => {
        "id, job_instance_id, job_name, status, create_time, start_time, end_time, exit_code, exit_message, \
         parameters, forced, node, recovery_count, priority, rerun_of, rerun_by, change_time, trace_parent"
    };
}

/// The newest creation time among the executions before the one that a statement creates.
macro_rules! newest_before {
    () => {
        "(SELECT max(before.create_time) FROM oxbatch_job_execution AS before)"
    };
}

/// The columns of a skipped item in the order in which `rows::skip` reads them.
macro_rules! skip_columns {
    () => {
        "id, step_execution_id, create_time, phase, position, item, error, complete, rerun_execution_id"
    };
}

/// The columns of a step execution in the order in which `rows::step` reads them.
macro_rules! step_columns {
    () => {
        "id, job_execution_id, step_name, status, start_time, end_time, exit_code, exit_message, read_count, \
         write_count, filter_count, commit_count, rollback_count, read_skip_count, process_skip_count, \
         write_skip_count, retry_count, progress, control_totals, iteration, phase_shares"
    };
}

/// The columns of an attempt of a step in the order in which `rows::attempt` reads them: those of `step_columns` and
/// more.
macro_rules! attempt_columns {
    () => {
        concat!(
            $crate::columns::step_columns!(),
            ", state, control_totals, earlier_counters, ",
            $crate::columns::running_columns!()
        )
    };
}

/// The columns of a running time in the order in which `rows::running_time` reads them.
macro_rules! running_columns {
    () => {
        "earlier_time, running_since, running_until"
    };
}

/// The columns of an execution in the order in which `rows::running_execution` reads them: what the begin of a step
/// needs.
macro_rules! started_columns {
    () => {
        "status, job_instance_id, coalesce(first_execution_id, id), context, coalesce(launch_execution_id, id)"
    };
}

/// The columns of an instance in the order in which `rows::instance` reads them.
macro_rules! instance_columns {
    () => {
        "id, job_name, job_key, create_time"
    };
}

/// The columns of the execution whose skipped items are run again, in the order in which `rows::rerun_source` reads
/// them.
macro_rules! rerun_source_columns {
    () => {
        "job_instance_id, job_name, parameters, context, restartable"
    };
}

/// The columns of an entry of the flow history in the order in which `rows::flow_entry` reads them.
macro_rules! flow_columns {
    () => {
        "position, element, iteration, job_execution_id, step_execution_id, status, exit_code, taken, target, \
         taken_exit_code"
    };
}

pub(crate) use {
    attempt_columns, execution_columns, flow_columns, instance_columns, newest_before, rerun_source_columns,
    running_columns, skip_columns, started_columns, step_columns,
};
