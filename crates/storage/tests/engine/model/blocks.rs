//! The model's input as a source that workers share, and its output encoded by them.

use std::sync::{Arc, Mutex};

use oxbatch_core::ItemError;
use oxbatch_core::item::{BlockReader, Checkpoint, DecodedBlock, EncodedOutputs, Marks, Origin, OutputEncoder};

use super::job::{Pending, strikes};
use super::plan::{Plan, Trouble};

/// Takes blocks of the numbers behind those that were taken.
pub(super) struct Blocks {
    next: Arc<Mutex<u64>>,
    pending: Pending,
    plan: Plan,
    start: u64,
    count: u64,
}

impl Blocks {
    pub(super) fn split(next: u64, plan: &Plan, pending: &Pending, readers: usize) -> Vec<Box<dyn BlockReader<u64>>> {
        let next = Arc::new(Mutex::new(next));
        let reader = || {
            let (next, pending, plan) = (Arc::clone(&next), Arc::clone(pending), plan.clone());
            Box::new(Self { next, pending, plan, start: 0, count: 0 }) as Box<dyn BlockReader<u64>>
        };
        (0..readers).map(|_| reader()).collect()
    }
}

impl BlockReader<u64> for Blocks {
    fn take(&mut self, records: usize) -> Result<bool, ItemError> {
        let mut next = self.next.lock().unwrap();
        (self.start, self.count) = (*next, 0);
        let most = self.plan.block.min(records as u64);
        while *next < self.plan.items && self.count < most {
            let trouble = Trouble::Read(*next);
            if self.count > 0 && self.pending.lock().unwrap().contains(&trouble) {
                break;
            }
            if strikes(&self.pending, trouble) {
                return Err(ItemError::transient("the line dropped"));
            }
            // Some bad numbers are found as such when they are taken, others when they are decoded.
            if self.plan.cannot_read(*next) && next.is_multiple_of(2) {
                if self.count > 0 {
                    break;
                }
                *next += 1;
                self.count = 1;
                return Err(ItemError::parse("no number").with_raw(self.start.to_string()));
            }
            *next += 1;
            self.count += 1;
        }
        Ok(self.count > 0)
    }

    fn decode(&mut self, _: Marks, into: &mut DecodedBlock<u64>) {
        for (outcomes, n) in (self.start..self.start + self.count).enumerate() {
            match self.plan.cannot_read(n) {
                true => into.errors.push_back((outcomes, ItemError::parse("no number").with_raw(n.to_string()))),
                false => into.items.push_back(n),
            }
        }
    }

    fn checkpoint(&mut self, outcomes: usize) -> Result<Option<Checkpoint>, ItemError> {
        let next = self.start + outcomes as u64;
        if strikes(&self.pending, Trouble::Checkpoint(next)) {
            return Err(ItemError::other("lost its place"));
        }
        Checkpoint::new(&next).map(Some)
    }

    fn origin(&self, _: usize) -> Option<Origin> {
        None
    }

    fn progress(&self) -> Option<f64> {
        None
    }
}

/// Eight bytes for each output.
pub(super) struct Bytes;

impl OutputEncoder<u64> for Bytes {
    fn encode(&mut self, outputs: &[u64], into: &mut EncodedOutputs) -> Result<(), ItemError> {
        outputs.iter().for_each(|output| into.bytes.extend_from_slice(&output.to_le_bytes()));
        Ok(())
    }

    fn fork(&self) -> Option<Box<dyn OutputEncoder<u64>>> {
        Some(Box::new(Self))
    }
}

/// The outputs in their bytes.
pub(super) fn decoded(encoded: &EncodedOutputs) -> Vec<u64> {
    let (outputs, rest) = encoded.bytes.as_chunks::<8>();
    assert!(rest.is_empty() && outputs.len() == encoded.outputs);
    outputs.iter().map(|output| u64::from_le_bytes(*output)).collect()
}
