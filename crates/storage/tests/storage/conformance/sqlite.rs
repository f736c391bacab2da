//! The conformance suite on SQLite.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oxbatch_core::conformance::Backend;
use oxbatch_core::repository::{ChunkTransaction, JobRepository};
use oxbatch_storage::{SqliteChunkTransaction, SqliteRepository};

struct Sqlite {
    folder: tempfile::TempDir,
}

fn sqlite() -> Sqlite {
    Sqlite { folder: tempfile::tempdir().unwrap() }
}

impl Sqlite {
    fn repository(&self) -> SqliteRepository {
        SqliteRepository::open(&self.folder.path().join("oxbatch.db")).unwrap()
    }
}

impl Backend for Sqlite {
    fn open(&self) -> Box<dyn JobRepository> {
        Box::new(self.repository())
    }

    fn write_row<'a>(&'a self, transaction: &'a mut dyn ChunkTransaction, value: i64) -> BoxFuture<'a, ()> {
        async move {
            let connection = SqliteChunkTransaction::of(transaction).unwrap().connection().await.unwrap();
            connection.execute_batch("CREATE TABLE IF NOT EXISTS own (value INTEGER)").unwrap();
            connection.execute("INSERT INTO own (value) VALUES (?1)", [value]).unwrap();
        }
        .boxed()
    }

    fn rows(&self) -> BoxFuture<'_, Vec<i64>> {
        let connection = self.repository().open_reader().unwrap();
        let mut statement = connection.prepare("SELECT value FROM own ORDER BY value").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        std::future::ready(rows).boxed()
    }
}

oxbatch_core::repository_conformance!(super::sqlite);
