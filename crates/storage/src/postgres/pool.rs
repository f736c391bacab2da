//! The pool of connections: its slots, and the retry of work after deadlocks, lost connections and restarts, with
//! back-off.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use futures_util::future::{BoxFuture, join};
use oxbatch_core::repository::{PoolStatus, RepositoryError};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connect::{Connector, OnRuntime};
use super::error::{ServerError, StoreError, unavailable};
use super::session::{Mark, Session};
use crate::stop::{STOP_GRACE, stop_is_over};

/// First wait before work that failed is tried again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The time that is waited until the log says so, and then between two lines.
const FIRST_LINE: Duration = Duration::from_millis(500);
const NEXT_LINE: Duration = Duration::from_secs(10);

/// A piece of work: a function of a connection and of the request.
pub(super) type Work<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// All connections of a repository. Steps hold theirs for as long as they run, so they have a share of their own: the
/// end of a step never waits for the end of another one.
pub(super) struct Connections {
    pub(super) connector: Connector,
    pool: Pool,
    steps: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new(connector: Connector) -> Result<Self, RepositoryError> {
        let settings = connector.settings();
        let metadata = settings.for_metadata();
        let steps = Arc::new(Semaphore::new(settings.connections - metadata));
        let timeout = Some(connector.timeout());
        let connect = OnRuntime { connector: connector.clone(), runtime: Handle::current() };
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_connect(settings.config.clone(), connect, config))
            .max_size(metadata)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait: timeout, create: timeout, recycle: timeout })
            .build();
        let pool = pool.map_err(|error| RepositoryError::Unusable { problem: error.to_string(), source: None })?;
        Ok(Self { connector, pool, steps })
    }

    pub(super) async fn session(&self) -> Result<Session, StoreError> {
        Ok(Session::new(self.pool.get().await?))
    }

    /// The connections as of now: those of steps and all others.
    pub(super) fn status(&self) -> PoolStatus {
        let (settings, pool) = (self.connector.settings(), self.pool.status());
        let steps = settings.connections - settings.for_metadata();
        let of_steps = steps.saturating_sub(self.steps.available_permits());
        let idle = pool.available;
        PoolStatus {
            limit: settings.connections,
            used: of_steps + pool.size.saturating_sub(idle),
            waiting: pool.waiting,
        }
    }

    /// A permit for a connection of a step, within the time.
    pub(super) async fn permit_for_step(&self, stop: &CancellationToken) -> Result<OwnedSemaphorePermit, StoreError> {
        if let Ok(permit) = Arc::clone(&self.steps).try_acquire_owned() {
            return Ok(permit);
        }
        tracing::warn!("a step waits for a connection: all those of database.connections are in use");
        let permit =
            tokio::time::timeout(self.connector.settings().retry_time, Arc::clone(&self.steps).acquire_owned());
        tokio::select! {
            permit = permit => permit.ok().and_then(Result::ok).ok_or(ServerError::NoneFree.into()),
            () = stop_is_over(stop) => Err(ServerError::Stopped.into()),
        }
    }

    /// Closes what nobody uses.
    pub(super) fn close_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    /// The moment at which retries are given up.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.connector.settings().retry_time
    }

    /// Reads; what fails for a reason that passes is asked again.
    pub(super) async fn read<A, T>(
        &self,
        asked: &A,
        work: impl for<'a> Fn(&'a Session, &'a A) -> Work<'a, T>,
    ) -> Result<T, StoreError> {
        let mut patience = Patience::until(self.deadline());
        loop {
            let done = match self.session().await {
                Ok(session) => work(&session, asked).await,
                Err(error) => Err(error),
            };
            match done {
                Err(error) if error.passes() && patience.wait(&error).await => {}
                done => return done,
            }
        }
    }

    /// Works in one transaction, once: it is repeated only when it certainly was not committed.
    pub(super) async fn write<A, T>(
        &self,
        operation: &'static str,
        asked: &A,
        work: impl for<'a> Fn(&'a Session, &'a A) -> Work<'a, T>,
    ) -> Result<T, StoreError> {
        let deadline = self.deadline();
        let mut patience = Patience::until(deadline);
        loop {
            match self.attempt(operation, deadline, asked, &work).await {
                Err(error) if error.passes() && patience.wait(&error).await => {}
                done => return done,
            }
        }
    }

    async fn attempt<A, T>(
        &self,
        operation: &'static str,
        deadline: Instant,
        asked: &A,
        work: &impl for<'a> Fn(&'a Session, &'a A) -> Work<'a, T>,
    ) -> Result<T, StoreError> {
        let mut session = self.session().await?;
        session.enter_transaction();
        // The first statement goes out with the BEGIN, which costs no journey of its own then.
        let (begun, done) = join(session.begin(), work(&session, asked)).await;
        let mark = begun?;
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                session.roll_back().await;
                return Err(error);
            }
        };
        match session.commit().await {
            Ok(()) => Ok(done),
            Err(error) if error.is_lost() => {
                drop(session);
                match self.was_committed(&mark, deadline).await {
                    Some(true) => Ok(done),
                    Some(false) => Err(error),
                    None => {
                        let why = "the connection was lost while it was being committed, and the server does not come \
                                   back to say whether it was";
                        Err(unavailable(operation, why).into())
                    }
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Finds out whether a transaction was committed whose answer is lost; `None` when nobody can say within the time.
    async fn was_committed(&self, mark: &Mark, deadline: Instant) -> Option<bool> {
        let mut patience = Patience::until(deadline);
        let mut asked = false;
        loop {
            let mut cause = StoreError::from(ServerError::NoAnswer);
            let status = async {
                let session = self.session().await?;
                let sql = "SELECT pg_xact_status($1::text::xid8)";
                let status: Option<String> = session.one(sql, &[&mark.transaction]).await?.try_get(0)?;
                // Its process may wait for a word that never comes: after a first question it is ended.
                if status.as_deref() == Some("in progress") && asked {
                    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE pid = $2 AND backend_xid = $1::text::xid8::xid";
                    session.query(sql, &[&mark.transaction, &mark.process]).await?;
                }
                Ok::<_, StoreError>(status)
            };
            match status.await {
                Ok(Some(status)) if status == "committed" => return Some(true),
                Ok(Some(status)) if status == "aborted" => return Some(false),
                Ok(Some(_)) => asked = true,
                Ok(None) => return None,
                Err(error) if error.passes() => cause = error,
                Err(_) => return None,
            }
            if !patience.wait(&cause).await {
                return None;
            }
        }
    }
}

/// Waits between attempts, longer each time, up to a deadline. A wait that takes long is logged.
pub(super) struct Patience {
    deadline: Instant,
    pause: Duration,
    stop: CancellationToken,
    /// The moment at which the stop was noticed.
    stopped: Option<Instant>,
    next_line: Instant,
}

impl Patience {
    pub(super) fn until(deadline: Instant) -> Self {
        Self::unless(deadline, CancellationToken::new())
    }

    /// A wait that a stop ends.
    pub(super) fn unless(deadline: Instant, stop: CancellationToken) -> Self {
        Self { deadline, pause: FIRST_PAUSE, stop, stopped: None, next_line: Instant::now() + FIRST_LINE }
    }

    /// The error of a wait that is over: the one that was waited for, or the stop that ended it.
    pub(super) fn ended_by(&self, error: StoreError) -> StoreError {
        if self.stop.is_cancelled() && error.passes() { ServerError::Stopped.into() } else { error }
    }

    /// Waits because of an error; `false` when there is no time left for another attempt. A stop leaves a moment, in
    /// which what is ready to be saved is saved.
    pub(super) async fn wait(&mut self, error: &StoreError) -> bool {
        let now = Instant::now();
        if self.stop.is_cancelled() {
            let stopped = *self.stopped.get_or_insert(now);
            self.deadline = self.deadline.min(stopped + STOP_GRACE);
        }
        if now + self.pause > self.deadline {
            return false;
        }
        if now >= self.next_line {
            self.next_line = now + NEXT_LINE;
            tracing::warn!(cause = %error, "the database is waited for");
        }
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            () = self.stop.cancelled(), if self.stopped.is_none() => {}
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}
