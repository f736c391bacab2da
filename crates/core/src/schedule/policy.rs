//! The settings of a schedule that are one word each: the rules by which its fires are judged.

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// The fires that are made up for after an outage. What is left out is recorded all the same.
    #[derive(Default, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Missed, "setting for missed fires" {
        /// The last one.
        #[default]
        Latest = "latest",
        /// All of them, in their order.
        All = "all",
        /// None of them.
        None = "none",
    }
}

words! {
    /// The outcome of a fire while the execution of the one before it runs.
    #[derive(Default, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Overlap, "setting for an overlap" {
        /// It waits, in the order of the fires.
        #[default]
        Wait = "wait",
        /// It is left out.
        Skip = "skip",
        /// It runs beside it.
        Allow = "allow",
    }
}

words! {
    /// The outcome of a fire after the execution of the one before it has failed.
    #[derive(Default, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    AfterFailure, "setting for the time after a failure" {
        /// It runs.
        #[default]
        GoOn = "go_on",
        /// It waits until that execution was restarted with success, or was abandoned.
        Hold = "hold",
    }
}

words! {
    /// The outcome of a fire whose job instance exists already.
    #[derive(Default, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    OnExisting, "setting for an instance that exists" {
        /// It is recorded, and does nothing.
        #[default]
        Record = "record",
        /// Where the last execution of the instance failed or was stopped, it is restarted.
        Restart = "restart",
    }
}
