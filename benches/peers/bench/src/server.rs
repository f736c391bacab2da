//! The PostgreSQL server that all programs share: its tables between two runs, and its time.

use std::fs;

use peer_trades::BoxError;
use postgres::{Client, NoTls};

use crate::rows::from_environment;

const TABLES: [&str; 2] = ["transactions", "transactions_import"];

/// The private server that `scripts/bench-peers` has started.
pub(crate) struct Server {
    client: Client,
    postmaster: u32,
}

impl Server {
    /// Connects to the server of the environment.
    pub(crate) fn from_environment() -> Result<Self, BoxError> {
        let mut client = Client::connect(&from_environment("DATABASE_URL")?, NoTls)?;
        let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
        let stat = fs::read_to_string(format!("/proc/{backend}/stat"))?;
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        let postmaster = parent.ok_or("the server's first process was not found")?.parse()?;
        Ok(Self { client, postmaster })
    }

    /// Makes the public benchmark's tables anew and settles what the last run left to write.
    pub(crate) fn prepare(&mut self) -> Result<(), BoxError> {
        for table in TABLES {
            self.client.batch_execute(&format!(
                "DROP TABLE IF EXISTS {table};
                 CREATE TABLE {table} (
                     transaction_id VARCHAR(36) PRIMARY KEY,
                     amount DOUBLE PRECISION NOT NULL,
                     currency VARCHAR(3) NOT NULL,
                     timestamp VARCHAR(25) NOT NULL,
                     account_from VARCHAR(15) NOT NULL,
                     account_to VARCHAR(15) NOT NULL,
                     status VARCHAR(15) NOT NULL,
                     amount_eur DOUBLE PRECISION NOT NULL DEFAULT 0.0
                 )"
            ))?;
        }
        Ok(self.client.batch_execute("CHECKPOINT")?)
    }

    /// Rows of a table and a sum over the hashes of its rows, whatever their order.
    pub(crate) fn contents(&mut self, table: &str) -> Result<(u64, String), BoxError> {
        let query = format!("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {table} t");
        let row = self.client.query_one(&query, &[])?;
        Ok((u64::try_from(row.get::<_, i64>(0))?, row.get(1)))
    }

    /// Processor time of the server with all its processes, those that have ended included.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, BoxError> {
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // A process may end between the listing and the look at it.
            let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
            let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
            if id == self.postmaster {
                ticks += number(11) + number(12) + number(13) + number(14);
            } else if number(1) == u64::from(self.postmaster) {
                ticks += number(11) + number(12);
            }
        }
        // The kernel counts here in hundredths of a second.
        #[expect(clippy::cast_precision_loss, reason = "a count of ticks")]
        Ok(ticks as f64 / 100.0)
    }
}
