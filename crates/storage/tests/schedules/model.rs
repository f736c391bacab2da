//! Years of schedules in four zones on three nodes, on a virtual clock: nodes die in the middle, the service is off for
//! hours and days, schedules are paused, files come. Each fire is there exactly once, launched or with its reason, and
//! what failed, was missed or is late is said exactly once.
//!
//! One year in the suite; `OXBATCH_MODEL_YEARS=10` for more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use oxbatch_core::engine::{Operator, OperatorConfig};
use oxbatch_core::execution::{ExecutionId, JobParameters, StatusEvent};
use oxbatch_core::notice::{Notice, NoticeChannel, NoticeKind};
use oxbatch_core::repository::{
    Admission, Agenda, ClaimRequest, ExecutionFilter, ExecutionOutcome, Fire, FireFilter, FireLaunch, FireOutcome,
    FireRequest, JobRepository, KnownJobs, LaunchRequest, Lease, NewBackfill, NewFire, Node, PageRequest, Pause,
    PauseScope, PutSchedule, RunLimits, ScheduleFilter, ScheduleId, ScheduleOrigin, ServiceChannels,
};
use oxbatch_core::schedule::rules::{ON_TIME, Policies};
use oxbatch_core::schedule::{AfterFailure, Missed, Overlap, Schedule, Which};
use oxbatch_core::{DateTime, Job, JobRegistry, TaskStep};
use oxbatch_storage::SqliteRepository;

const BEGIN: &str = "2027-01-01T00:00:00Z";
/// The deadline of the one schedule that has one.
const LATE_AFTER: Duration = Duration::from_secs(3 * 3600);
/// The schedule of files. Its fires have no row of the calendar to be fenced by: their identity alone keeps them apart.
const INBOX: &str = "inbox";

/// Numbers without a pattern that are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        // Knuth's generator of linear congruences; the upper bits.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.next(count) == 0
    }
}

fn schedules() -> Vec<(&'static str, Schedule)> {
    let in_zone = |cron: &str, zone: &str| Schedule::cron(cron).zone(zone).expression("at", "fire");
    vec![
        ("berlin", in_zone("30 2 * * *", "Europe/Berlin").started_by(LATE_AFTER)),
        (
            "berlin-all",
            in_zone("15 2,14 * * *", "Europe/Berlin").missed(Missed::All).window(Duration::from_secs(7 * 86_400)),
        ),
        ("new-york", in_zone("30 1 * * *", "America/New_York").missed(Missed::None).overlap(Overlap::Skip)),
        ("lord-howe", in_zone("45 1 * * *", "Australia/Lord_Howe").overlap(Overlap::Allow)),
        ("lord-howe-each-6h", in_zone("0 */6 * * *", "Australia/Lord_Howe").missed(Missed::All)),
        ("cairo", in_zone("0 0 * * *", "Africa/Cairo").after_failure(AfterFailure::Hold)),
        ("leap", in_zone("0 12 29 2 *", "Africa/Cairo")),
    ]
}

fn registry() -> JobRegistry {
    let job = |name: &str| Job::builder(name).step(TaskStep::builder("Only", |_| Ok(()))).build().unwrap();
    JobRegistry::new(schedules().iter().map(|(name, _)| job(name)).chain([job(INBOX)])).unwrap()
}

/// A process: it may die at any point at which it waits.
struct Process {
    operator: Operator,
    node: Node,
}

fn start(path: &Path) -> Process {
    let repository: Arc<dyn JobRepository> = Arc::new(SqliteRepository::open(path).unwrap());
    let node = Node::new("node");
    Process { operator: Operator::new(registry(), repository, OperatorConfig::new(node.clone())), node }
}

/// The moment, with everything to be looked at.
fn moment(now: Timestamp) -> Agenda {
    Agenda {
        now,
        next_fire: Some(now),
        next_deadline: Some(now),
        next_resume: Some(now),
        has_waiting: true,
        has_files: false,
        has_backfills: true,
        next_notice: None,
    }
}

/// The world: what the nodes do, and what the model knows of it.
struct World {
    path: std::path::PathBuf,
    processes: Vec<Process>,
    random: Random,
    now: Timestamp,
    running: Vec<Lease>,
    /// Moments at which a node looked and lived on.
    looks: BTreeSet<Timestamp>,
    /// By name: ranges that a pause held, the first excluded and the last included.
    paused: HashMap<&'static str, Vec<(Timestamp, Timestamp)>>,
    pause_until: Option<Timestamp>,
    /// Files that came, by their times, and whether a node has seen each and lived on.
    files: BTreeMap<Timestamp, bool>,
    /// Executions that have failed.
    failed: BTreeSet<ExecutionId>,
    /// By name: fires that had been missed and that a backfill launches.
    made_up_for: BTreeMap<String, usize>,
    /// Late fires that a node has seen and lived on.
    late: usize,
    deaths: u32,
    backfills: u32,
}

impl World {
    async fn new(folder: &Path) -> Self {
        let path = folder.join("oxbatch.db");
        let now: Timestamp = BEGIN.parse().unwrap();
        let world = Self {
            processes: (0..3).map(|_| start(&path)).collect(),
            path,
            random: Random(20_270_101),
            now,
            running: Vec::new(),
            looks: BTreeSet::from([now]),
            paused: HashMap::new(),
            pause_until: None,
            files: BTreeMap::new(),
            failed: BTreeSet::new(),
            made_up_for: BTreeMap::new(),
            late: 0,
            deaths: 0,
            backfills: 0,
        };
        let kinds = vec![NoticeKind::Failed, NoticeKind::Late, NoticeKind::Missed];
        let channels = vec![NoticeChannel { name: "ops".to_owned(), kinds, skips_over: None }];
        let of = ServiceChannels { node: world.processes[0].node.clone(), confirm_time: now, channels };
        world.repository().set_notice_channels(of, Vec::new()).await.unwrap();
        for (name, schedule) in schedules().into_iter().chain([(INBOX, Schedule::file("/in/*"))]) {
            let next_fire = schedule.calendar().unwrap().and_then(|calendar| calendar.next_after(now));
            let put = PutSchedule {
                name: name.to_owned(),
                job_name: name.to_owned(),
                definition: schedule.to_json(),
                origin: ScheduleOrigin::Added,
                recorded_until: now,
                next_fire,
                revision: None,
                time: now,
                paused: None,
            };
            assert!(world.repository().put_schedule(put).await.unwrap());
        }
        world
    }

    fn repository(&self) -> Arc<dyn JobRepository> {
        Arc::clone(self.processes[0].operator.repository())
    }

    /// All nodes look at once; some die while they do.
    async fn look(&mut self) {
        let now = self.now;
        if self.random.one_in(8) {
            self.files.insert(now, false);
        }
        let inbox = self.schedule_id(INBOX).await;
        let files: Vec<Timestamp> = self.files.iter().filter(|(_, seen)| !**seen).map(|(time, _)| *time).collect();
        let mut ticks = Vec::new();
        for process in &self.processes {
            let dies = self.random.one_in(12).then(|| self.random.next(40));
            let (scheduler, repository) = (process.operator.scheduler(), process.operator.repository());
            let files: Vec<_> = files.iter().map(|time| file_fire(inbox, *time, now)).collect();
            ticks.push(async move {
                let agenda = moment(now);
                let work = async {
                    for file in files {
                        repository.fire(file).await.unwrap();
                    }
                    scheduler.tick(&agenda).await.unwrap()
                };
                match dies {
                    // Dropped in the middle: what it was about to do is not done, what was committed is.
                    Some(steps) => give_up_after(steps, work).await.map(|_| 0).and(None),
                    None => Some(work.await.late),
                }
            });
        }
        let lived = futures_util::future::join_all(ticks).await;
        if lived.iter().any(Option::is_some) {
            self.looks.insert(self.now);
            self.files.extend(files.into_iter().map(|time| (time, true)));
        }
        for (at, late) in lived.into_iter().enumerate() {
            self.late += late.unwrap_or(0);
            if late.is_none() {
                self.deaths += 1;
                self.processes[at] = start(&self.path);
            }
        }
    }

    /// Executions begin, end well or badly, and some go on for long.
    async fn work(&mut self) {
        let process = &self.processes[0];
        let jobs = process.operator.registry().iter();
        let jobs = Arc::new(KnownJobs::new(jobs.map(|job| (job.name().to_owned(), job.fingerprint().to_owned()))));
        while !self.random.one_in(3) {
            let request = ClaimRequest {
                node: process.node.clone(),
                lease: Duration::from_secs(100_000_000),
                jobs: Arc::clone(&jobs),
                limits: RunLimits::default(),
                time: self.now,
                only: None,
            };
            let Some(claimed) = process.operator.repository().claim(request).await.unwrap() else { break };
            self.running.push(claimed.lease);
        }
        let mut left = Vec::new();
        for lease in std::mem::take(&mut self.running) {
            if self.random.one_in(3) {
                left.push(lease);
                continue;
            }
            let event = if self.random.one_in(6) { StatusEvent::Fail } else { StatusEvent::Complete };
            let outcome =
                ExecutionOutcome { event, exit_code: None, exit_message: None, resume: false, time: self.now };
            let ended = process.operator.repository().finish_execution(&lease, outcome).await.unwrap();
            if event == StatusEvent::Fail {
                self.failed.insert(ended.id);
            }
            // What failed and holds others is given up by a person.
            if event == StatusEvent::Fail && self.random.one_in(2) {
                process.operator.repository().abandon(ended.id).await.unwrap();
            }
        }
        self.running = left;
    }

    async fn pause(&mut self) {
        if self.pause_until.is_some_and(|until| self.now < until) || !self.random.one_in(60) {
            return;
        }
        if !self.repository().pauses().await.unwrap().is_empty() {
            return;
        }
        let hours = i64::try_from(self.random.next(60)).unwrap() + 1;
        let until = self.now + SignedDuration::from_hours(hours);
        let all = schedules();
        let (name, _) = &all[usize::try_from(self.random.next(all.len() as u64)).unwrap()];
        let (scope, of, held): (_, _, Vec<&'static str>) = match self.random.next(3) {
            0 => (PauseScope::Schedule, *name, vec![*name]),
            1 => (PauseScope::Job, *name, vec![*name]),
            _ => (PauseScope::All, "", all.iter().map(|(name, _)| *name).collect()),
        };
        let pause =
            Pause { scope, name: of.to_owned(), reason: "model".to_owned(), since: self.now, until: Some(until) };
        self.repository().pause(pause).await.unwrap();
        for name in held {
            self.paused.entry(name).or_default().push((self.now, until));
        }
        self.pause_until = Some(until);
    }

    /// A person launches what was missed or left out, now and then.
    async fn backfill(&mut self) {
        if !self.random.one_in(40) {
            return;
        }
        let repository = self.repository();
        let stored = repository.schedules(ScheduleFilter::All).await.unwrap();
        let stored = &stored[usize::try_from(self.random.next(stored.len() as u64)).unwrap()];
        let filter = FireFilter { schedule_id: Some(stored.id), ..FireFilter::default() };
        let page = repository.fires(filter, PageRequest { before: None, limit: 50 }).await.unwrap();
        let is_open = |outcome| matches!(outcome, FireOutcome::Missed | FireOutcome::Skipped);
        let open: Vec<&Fire> = page.fires.iter().filter(|fire| is_open(fire.outcome)).take(5).collect();
        if open.is_empty() || stored.next_fire.is_none() {
            return;
        }
        let missed = open.iter().filter(|fire| fire.outcome == FireOutcome::Missed).count();
        *self.made_up_for.entry(stored.name.clone()).or_default() += missed;
        let open: Vec<Timestamp> = open.into_iter().map(|fire| fire.instant).collect();
        let day = open[0].to_zoned(jiff::tz::TimeZone::UTC).date();
        let new = NewBackfill {
            schedule_id: stored.id,
            first_day: day,
            last_day: day,
            which: Which::Missing,
            max_running: 2,
            newest_first: self.random.one_in(2),
            fires: open,
            time: self.now,
        };
        repository.create_backfill(new).await.unwrap();
        self.backfills += 1;
    }

    async fn run(&mut self, years: i64) {
        let end = self.now + SignedDuration::from_hours(24 * 366 * years);
        while self.now < end {
            let minutes = match self.random.next(100) {
                // Off for up to five days.
                0 => i64::try_from(self.random.next(5 * 24 * 60)).unwrap(),
                1..20 => i64::try_from(self.random.next(12 * 60)).unwrap(),
                // To the very second of the next fire, or a little behind it.
                _ => {
                    let next = self.repository().schedules(ScheduleFilter::All).await.unwrap();
                    let next = next.iter().filter_map(|stored| stored.next_fire).filter(|next| *next > self.now).min();
                    self.now = next.unwrap_or(self.now)
                        + SignedDuration::from_secs(i64::try_from(self.random.next(30)).unwrap());
                    0
                }
            };
            self.now += SignedDuration::from_mins(minutes);
            self.look().await;
            self.work().await;
            self.pause().await;
            self.backfill().await;
        }
        // A last look by a node that lives.
        self.late += self.processes[0].operator.scheduler().tick(&moment(self.now)).await.unwrap().late;
        self.looks.insert(self.now);
    }

    async fn schedule_id(&self, name: &str) -> ScheduleId {
        self.repository().schedules(ScheduleFilter::Named(name.to_owned())).await.unwrap()[0].id
    }

    async fn fires_of(&self, id: ScheduleId) -> Vec<Fire> {
        let (mut rows, mut before) = (Vec::new(), None);
        loop {
            let filter = FireFilter { schedule_id: Some(id), ..FireFilter::default() };
            let page = self.repository().fires(filter, PageRequest { before, limit: 500 }).await.unwrap();
            rows.extend(page.fires);
            before = page.next;
            if before.is_none() {
                return rows;
            }
        }
    }

    /// Each file that a node has seen has launched once.
    async fn verify_files(&self, launched: &mut BTreeMap<ExecutionId, Timestamp>) -> usize {
        let mut left = self.files.clone();
        for fire in self.fires_of(self.schedule_id(INBOX).await).await {
            assert_eq!(fire.outcome, FireOutcome::Launched, "{fire:?}");
            assert!(left.remove(&fire.instant).is_some(), "a file fires once: {fire:?}");
            assert_eq!(launched.insert(fire.execution_id.unwrap(), fire.instant), None, "an execution is of one fire");
        }
        assert!(!left.values().any(|seen| *seen), "files that nobody has taken: {left:?}");
        self.files.len()
    }

    /// Each failure, each missed and each late fire has one notice.
    async fn verify_notices(&self, missed: &BTreeMap<&str, usize>) -> usize {
        let (mut notices, mut before): (Vec<Notice>, _) = (Vec::new(), None);
        loop {
            let page = self.repository().notices(None, PageRequest { before, limit: 500 }).await.unwrap();
            notices.extend(page.notices);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let of = |kind: NoticeKind| notices.iter().filter(move |notice| notice.kind == kind);
        let mut failed: Vec<_> = of(NoticeKind::Failed).map(|notice| notice.execution_id.unwrap()).collect();
        failed.sort();
        assert_eq!(failed, self.failed.iter().copied().collect::<Vec<_>>(), "each failure is said once");
        let mut said: BTreeMap<&str, usize> = BTreeMap::new();
        for notice in of(NoticeKind::Missed) {
            *said.entry(notice.schedule.as_deref().unwrap()).or_default() += count_in(&notice.message);
        }
        assert_eq!(said, *missed, "what was missed is said once");
        let late: BTreeSet<_> = of(NoticeKind::Late).map(|notice| (&notice.schedule, notice.instant)).collect();
        assert_eq!(late.len(), of(NoticeKind::Late).count(), "a deadline is judged once");
        assert!(late.len() >= self.late && self.late > 0, "{} late, {} said", self.late, late.len());
        notices.len()
    }

    fn was_paused(&self, name: &str, instant: Timestamp) -> bool {
        let ranges = self.paused.get(name).into_iter().flatten();
        ranges.into_iter().any(|(since, until)| *since < instant && instant <= *until)
    }

    /// Compares all that is stored with what the calendars say.
    async fn verify(&self) -> Told {
        let repository = self.repository();
        let mut told = Told::default();
        let (mut launched, mut missed) = (BTreeMap::new(), BTreeMap::new());
        for (name, schedule) in schedules() {
            let stored = repository.schedules(ScheduleFilter::Named(name.to_owned())).await.unwrap().remove(0);
            let rows = self.fires_of(stored.id).await;
            let now_missed = rows.iter().filter(|fire| fire.outcome == FireOutcome::Missed).count();
            let ever_missed = now_missed + self.made_up_for.get(name).copied().unwrap_or(0);
            if ever_missed > 0 {
                missed.insert(name, ever_missed);
            }
            let mut by_instant = BTreeMap::new();
            for fire in rows {
                assert!(by_instant.insert(fire.instant, fire).is_none(), "{name}: one instant, one fire");
            }
            let calendar = schedule.calendar().unwrap().unwrap();
            for instant in calendar.after(BEGIN.parse().unwrap()).take_while(|instant| *instant <= self.now) {
                match by_instant.remove(&instant) {
                    None => {
                        let open = stored.next_fire.is_some_and(|next| next <= instant);
                        assert!(self.was_paused(name, instant) || open, "{name}: {instant} is missing");
                        told.paused += 1;
                    }
                    Some(fire) => {
                        *told.outcomes.entry(fire.outcome.as_str()).or_default() += 1;
                        if fire.outcome == FireOutcome::Missed {
                            let on_time = self.looks.range(instant..=instant + ON_TIME).next();
                            let held = self.was_paused(name, instant) || self.was_paused(name, instant + ON_TIME);
                            assert!(
                                on_time.is_none() || held,
                                "{name}: {instant} was missed, and a node looked at {on_time:?}"
                            );
                        }
                        if fire.outcome == FireOutcome::Launched {
                            let earlier = launched.insert(fire.execution_id.unwrap(), instant);
                            assert_eq!(earlier, None, "an execution is of one fire");
                        }
                    }
                }
            }
            assert!(by_instant.is_empty(), "{name}: fires that no calendar has: {by_instant:?}");
        }
        told.files = self.verify_files(&mut launched).await;
        told.notices = self.verify_notices(&missed).await;
        told.executions = launched.len();
        let mut before = None;
        loop {
            let page =
                repository.executions(ExecutionFilter::default(), PageRequest { before, limit: 500 }).await.unwrap();
            for execution in page.executions {
                let instant = launched.remove(&execution.id).unwrap();
                let at: Timestamp = execution.parameters.date_time("at").unwrap().to_string().parse().unwrap();
                assert_eq!(at, instant, "it has the parameters of its fire");
            }
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert!(launched.is_empty(), "executions of fires are missing: {launched:?}");
        told
    }
}

#[derive(Debug, Default)]
struct Told {
    outcomes: BTreeMap<&'static str, usize>,
    paused: usize,
    executions: usize,
    files: usize,
    notices: usize,
}

/// The fire of a file that came at a moment, as each node asks for it that sees the file.
fn file_fire(schedule_id: ScheduleId, time: Timestamp, now: Timestamp) -> FireRequest {
    let at = DateTime::from_instant(time);
    let request = LaunchRequest {
        job_name: INBOX.to_owned(),
        parameters: JobParameters::default().with("at", at),
        force: false,
        new_run: false,
        definition: None,
        accept_changes: false,
        restartable: true,
        admission: Admission {
            time: now,
            claim: None,
            priority: 0,
            limits: RunLimits::default(),
            queue_limit: 1_000_000,
        },
        after: None,
        idempotency: None,
        trace_parent: None,
    };
    let launch = Ok(FireLaunch { request, policies: Policies::asked_for() });
    let fire = NewFire { instant: time, file: "/in/a 1".to_owned(), launch, deadlines: Vec::new() };
    FireRequest { schedule_id, advance: None, recorded: Vec::new(), fire: Some(fire), time: now }
}

/// The number of fires that the sentence about missed ones names.
fn count_in(message: &str) -> usize {
    message.split(' ').find_map(|word| word.parse().ok()).unwrap_or(1)
}

/// Polls a future so many times, and drops it.
async fn give_up_after<F: Future>(polls: u64, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fire_of_a_year_is_there_once_whatever_happens_to_the_nodes() {
    let years = std::env::var("OXBATCH_MODEL_YEARS").ok().and_then(|years| years.parse().ok()).unwrap_or(1);
    // In memory where the system has a place for it: the clock is virtual, and so may the disk be.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let mut world = World::new(folder.path()).await;
    world.run(years).await;
    let told = world.verify().await;
    println!(
        "{years} years: {told:?}, {} deaths of nodes, {} backfills, {} looks",
        world.deaths,
        world.backfills,
        world.looks.len()
    );
    for outcome in ["LAUNCHED", "MISSED"] {
        assert!(told.outcomes[outcome] > 0, "{told:?}");
    }
    assert!(told.paused > 0 && world.deaths > 0 && world.backfills > 0, "{told:?}");
}
