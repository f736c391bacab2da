//! The conformance suite on PostgreSQL.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oxbatch_core::conformance::Backend;
use oxbatch_core::repository::{ChunkTransaction, JobRepository};
use oxbatch_storage::{PostgresChunkTransaction, PostgresRepository, PostgresSettings};
use oxbatch_test_postgres::TestDatabase;
use tokio::runtime::Handle;

struct Postgres {
    database: TestDatabase,
}

fn postgres() -> Postgres {
    Postgres { database: TestDatabase::new() }
}

impl Backend for Postgres {
    fn open(&self) -> Box<dyn JobRepository> {
        let settings = PostgresSettings::from_url(self.database.url()).unwrap();
        let opened = tokio::task::block_in_place(|| Handle::current().block_on(PostgresRepository::open(settings)));
        Box::new(opened.unwrap())
    }

    fn write_row<'a>(&'a self, transaction: &'a mut dyn ChunkTransaction, value: i64) -> BoxFuture<'a, ()> {
        async move {
            let client = PostgresChunkTransaction::of(transaction).unwrap().client().await.unwrap();
            client.batch_execute("CREATE TABLE IF NOT EXISTS own (value BIGINT)").await.unwrap();
            client.execute("INSERT INTO own (value) VALUES ($1)", &[&value]).await.unwrap();
        }
        .boxed()
    }

    fn rows(&self) -> BoxFuture<'_, Vec<i64>> {
        let rows = self.database.query("SELECT value FROM own ORDER BY value");
        std::future::ready(rows.iter().map(|row| row.parse().unwrap()).collect()).boxed()
    }
}

oxbatch_core::repository_conformance!(super::postgres);
