//! Pieces that statements share, as macros, so that every statement stays static text.

pub(super) use crate::columns::{
    attempt_columns, execution_columns, flow_columns, instance_columns, rerun_source_columns, running_columns,
    skip_columns, started_columns, step_columns,
};

/// The database's clock in microseconds: the only one that leases are compared with.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
    };
}

pub(super) use now;
