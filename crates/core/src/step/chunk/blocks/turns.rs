//! The turns of the workers: what only one may have at a time goes from one to the next in the order of the blocks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Hands a value on in the order of numbers.
pub(super) struct Turns<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    /// The number whose turn it is, or is next.
    number: u64,
    /// The value, as long as nobody has it.
    value: Option<T>,
    waiting: Vec<(u64, oneshot::Sender<T>)>,
    /// Nobody has another turn.
    over: bool,
}

impl<T> Turns<T> {
    /// The first turn is that of number 0.
    pub(super) fn new(value: T) -> Self {
        Self { state: Mutex::new(State { number: 0, value: Some(value), waiting: Vec::new(), over: false }) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of a number; `None` when there is none any more.
    pub(super) async fn wait(&self, number: u64) -> Option<Turn<'_, T>> {
        let awaited = {
            let mut state = self.lock();
            if state.over {
                return None;
            }
            let is_next = state.number == number;
            match state.value.take_if(|_| is_next) {
                Some(value) => return Some(Turn { turns: self, value: Some(value) }),
                None => {
                    let (sender, awaited) = oneshot::channel();
                    state.waiting.push((number, sender));
                    awaited
                }
            }
        };
        awaited.await.ok().map(|value| Turn { turns: self, value: Some(value) })
    }

    /// Waits until nobody has another turn.
    pub(super) async fn over(&self) {
        // There is no such number.
        self.wait(u64::MAX).await;
    }

    fn pass(&self, value: T) {
        let mut state = self.lock();
        state.number += 1;
        let next = state.number;
        let found = state.waiting.iter().position(|(number, _)| *number == next);
        let waiting = found.map(|index| state.waiting.swap_remove(index).1);
        state.value = match waiting {
            // Who does not wait any more has given up, and with it all others.
            Some(waiting) => waiting.send(value).err(),
            None => Some(value),
        };
    }

    /// Ends the turns: who waits has none. The value is kept by the one who has it, until its turn is over.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        state.waiting.clear();
    }

    /// The value, unless somebody has it or it was lost.
    pub(super) fn take(&self) -> Option<T> {
        self.lock().value.take()
    }
}

/// A turn. Dropped, it ends all turns.
pub(super) struct Turn<'a, T> {
    turns: &'a Turns<T>,
    value: Option<T>,
}

impl<T> Turn<'_, T> {
    pub(super) fn value(&mut self) -> Option<&mut T> {
        self.value.as_mut()
    }

    /// Ends the turn: the next number has one.
    pub(super) fn pass(mut self) {
        if let Some(value) = self.value.take() {
            self.turns.pass(value);
        }
    }

    /// Drops the value, which is broken.
    pub(super) fn lose(mut self) {
        self.value = None;
        self.turns.end();
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.turns.end();
            self.turns.lock().value = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_goes_round_in_the_order_of_the_numbers_whoever_waits_first() {
        let turns = Turns::new(Vec::new());
        let take = async |number| {
            let mut turn = turns.wait(number).await.unwrap();
            turn.value().unwrap().push(number);
            turn.pass();
        };
        tokio::join!(take(2), take(1), take(0), take(3));
        assert_eq!(turns.take(), Some(vec![0, 1, 2, 3]));
    }

    #[tokio::test]
    async fn a_turn_that_is_given_up_ends_all_and_its_value_is_left() {
        let turns = Turns::new(7);
        let turn = turns.wait(0).await.unwrap();
        let (waited, (), ()) = tokio::join!(turns.wait(1), turns.over(), async { drop(turn) });
        assert!(waited.is_none() && turns.wait(1).await.is_none());
        assert_eq!(turns.take(), Some(7));
        let turns = Turns::new(7);
        turns.wait(0).await.unwrap().lose();
        assert!(turns.wait(1).await.is_none() && turns.take().is_none());
    }
}
