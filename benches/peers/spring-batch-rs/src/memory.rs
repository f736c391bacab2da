//! Numbers from memory into a sum: the engine alone. It keeps no record of what it does.

use std::cell::Cell;
use std::time::Instant;

use peer_trades::{Answer, BoxError, Task, sum, work};
use spring_batch_rs::BatchError;
use spring_batch_rs::core::item::{ItemProcessor, ItemReader, ItemWriter};

struct Numbers {
    next: Cell<u64>,
    end: u64,
}

impl ItemReader<u64> for Numbers {
    fn read(&self) -> Result<Option<u64>, BatchError> {
        let number = self.next.get();
        if number == self.end {
            return Ok(None);
        }
        self.next.set(number + 1);
        Ok(Some(number))
    }
}

struct Work;

impl ItemProcessor<u64, u64> for Work {
    fn process(&self, item: u64) -> Result<Option<u64>, BatchError> {
        Ok(work(item))
    }
}

struct Sum(Cell<u64>);

impl ItemWriter<u64> for Sum {
    fn write(&self, items: &[u64]) -> Result<(), BatchError> {
        self.0.set(self.0.get().wrapping_add(sum(items)));
        Ok(())
    }
}

pub(crate) fn run(task: &Task) -> Result<Answer, BoxError> {
    let start = Instant::now();
    let writer = Sum(Cell::new(0));
    crate::run_step(task.chunk, &Numbers { next: Cell::new(0), end: task.rows }, &Work, &writer)?;
    Ok(Answer { checksum: Some(writer.0.get()), ..Answer::of(start.elapsed()) })
}
