//! PostgreSQL as the database of the shared statements, and the contracts that are made of them.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use oxbatch_core::notice::{Notice, NoticeAttempt, NoticeId, NoticeState};
use oxbatch_core::repository::{
    Agenda, AttemptEnd, Backfill, BackfillId, BackfillWork, Backfills, Fire, FireFilter, FireId, FirePage, FireRequest,
    Fired, LateFire, LaunchRequest, Launched, NewBackfill, NoticePage, Notices, Notification, PageRequest, Pause,
    PauseScope, PutSchedule, ReleaseRequest, RepositoryFuture, ScheduleFilter, ScheduleId, Schedules, ServiceChannels,
    StoredSchedule, WaitingFire,
};
use oxbatch_core::schedule::rules::LastRun;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::error::{ServerError, StoreError, corrupt};
use super::session::Session;
use super::sql::now;
use super::{PostgresRepository, launch};
use crate::shared::{
    Database, OwnedRow, Value, backfills, channels, deadlines, fire, fires, notices, pauses, prune, schedules,
};

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Number(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Flag(flag) => flag.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BOOL, Type::BYTEA].contains(kind)
    }

    to_sql_checked!();
}

fn bound(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn owned(row: &tokio_postgres::Row) -> Result<OwnedRow, StoreError> {
    let value = |column: usize| -> Result<Value, StoreError> {
        let kind = row.columns()[column].type_();
        Ok(if *kind == Type::INT8 {
            row.try_get::<_, Option<i64>>(column)?.into()
        } else if *kind == Type::BOOL {
            row.try_get::<_, Option<bool>>(column)?.into()
        } else if *kind == Type::BYTEA {
            row.try_get::<_, Option<Vec<u8>>>(column)?.map_or(Value::Null, Value::Bytes)
        } else if *kind == Type::TEXT {
            row.try_get::<_, Option<String>>(column)?.map_or(Value::Null, Value::Text)
        } else {
            return Err(corrupt("value", 0, format!("column {column} has the type {kind}")));
        })
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(OwnedRow)
}

impl Database for Session {
    type Error = ServerError;

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.one(concat!("SELECT ", now!()), &[]).await?.try_get(0)?)
    }

    async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<OwnedRow>, StoreError> {
        Session::query(self, sql, &bound(values)).await?.iter().map(owned).collect()
    }

    async fn execute_all(&self, sql: &'static str, sets: &[Vec<Value>]) -> Result<u64, StoreError> {
        // All are sent before the first answer is waited for.
        let work = sets.iter().map(|values| async move { Session::execute(self, sql, &bound(values)).await });
        Ok(try_join_all(work).await?.into_iter().sum())
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Launched, StoreError> {
        launch::launch(self, request).await
    }
}

impl PostgresRepository {
    /// Wakes the nodes: those that run executions, and those that see to schedules.
    fn tell_fired(&self, fired: &Fired) {
        if let Fired::Recorded { launched: Some(_), .. } = fired {
            self.notify(Notification::Work);
        }
    }
}

impl Schedules for PostgresRepository {
    fn agenda(&self) -> RepositoryFuture<'_, Agenda> {
        self.read("read the agenda", (), |session, ()| schedules::agenda(session).boxed()).boxed()
    }

    fn schedules(&self, filter: ScheduleFilter) -> RepositoryFuture<'_, Vec<StoredSchedule>> {
        self.read("list schedules", filter, |session, filter| schedules::list(session, filter).boxed()).boxed()
    }

    fn put_schedule(&self, schedule: PutSchedule) -> RepositoryFuture<'_, bool> {
        self.write("write a schedule", schedule, |session, schedule| schedules::put(session, schedule).boxed()).boxed()
    }

    fn remove_schedule<'a>(&'a self, name: &'a str, time: Timestamp) -> RepositoryFuture<'a, bool> {
        self.write("remove a schedule", (name, time), |session, (name, time)| {
            schedules::remove(session, name, *time).boxed()
        })
        .boxed()
    }

    fn fire(&self, request: FireRequest) -> RepositoryFuture<'_, Fired> {
        async move {
            let fired = self.write("record a fire", request, |session, request| fire::fire(session, request).boxed());
            let fired = fired.await?;
            self.tell_fired(&fired);
            Ok(fired)
        }
        .boxed()
    }

    fn release(&self, request: ReleaseRequest) -> RepositoryFuture<'_, Fired> {
        async move {
            let fired =
                self.write("launch a fire", request, |session, request| fire::release(session, request).boxed());
            let fired = fired.await?;
            self.tell_fired(&fired);
            Ok(fired)
        }
        .boxed()
    }

    fn waiting_fires(&self, after: Option<(Timestamp, FireId)>, limit: u32) -> RepositoryFuture<'_, Vec<WaitingFire>> {
        self.read("list waiting fires", (after, limit), |session, (after, limit)| {
            fires::waiting(session, *after, *limit).boxed()
        })
        .boxed()
    }

    fn fires(&self, filter: FireFilter, page: PageRequest) -> RepositoryFuture<'_, FirePage> {
        self.read("list fires", (filter, page), |session, (filter, page)| fires::page(session, filter, *page).boxed())
            .boxed()
    }

    fn has_fire<'a>(&'a self, id: ScheduleId, instant: Timestamp, file: &'a str) -> RepositoryFuture<'a, bool> {
        self.read("look for a fire", (id, instant, file), |session, fire| fires::is_there(session, *fire).boxed())
            .boxed()
    }

    fn fire_of(&self, id: FireId) -> RepositoryFuture<'_, Option<Fire>> {
        self.read("read a fire", id, |session, id| fires::fire_of(session, *id).boxed()).boxed()
    }

    fn check_deadlines(&self, time: Timestamp, limit: u32) -> RepositoryFuture<'_, (Vec<LateFire>, u32)> {
        self.write("check deadlines", (time, limit), |session, (time, limit)| {
            deadlines::check(session, *time, *limit).boxed()
        })
        .boxed()
    }

    fn pause(&self, pause: Pause) -> RepositoryFuture<'_, ()> {
        self.write("pause schedules", pause, |session, pause| pauses::pause(session, pause).boxed()).boxed()
    }

    fn resume<'a>(&'a self, scope: PauseScope, name: &'a str, time: Timestamp) -> RepositoryFuture<'a, bool> {
        self.write("resume schedules", (scope, name, time), |session, (scope, name, time)| {
            pauses::resume(session, *scope, name, *time).boxed()
        })
        .boxed()
    }

    fn pauses(&self) -> RepositoryFuture<'_, Vec<Pause>> {
        self.read("list pauses", (), |session, ()| pauses::list(session).boxed()).boxed()
    }

    fn prune_fires(&self, before: Timestamp, limit: u32) -> RepositoryFuture<'_, u64> {
        self.write("remove old fires", (before, limit), |session, (before, limit)| {
            prune::prune(session, *before, *limit).boxed()
        })
        .boxed()
    }
}

impl Notices for PostgresRepository {
    fn notice_channels(&self) -> RepositoryFuture<'_, Vec<ServiceChannels>> {
        self.read("list the channels of notices", (), |session, ()| channels::all(session).boxed()).boxed()
    }

    fn set_notice_channels(&self, of: ServiceChannels, gone: Vec<Uuid>) -> RepositoryFuture<'_, ()> {
        self.write("set the channels of notices", (of, gone), |session, (of, gone)| {
            channels::set(session, of, gone).boxed()
        })
        .boxed()
    }

    fn due_channels(&self, time: Timestamp) -> RepositoryFuture<'_, Vec<String>> {
        self.read("list channels with notices", time, |session, time| channels::due(session, *time).boxed()).boxed()
    }

    fn claim_notices(
        &self,
        channels: Vec<String>,
        time: Timestamp,
        keep: Duration,
        limit: u32,
    ) -> RepositoryFuture<'_, Vec<Notice>> {
        self.write("take notices", (channels, time, keep, limit), |session, (channels, time, keep, limit)| {
            notices::claim(session, channels, *time, *keep, *limit).boxed()
        })
        .boxed()
    }

    fn end_attempt(&self, end: AttemptEnd) -> RepositoryFuture<'_, ()> {
        self.write("record a delivery", end, |session, end| notices::end_attempt(session, end).boxed()).boxed()
    }

    fn notices(&self, state: Option<NoticeState>, page: PageRequest) -> RepositoryFuture<'_, NoticePage> {
        self.read("list notices", (state, page), |session, (state, page)| notices::page(session, *state, *page).boxed())
            .boxed()
    }

    fn notice_attempts(&self, id: NoticeId) -> RepositoryFuture<'_, Vec<NoticeAttempt>> {
        self.read("list deliveries", id, |session, id| notices::attempts(session, *id).boxed()).boxed()
    }
}

impl Backfills for PostgresRepository {
    fn last_runs<'a>(&'a self, job_name: &'a str, keys: Vec<String>) -> RepositoryFuture<'a, Vec<Option<LastRun>>> {
        self.read("look for instances", (job_name, keys), |session, (job_name, keys)| {
            backfills::last_runs(session, job_name, keys).boxed()
        })
        .boxed()
    }

    fn create_backfill(&self, backfill: NewBackfill) -> RepositoryFuture<'_, BackfillId> {
        self.write("begin a backfill", backfill, |session, new| backfills::create(session, new).boxed()).boxed()
    }

    fn backfills(&self, id: Option<BackfillId>) -> RepositoryFuture<'_, Vec<Backfill>> {
        self.read("list backfills", id, |session, id| backfills::list(session, *id).boxed()).boxed()
    }

    fn cancel_backfill(&self, id: BackfillId, time: Timestamp) -> RepositoryFuture<'_, bool> {
        self.write("cancel a backfill", (id, time), |session, (id, time)| {
            backfills::cancel(session, *id, *time).boxed()
        })
        .boxed()
    }

    fn backfill_work(&self, time: Timestamp) -> RepositoryFuture<'_, Vec<BackfillWork>> {
        self.write("look for backfills", time, |session, time| backfills::work(session, *time).boxed()).boxed()
    }
}
