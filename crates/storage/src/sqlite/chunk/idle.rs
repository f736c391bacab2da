//! The connections of steps that have ended, kept for the next one.

use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

/// Connections that are kept at most.
const MOST: usize = 4;

/// Connections of steps that have ended.
#[derive(Default)]
pub(in crate::sqlite) struct IdleConnections(Mutex<Vec<Connection>>);

impl IdleConnections {
    pub(super) fn take(&self) -> Option<Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST {
            idle.push(connection);
        }
    }

    pub(in crate::sqlite) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
