//! Upgrades: a database is migrated where no node of an older version works on it, or where somebody says so.

use oxbatch_core::repository::RepositoryError;

use crate::migrations::Migration;

/// The nodes beside which a database may be migrated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// None that the migration keeps from working rightly: it is refused while such nodes live.
    #[default]
    Alone,
    /// Any: those of older versions end what they run, and start no more.
    BesideOthers,
}

/// Migrations after which nodes of the version before can go on: they miss nothing of what is new.
const COMPATIBLE: &[i64] = &[14, 22];

impl Upgrade {
    /// `true` if a migration waits until other nodes have ended.
    pub(crate) fn waits_for_others(self, migration: &Migration) -> bool {
        self == Self::Alone && !COMPATIBLE.contains(&migration.number)
    }
}

/// The refusal of a migration beside nodes of an older version.
pub(crate) fn in_use(database: &str, migration: &Migration, nodes: &str) -> RepositoryError {
    let problem = format!(
        "the database {database} must be migrated for this version ({}), and {nodes} of an older version cannot go on \
         after that: end them first, or start the service with --migrate",
        migration.name
    );
    RepositoryError::Unusable { problem, source: None }
}
