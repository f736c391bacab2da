//! SQLite as the database of the shared statements, and the contracts that are made of them.

use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use oxbatch_core::notice::{Notice, NoticeAttempt, NoticeId, NoticeState};
use oxbatch_core::repository::{
    Agenda, AttemptEnd, Backfill, BackfillId, BackfillWork, Backfills, Fire, FireFilter, FireId, FirePage, FireRequest,
    Fired, LateFire, LaunchRequest, Launched, NewBackfill, NoticePage, Notices, PageRequest, Pause, PauseScope,
    PutSchedule, ReleaseRequest, RepositoryError, RepositoryFuture, ScheduleFilter, ScheduleId, Schedules,
    ServiceChannels, StoredSchedule, WaitingFire,
};
use oxbatch_core::schedule::rules::LastRun;
use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use uuid::Uuid;

use super::error::StoreError;
use super::sql::now;
use super::{SqliteRepository, launch};
use crate::shared::{
    Database, OwnedRow, Value, backfills, channels, deadlines, fire, fires, notices, pauses, prune, schedules,
};

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(SqliteValue::Null),
            Self::Number(number) => ToSqlOutput::Owned(SqliteValue::Integer(*number)),
            Self::Flag(flag) => ToSqlOutput::Owned(SqliteValue::Integer(i64::from(*flag))),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

impl Database for Connection {
    type Error = rusqlite::Error;

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let now: i64 = self.prepare_cached(concat!("SELECT ", now!()))?.query_row([], |row| row.get(0))?;
        let read = Timestamp::from_microsecond(now);
        Ok(read.map_err(|error| RepositoryError::Corrupt { what: "clock".to_owned(), source: Box::new(error) })?)
    }

    async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<OwnedRow>, StoreError> {
        let mut statement = self.prepare_cached(sql)?;
        let columns = statement.column_count();
        let read = |row: &rusqlite::Row<'_>| {
            let value = |column| {
                Ok(match row.get(column)? {
                    SqliteValue::Null => Value::Null,
                    SqliteValue::Integer(number) => Value::Number(number),
                    SqliteValue::Text(text) => Value::Text(text),
                    SqliteValue::Blob(bytes) => Value::Bytes(bytes),
                    other => return Err(rusqlite::Error::InvalidColumnType(column, sql.to_owned(), other.data_type())),
                })
            };
            (0..columns).map(value).collect::<Result<_, _>>().map(OwnedRow)
        };
        let rows = statement.query_map(params_from_iter(values), read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    async fn execute_all(&self, sql: &'static str, sets: &[Vec<Value>]) -> Result<u64, StoreError> {
        let mut statement = self.prepare_cached(sql)?;
        let mut changed = 0;
        for values in sets {
            changed += statement.execute(params_from_iter(values))? as u64;
        }
        Ok(changed)
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Launched, StoreError> {
        launch::launch(self, request)
    }
}

/// The result of work that never waits.
pub(super) fn done<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    work.now_or_never().unwrap_or_else(|| {
        let source = "a statement of SQLite waited for something".into();
        Err(RepositoryError::Database { operation: "work in the database", source }.into())
    })
}

impl SqliteRepository {
    pub(super) fn ask_shared<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> RepositoryFuture<'_, T> {
        self.store.readers.ask(operation, work).boxed()
    }

    pub(super) fn write_shared<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> RepositoryFuture<'_, T> {
        self.store.writer.run(operation, work).boxed()
    }
}

impl Schedules for SqliteRepository {
    fn agenda(&self) -> RepositoryFuture<'_, Agenda> {
        self.ask_shared("read the agenda", |connection| done(schedules::agenda(connection)))
    }

    fn schedules(&self, filter: ScheduleFilter) -> RepositoryFuture<'_, Vec<StoredSchedule>> {
        self.ask_shared("list schedules", move |connection| done(schedules::list(connection, &filter)))
    }

    fn put_schedule(&self, schedule: PutSchedule) -> RepositoryFuture<'_, bool> {
        self.write_shared("write a schedule", move |connection| done(schedules::put(connection, &schedule)))
    }

    fn remove_schedule<'a>(&'a self, name: &'a str, time: Timestamp) -> RepositoryFuture<'a, bool> {
        let name = name.to_owned();
        self.write_shared("remove a schedule", move |connection| done(schedules::remove(connection, &name, time)))
    }

    fn fire(&self, request: FireRequest) -> RepositoryFuture<'_, Fired> {
        self.write_shared("record a fire", move |connection| done(fire::fire(connection, &request)))
    }

    fn release(&self, request: ReleaseRequest) -> RepositoryFuture<'_, Fired> {
        self.write_shared("launch a fire", move |connection| done(fire::release(connection, &request)))
    }

    fn waiting_fires(&self, after: Option<(Timestamp, FireId)>, limit: u32) -> RepositoryFuture<'_, Vec<WaitingFire>> {
        self.ask_shared("list waiting fires", move |connection| done(fires::waiting(connection, after, limit)))
    }

    fn fires(&self, filter: FireFilter, page: PageRequest) -> RepositoryFuture<'_, FirePage> {
        self.ask_shared("list fires", move |connection| done(fires::page(connection, &filter, page)))
    }

    fn has_fire<'a>(&'a self, id: ScheduleId, instant: Timestamp, file: &'a str) -> RepositoryFuture<'a, bool> {
        let file = file.to_owned();
        self.ask_shared("look for a fire", move |connection| done(fires::is_there(connection, (id, instant, &file))))
    }

    fn fire_of(&self, id: FireId) -> RepositoryFuture<'_, Option<Fire>> {
        self.ask_shared("read a fire", move |connection| done(fires::fire_of(connection, id)))
    }

    fn check_deadlines(&self, time: Timestamp, limit: u32) -> RepositoryFuture<'_, (Vec<LateFire>, u32)> {
        self.write_shared("check deadlines", move |connection| done(deadlines::check(connection, time, limit)))
    }

    fn pause(&self, pause: Pause) -> RepositoryFuture<'_, ()> {
        self.write_shared("pause schedules", move |connection| done(pauses::pause(connection, &pause)))
    }

    fn resume<'a>(&'a self, scope: PauseScope, name: &'a str, time: Timestamp) -> RepositoryFuture<'a, bool> {
        let name = name.to_owned();
        self.write_shared("resume schedules", move |connection| done(pauses::resume(connection, scope, &name, time)))
    }

    fn pauses(&self) -> RepositoryFuture<'_, Vec<Pause>> {
        self.ask_shared("list pauses", |connection| done(pauses::list(connection)))
    }

    fn prune_fires(&self, before: Timestamp, limit: u32) -> RepositoryFuture<'_, u64> {
        self.write_shared("remove old fires", move |connection| done(prune::prune(connection, before, limit)))
    }
}

impl Notices for SqliteRepository {
    fn notice_channels(&self) -> RepositoryFuture<'_, Vec<ServiceChannels>> {
        self.ask_shared("list the channels of notices", |connection| done(channels::all(connection)))
    }

    fn set_notice_channels(&self, of: ServiceChannels, gone: Vec<Uuid>) -> RepositoryFuture<'_, ()> {
        self.write_shared("set the channels of notices", move |connection| done(channels::set(connection, &of, &gone)))
    }

    fn due_channels(&self, time: Timestamp) -> RepositoryFuture<'_, Vec<String>> {
        self.ask_shared("list channels with notices", move |connection| done(channels::due(connection, time)))
    }

    fn claim_notices(
        &self,
        channels: Vec<String>,
        time: Timestamp,
        keep: Duration,
        limit: u32,
    ) -> RepositoryFuture<'_, Vec<Notice>> {
        self.write_shared("take notices", move |connection| {
            done(notices::claim(connection, &channels, time, keep, limit))
        })
    }

    fn end_attempt(&self, end: AttemptEnd) -> RepositoryFuture<'_, ()> {
        self.write_shared("record a delivery", move |connection| done(notices::end_attempt(connection, &end)))
    }

    fn notices(&self, state: Option<NoticeState>, page: PageRequest) -> RepositoryFuture<'_, NoticePage> {
        self.ask_shared("list notices", move |connection| done(notices::page(connection, state, page)))
    }

    fn notice_attempts(&self, id: NoticeId) -> RepositoryFuture<'_, Vec<NoticeAttempt>> {
        self.ask_shared("list deliveries", move |connection| done(notices::attempts(connection, id)))
    }
}

impl Backfills for SqliteRepository {
    fn last_runs<'a>(&'a self, job_name: &'a str, keys: Vec<String>) -> RepositoryFuture<'a, Vec<Option<LastRun>>> {
        let job_name = job_name.to_owned();
        self.ask_shared("look for instances", move |connection| {
            done(backfills::last_runs(connection, &job_name, &keys))
        })
    }

    fn create_backfill(&self, backfill: NewBackfill) -> RepositoryFuture<'_, BackfillId> {
        self.write_shared("begin a backfill", move |connection| done(backfills::create(connection, &backfill)))
    }

    fn backfills(&self, id: Option<BackfillId>) -> RepositoryFuture<'_, Vec<Backfill>> {
        self.ask_shared("list backfills", move |connection| done(backfills::list(connection, id)))
    }

    fn cancel_backfill(&self, id: BackfillId, time: Timestamp) -> RepositoryFuture<'_, bool> {
        self.write_shared("cancel a backfill", move |connection| done(backfills::cancel(connection, id, time)))
    }

    fn backfill_work(&self, time: Timestamp) -> RepositoryFuture<'_, Vec<BackfillWork>> {
        self.write_shared("look for backfills", move |connection| done(backfills::work(connection, time)))
    }
}
