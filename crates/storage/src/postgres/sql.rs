//! Pieces that statements share, as macros, so that every statement stays static text.

/// The columns of an execution in the order in which `rows::execution` reads them.
macro_rules! execution_columns {
    () => {
        "id, job_instance_id, job_name, status, create_time, start_time, end_time, exit_code, exit_message, \
         parameters, forced, node, recovery_count, priority, rerun_of, rerun_by"
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
         write_skip_count, retry_count, progress, control_totals"
    };
}

/// The database's clock: the only one that leases are compared with. Not `now()`, which stands still in a transaction:
/// one that waited for a lock would give a lease that is shorter, or see one that has run out as valid.
macro_rules! now {
    () => {
        "clock_timestamp()"
    };
}

/// The name of a session that holds chunks: by it recovery finds what a dead owner has left. `lease` has `execution` and
/// `epoch`; the table tells apart repositories of several schemas. The server keeps 63 bytes of a name.
macro_rules! chunk_session {
    () => {
        "left(format('oxbatch chunk %s.%s %s', lease.execution, lease.epoch, 'oxbatch_job_execution'::regclass::oid), 63)"
    };
}

pub(super) use {chunk_session, execution_columns, now, skip_columns, step_columns};
