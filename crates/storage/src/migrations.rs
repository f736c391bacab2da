//! The migrations: the same numbers and names in both databases.

/// A step from one version of the tables to the next.
pub(crate) struct Migration {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    pub(crate) sqlite: &'static str,
    #[cfg(feature = "postgres")]
    pub(crate) postgres: &'static str,
}

/// All migrations in their order. A released one never changes.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "executions",
        sqlite: include_str!("../migrations/sqlite/0001_executions.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0001_executions.sql"),
    },
    Migration {
        number: 2,
        name: "skipped_items",
        sqlite: include_str!("../migrations/sqlite/0002_skipped_items.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0002_skipped_items.sql"),
    },
    Migration {
        number: 3,
        name: "control_totals",
        sqlite: include_str!("../migrations/sqlite/0003_control_totals.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0003_control_totals.sql"),
    },
    Migration {
        number: 4,
        name: "linked_executions",
        sqlite: include_str!("../migrations/sqlite/0004_linked_executions.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0004_linked_executions.sql"),
    },
    Migration {
        number: 5,
        name: "nodes",
        sqlite: include_str!("../migrations/sqlite/0005_nodes.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0005_nodes.sql"),
    },
    Migration {
        number: 6,
        name: "changes",
        sqlite: include_str!("../migrations/sqlite/0006_changes.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0006_changes.sql"),
    },
    Migration {
        number: 7,
        name: "flow",
        sqlite: include_str!("../migrations/sqlite/0007_flow.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0007_flow.sql"),
    },
    Migration {
        number: 8,
        name: "launches",
        sqlite: include_str!("../migrations/sqlite/0008_launches.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0008_launches.sql"),
    },
    Migration {
        number: 9,
        name: "running_times",
        sqlite: include_str!("../migrations/sqlite/0009_running_times.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0009_running_times.sql"),
    },
    Migration {
        number: 10,
        name: "definitions",
        sqlite: include_str!("../migrations/sqlite/0010_definitions.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0010_definitions.sql"),
    },
    Migration {
        number: 11,
        name: "schedules",
        sqlite: include_str!("../migrations/sqlite/0011_schedules.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0011_schedules.sql"),
    },
    Migration {
        number: 12,
        name: "notices",
        sqlite: include_str!("../migrations/sqlite/0012_notices.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0012_notices.sql"),
    },
    Migration {
        number: 13,
        name: "backfills",
        sqlite: include_str!("../migrations/sqlite/0013_backfills.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0013_backfills.sql"),
    },
    Migration {
        number: 14,
        name: "phase_shares",
        sqlite: include_str!("../migrations/sqlite/0014_phase_shares.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0014_phase_shares.sql"),
    },
    Migration {
        number: 15,
        name: "access",
        sqlite: include_str!("../migrations/sqlite/0015_access.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0015_access.sql"),
    },
    Migration {
        number: 16,
        name: "audit",
        sqlite: include_str!("../migrations/sqlite/0016_audit.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0016_audit.sql"),
    },
    Migration {
        number: 17,
        name: "channels_of_services",
        sqlite: include_str!("../migrations/sqlite/0017_channels_of_services.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0017_channels_of_services.sql"),
    },
    Migration {
        number: 18,
        name: "logs",
        sqlite: include_str!("../migrations/sqlite/0018_logs.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0018_logs.sql"),
    },
    Migration {
        number: 19,
        name: "bulk",
        sqlite: include_str!("../migrations/sqlite/0019_bulk.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0019_bulk.sql"),
    },
    Migration {
        number: 20,
        name: "launch_pauses",
        sqlite: include_str!("../migrations/sqlite/0020_launch_pauses.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0020_launch_pauses.sql"),
    },
    Migration {
        number: 21,
        name: "search",
        sqlite: include_str!("../migrations/sqlite/0021_search.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0021_search.sql"),
    },
    Migration {
        number: 22,
        name: "trace_parents",
        sqlite: include_str!("../migrations/sqlite/0022_trace_parents.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0022_trace_parents.sql"),
    },
    Migration {
        number: 23,
        name: "time_order",
        sqlite: include_str!("../migrations/sqlite/0023_time_order.sql"),
        #[cfg(feature = "postgres")]
        postgres: include_str!("../migrations/postgres/0023_time_order.sql"),
    },
];

/// Number of the newest migration that this version knows.
pub(crate) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// Returns whether as many migrations as these are all that this version knows.
pub(crate) fn are_all(applied: i64) -> bool {
    usize::try_from(applied) == Ok(MIGRATIONS.len())
}

/// The problem with a database that has a migration which this version does not know.
pub(crate) fn newer(address: &str, applied: i64, name: &str) -> String {
    format!(
        "the database {address} was migrated by a newer version (migration {applied} '{name}'; this program knows {NEWEST}); \
         use a version that knows migration {applied}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_ascend_and_are_named_like_the_files_of_both_databases() {
        let known: Vec<_> = MIGRATIONS.iter().map(|it| format!("{:04}_{}.sql", it.number, it.name)).collect();
        for database in ["sqlite", "postgres"] {
            let folder = format!("{}/migrations/{database}", env!("CARGO_MANIFEST_DIR"));
            let files = std::fs::read_dir(folder).unwrap();
            let mut files: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            files.sort();
            assert_eq!(files, known, "{database}");
        }
        assert!(MIGRATIONS.is_sorted_by(|one, next| one.number < next.number));
    }
}
