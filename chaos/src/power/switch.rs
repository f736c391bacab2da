//! The moment at which the power goes: before a certain change of the disk, or when the test says so.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::disk::Disk;

/// The last events that a failure shows.
const SHOWN_EVENTS: usize = 60;

/// When the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Right before the n-th point of order: a force, or a change of a name or of a length.
    Point(u64),
    /// Right before the n-th change of any kind, writes among them.
    Change(u64),
    /// After the program has ended.
    End,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Point(number) => write!(f, "{number}"),
            Self::Change(number) => write!(f, "w{number}"),
            Self::End => write!(f, "end"),
        }
    }
}

/// An event of a program on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The number of a point of order; none for a write.
    point: Option<u64>,
    what: &'static str,
    path: PathBuf,
    detail: String,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.point {
            Some(number) => write!(f, "{number:>5}  ")?,
            None => write!(f, "       ")?,
        }
        write!(f, "{} {}{}", self.what, self.path.display(), self.detail)
    }
}

/// The number of events that the disk has passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) points: u64,
    pub(crate) changes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    On,
    /// It is gone, and the programs do not know yet: they wait for the disk until they are killed.
    Gone,
    /// Nothing is answered any more but by an error.
    Off,
}

/// A disk under power.
#[derive(Debug)]
pub(crate) struct Switch {
    state: Mutex<State>,
    changed: Condvar,
}

/// The state that the file system works on.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) disk: Disk,
    moment: Moment,
    passed: Passed,
    power: Power,
    events: Vec<Event>,
}

impl Switch {
    pub(crate) fn new(disk: Disk, moment: Moment) -> Self {
        let state = State { disk, moment, passed: Passed::default(), power: Power::On, events: Vec::new() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The disk, to read from.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk, to change its bytes; nothing when the power is gone.
    pub(crate) fn write(&self, number: u64, detail: String) -> Option<MutexGuard<'_, State>> {
        let state = self.state();
        let path = state.disk.path(number);
        self.admit(state, Event { point: None, what: "write", path, detail })
    }

    /// The disk, for a point of order; nothing when the power is gone.
    pub(crate) fn order(&self, what: &'static str, path: PathBuf, detail: String) -> Option<MutexGuard<'_, State>> {
        let state = self.state();
        let point = Some(state.passed.points + 1);
        self.admit(state, Event { point, what, path, detail })
    }

    fn admit<'a>(&'a self, mut state: MutexGuard<'a, State>, event: Event) -> Option<MutexGuard<'a, State>> {
        if state.power == Power::On {
            let (points, changes) = (state.passed.points, state.passed.changes);
            let here = match state.moment {
                Moment::Point(number) => event.point == Some(number),
                Moment::Change(number) => changes + 1 == number,
                Moment::End => false,
            };
            if !here {
                state.passed.changes = changes + 1;
                state.passed.points = points + u64::from(event.point.is_some());
                state.events.push(event);
                return Some(state);
            }
            state.events.push(Event { detail: format!("{} … the power is gone", event.detail), ..event });
            state.power = Power::Gone;
            self.changed.notify_all();
        }
        // Answered once the programs are dead: none of them may ever go on from here.
        while state.power == Power::Gone {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Waits until the power is gone, a moment at most. The answer says whether it is.
    pub(crate) fn is_gone_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.state();
        while state.power == Power::On {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Switches off: the programs are dead, or as good as that.
    pub(crate) fn off(&self) {
        self.state().power = Power::Off;
        self.changed.notify_all();
    }

    pub(crate) fn passed(&self) -> Passed {
        self.state().passed
    }

    /// The last events, and what a loss of power could take now.
    pub(crate) fn report(&self) -> String {
        let state = self.state();
        let skipped = state.events.len().saturating_sub(SHOWN_EVENTS);
        let mut lines = vec![format!("  the disk, after {skipped} earlier events:")];
        lines.extend(state.events.iter().skip(skipped).map(|event| format!("  {event}")));
        lines.push("  not forced:".to_owned());
        lines.extend(state.disk.losses().iter().map(|loss| {
            format!(
                "         {}: {} changes, {} bytes of which {} are forced",
                loss.path.display(),
                loss.changes,
                loss.length,
                loss.forced
            )
        }));
        lines.join("\n")
    }
}
