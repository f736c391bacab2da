//! The phase of a chunk's transaction, and what moves it from one to the next.

/// The phase of a chunk's transaction.
///
/// ```text
/// Idle ──begin──▶ Begun ──commit──▶ Idle
///                 Begun ──roll back──▶ Idle
///                 Begun ──the store fails──▶ Interrupted ──roll back──▶ Lost ──begin, commit, roll back──▶ as Idle
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// Nothing has begun since the last commit or roll-back.
    #[default]
    Idle,
    /// A transaction has begun on the connection.
    Begun,
    /// The chunk was undone by an error of the store and not its own: it waits for its roll-back.
    Interrupted,
    /// As idle, and what was rolled back last was interrupted: it may be written again.
    Lost,
}

impl Phase {
    /// A transaction has begun. A chunk that only saves needs none: its one statement is its own.
    pub(super) fn has_begun(self) -> bool {
        self == Self::Begun
    }

    pub(super) fn was_lost(self) -> bool {
        self == Self::Lost
    }

    pub(super) fn begin(&mut self) {
        *self = Self::Begun;
    }

    pub(super) fn commit(&mut self) {
        *self = Self::Idle;
    }

    /// Nothing of the chunk is in the store any more, since the store failed or, without that, the chunk.
    pub(super) fn undo(&mut self, store_failed: bool) {
        *self = if store_failed { Self::Interrupted } else { Self::Idle };
    }

    /// The caller has heard of what was undone.
    pub(super) fn roll_back(&mut self) {
        *self = if *self == Self::Interrupted { Self::Lost } else { Self::Idle };
    }
}

#[cfg(test)]
mod tests {
    use super::Phase::{self, Begun, Idle, Interrupted, Lost};

    #[test]
    fn each_transition_leads_where_the_diagram_says() {
        type Move = fn(&mut Phase);
        let moves: [(&str, Move, [Phase; 4]); 5] = [
            ("begin", Phase::begin, [Begun, Begun, Begun, Begun]),
            ("commit", Phase::commit, [Idle, Idle, Idle, Idle]),
            ("undo", |phase| phase.undo(false), [Idle, Idle, Idle, Idle]),
            ("undo by the store", |phase| phase.undo(true), [Interrupted; 4]),
            ("roll back", Phase::roll_back, [Idle, Idle, Lost, Idle]),
        ];
        for (name, make, expected) in moves {
            for (before, after) in [Idle, Begun, Interrupted, Lost].into_iter().zip(expected) {
                let mut phase = before;
                make(&mut phase);
                assert_eq!(phase, after, "{name} from {before:?}");
            }
        }
    }
}
