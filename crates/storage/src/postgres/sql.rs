//! Pieces that statements share, as macros, so that every statement stays static text.

pub(super) use crate::columns::{
    attempt_columns, execution_columns, flow_columns, instance_columns, rerun_source_columns, running_columns,
    skip_columns, started_columns, step_columns,
};

/// The database's clock: the only one that leases are compared with. Not `now()`, which stands still in a transaction:
/// one that waited for a lock would give a lease that is shorter, or see one that has run out as valid.
macro_rules! now {
    () => {
        "clock_timestamp()"
    };
}

/// The name of a session that holds chunks: by it recovery finds what a dead owner has left. `lease` has `execution`
/// and `epoch`; the table distinguishes repositories of several schemas. The server keeps 63 bytes of a name.
macro_rules! chunk_session {
    () => {
        "left(format('oxbatch chunk %s.%s %s', lease.execution, lease.epoch, 'oxbatch_job_execution'::regclass::oid), 63)"
    };
}

pub(super) use {chunk_session, now};
