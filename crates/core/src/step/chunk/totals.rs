//! The control totals of a chunk step: how they are declared, summed on their way, committed and checked.

use std::any::Any;
use std::sync::Arc;

use serde::Serialize;

use crate::decimal::{Decimal, DecimalError, Summand};
use crate::execution::{ControlTotal, ControlTotals, cause_chain};
use crate::item::BoxError;
use crate::step::body::BodyError;
use crate::step::context::StepContext;

/// Longest name in characters.
const MAX_NAME_CHARS: usize = 100;

type TakeOne<I> = Arc<dyn Fn(&I) -> Result<Decimal, DecimalError> + Send + Sync>;
/// Adds a chunk of outputs to a sum: one call a chunk, the loop over the outputs is compiled for the author's function.
type TakeAll<O> = Arc<dyn Fn(&[O], Decimal) -> Result<Decimal, DecimalError> + Send + Sync>;
type Rule = Arc<dyn Fn(&ControlTotals, &StepContext) -> Result<(), BoxError> + Send + Sync>;

/// The totals as the builder of a step has been given them.
pub(super) struct Declared<I> {
    totals: Vec<DeclaredTotal<I>>,
    rule: Option<Rule>,
    problem: Option<String>,
}

struct DeclaredTotal<I> {
    name: String,
    read: Option<TakeOne<I>>,
    /// A `TakeAll` of the outputs of the processor that is set at the time; its type shows whether it still is.
    written: Option<Box<dyn Any + Send + Sync>>,
}

impl<I> Default for Declared<I> {
    fn default() -> Self {
        Self { totals: Vec::new(), rule: None, problem: None }
    }
}

impl<I> Declared<I> {
    fn total(&mut self, name: String) -> &mut DeclaredTotal<I> {
        let index = self.totals.iter().position(|total| total.name == name).unwrap_or_else(|| {
            self.totals.push(DeclaredTotal { name, read: None, written: None });
            self.totals.len() - 1
        });
        &mut self.totals[index]
    }

    /// Declares the sum over what is read.
    pub(super) fn read<V, F>(&mut self, name: String, take: F)
    where
        V: Summand,
        F: Fn(&I) -> V + Send + Sync + 'static,
    {
        let total = self.total(name);
        if total.read.replace(Arc::new(move |item| take(item).summand())).is_some() {
            self.problem = Some(format!("control total '{}' is taken twice of what is read", total.name));
        }
    }

    /// Declares the sum over what is written.
    pub(super) fn written<O, V, F>(&mut self, name: String, take: F)
    where
        O: 'static,
        V: Summand,
        F: Fn(&O) -> V + Send + Sync + 'static,
    {
        let all: TakeAll<O> = Arc::new(move |outputs, sum| {
            outputs.iter().try_fold(sum, |sum, output| sum.checked_add(take(output).summand()?))
        });
        let total = self.total(name);
        if total.written.replace(Box::new(all)).is_some() {
            self.problem = Some(format!("control total '{}' is taken twice of what is written", total.name));
        }
    }

    /// Declares the rule that takes the place of the balance.
    pub(super) fn rule(&mut self, rule: Rule) {
        if self.rule.replace(rule).is_some() {
            self.problem = Some("it has two rules for its control totals".to_owned());
        }
    }

    /// The totals of a step whose processor makes `O`; `None` where there are none.
    pub(super) fn build<O: 'static>(self) -> Result<Option<Arc<Totals<I, O>>>, String> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        if self.totals.is_empty() {
            return match self.rule {
                Some(_) => Err("it has a rule for control totals, but takes none".to_owned()),
                None => Ok(None),
            };
        }
        let mut totals = Vec::with_capacity(self.totals.len());
        for DeclaredTotal { name, read, written } in self.totals {
            if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) || name.contains(char::is_control) {
                return Err(format!(
                    "name '{name}' of a control total must have 1 to {MAX_NAME_CHARS} characters, none of them a control character"
                ));
            }
            let written = match written.map(|written| written.downcast::<TakeAll<O>>()) {
                None => None,
                Some(Ok(written)) => Some(*written),
                Some(Err(_)) => {
                    return Err(format!(
                        "control total '{name}' is taken of what another processor makes: declare it after the processor"
                    ));
                }
            };
            totals.push(Total { name, read, written });
        }
        Ok(Some(Arc::new(Totals { totals, rule: self.rule })))
    }
}

/// The totals of a built step.
pub(super) struct Totals<I, O> {
    totals: Vec<Total<I, O>>,
    rule: Option<Rule>,
}

struct Total<I, O> {
    name: String,
    read: Option<TakeOne<I>>,
    written: Option<TakeAll<O>>,
}

impl<I, O> Totals<I, O> {
    /// Adds the sums of a part of a chunk to those of the parts before it.
    pub(super) fn join(&self, sums: &mut Vec<Sums>, part: &[Sums]) -> Result<(), BodyError> {
        sums.resize(self.totals.len(), Sums::default());
        for ((Total { name, .. }, sums), part) in self.totals.iter().zip(sums).zip(part) {
            let add = |of, sum: Decimal, more| sum.checked_add(more).map_err(|error| sum_error(name, of, &error));
            sums.read = add("read", sums.read, part.read)?;
            sums.filtered = add("filtered", sums.filtered, part.filtered)?;
            sums.skipped = add("skipped", sums.skipped, part.skipped)?;
        }
        Ok(())
    }
}

/// The sums of one total.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    read: Decimal,
    filtered: Decimal,
    skipped: Decimal,
    written: Decimal,
}

fn sum_error(name: &str, of: &str, error: &DecimalError) -> BodyError {
    BodyError::Failed(format!("control total '{name}' of what is {of}: {error}"))
}

/// Takes the totals of what is read, next to the reader: its sums travel with the chunk.
pub(super) struct ReadTally<I, O> {
    totals: Arc<Totals<I, O>>,
    /// The addends of the item in hand: it is gone when its outcome is known.
    of_item: Vec<Decimal>,
    sums: Vec<Sums>,
}

impl<I, O> ReadTally<I, O> {
    pub(super) fn new(totals: &Arc<Totals<I, O>>) -> Self {
        let count = totals.totals.len();
        Self { totals: Arc::clone(totals), of_item: vec![Decimal::ZERO; count], sums: vec![Sums::default(); count] }
    }

    /// An item was read.
    #[inline]
    pub(super) fn read(&mut self, item: &I) -> Result<(), BodyError> {
        for ((total, of_item), sums) in self.totals.totals.iter().zip(&mut self.of_item).zip(&mut self.sums) {
            let Some(take) = &total.read else { continue };
            let taken = take(item).and_then(|value| Ok((value, sums.read.checked_add(value)?)));
            (*of_item, sums.read) = taken.map_err(|error| sum_error(&total.name, "read", &error))?;
        }
        Ok(())
    }

    /// The item that was read last was filtered.
    #[inline]
    pub(super) fn filtered(&mut self) -> Result<(), BodyError> {
        self.add("filtered", |sums| &mut sums.filtered)
    }

    /// The item that was read last was skipped.
    pub(super) fn skipped(&mut self) -> Result<(), BodyError> {
        self.add("skipped", |sums| &mut sums.skipped)
    }

    #[inline]
    fn add(&mut self, of: &str, side: impl Fn(&mut Sums) -> &mut Decimal) -> Result<(), BodyError> {
        for ((total, of_item), sums) in self.totals.totals.iter().zip(&self.of_item).zip(&mut self.sums) {
            let side = side(sums);
            *side = side.checked_add(*of_item).map_err(|error| sum_error(&total.name, of, &error))?;
        }
        Ok(())
    }

    /// The totals that it takes.
    pub(super) fn totals(&self) -> &Arc<Totals<I, O>> {
        &self.totals
    }

    /// The sums since the last call: those of a chunk or a part of it.
    pub(super) fn seal(&mut self) -> Vec<Sums> {
        let empty = vec![Sums::default(); self.sums.len()];
        std::mem::replace(&mut self.sums, empty)
    }
}

/// The totals as committed, and as they will be with the chunk in hand.
pub(super) struct TotalsLedger<I, O> {
    totals: Arc<Totals<I, O>>,
    committed: Vec<Sums>,
    next: Vec<Sums>,
    /// Used again for each commit.
    json: Vec<u8>,
}

impl<I, O> TotalsLedger<I, O> {
    /// Goes on with what an earlier attempt has committed; `resumed` tells whether there is such an attempt.
    pub(super) fn resume(totals: &Arc<Totals<I, O>>, stored: Option<&str>, resumed: bool) -> Result<Self, BodyError> {
        let unreadable =
            |error: serde_json::Error| BodyError::Failed(format!("the stored control totals are unreadable: {error}"));
        let stored =
            stored.map_or_else(|| Ok(ControlTotals::default()), ControlTotals::from_json).map_err(unreadable)?;
        let mut committed = Vec::with_capacity(totals.totals.len());
        for Total { name, read, written } in &totals.totals {
            let known = stored.get(name);
            let side = |declared: bool, sum: Option<Decimal>| match (declared, sum) {
                (true, None) if resumed => Err(BodyError::Failed(format!(
                    "control total '{name}' was not taken by the earlier attempts of this step, so it would not be complete; launch with force to begin anew"
                ))),
                (_, sum) => Ok(sum.unwrap_or_default()),
            };
            let (read, written) = (read.is_some(), written.is_some());
            committed.push(Sums {
                read: side(read, known.and_then(|total| total.read))?,
                filtered: side(read, known.and_then(|total| total.filtered))?,
                skipped: side(read, known.and_then(|total| total.skipped))?,
                written: side(written, known.and_then(|total| total.written))?,
            });
        }
        let next = committed.clone();
        Ok(Self { totals: Arc::clone(totals), committed, next, json: Vec::new() })
    }

    /// Adds a chunk that has been written: its sums, its outputs and, where outputs had to be skipped, the items of
    /// those that are left.
    pub(super) fn add(&mut self, sums: &[Sums], outputs: &[O], left: Option<&[I]>) -> Result<(), BodyError> {
        for (index, Total { name, read, written }) in self.totals.totals.iter().enumerate() {
            let (before, sums) = (self.committed[index], sums.get(index).copied().unwrap_or_default());
            let mut skipped = sums.skipped;
            if let (Some(take), Some(left)) = (read, left) {
                // What was read and is neither filtered nor left was skipped, in processing or in writing.
                let left = left.iter().try_fold(Decimal::ZERO, |sum, item| sum.checked_add(take(item)?));
                let gone = left.and_then(|left| sums.read.checked_sub(sums.filtered)?.checked_sub(left));
                skipped = gone.map_err(|error| sum_error(name, "skipped", &error))?;
            }
            let add = |of, sum: Decimal, more| sum.checked_add(more).map_err(|error| sum_error(name, of, &error));
            self.next[index] = Sums {
                read: add("read", before.read, sums.read)?,
                filtered: add("filtered", before.filtered, sums.filtered)?,
                skipped: add("skipped", before.skipped, skipped)?,
                written: match written {
                    Some(take) => take(outputs, before.written).map_err(|error| sum_error(name, "written", &error))?,
                    None => before.written,
                },
            };
        }
        Ok(())
    }

    /// The totals with the chunk in hand, as they are stored.
    pub(super) fn json(&mut self) -> Option<&str> {
        #[derive(Serialize)]
        struct Row<'a> {
            name: &'a str,
            read: Option<Decimal>,
            filtered: Option<Decimal>,
            skipped: Option<Decimal>,
            written: Option<Decimal>,
        }
        let rows = self.totals.totals.iter().zip(&self.next).map(|(total, sums)| {
            let read = |sum: Decimal| total.read.as_ref().map(|_| sum);
            let (name, written) = (total.name.as_str(), total.written.as_ref().map(|_| sums.written));
            Row { name, read: read(sums.read), filtered: read(sums.filtered), skipped: read(sums.skipped), written }
        });
        self.json.clear();
        let mut serializer = serde_json::Serializer::new(&mut self.json);
        // Texts into memory: neither can fail.
        serde::Serializer::collect_seq(&mut serializer, rows).ok()?;
        std::str::from_utf8(&self.json).ok()
    }

    /// The chunk in hand has failed.
    pub(super) fn roll_back(&mut self) {
        self.next.copy_from_slice(&self.committed);
    }

    /// The sums as committed, to go back to.
    pub(super) fn mark(&self) -> Vec<Sums> {
        self.committed.clone()
    }

    /// The chunks since the mark are rolled back.
    pub(super) fn go_back(&mut self, mark: Vec<Sums>) {
        self.committed = mark;
        self.roll_back();
    }

    /// The chunk in hand is committed.
    pub(super) fn commit(&mut self) {
        self.committed.copy_from_slice(&self.next);
    }

    /// The totals as committed.
    pub(super) fn committed(&self) -> ControlTotals {
        self.totals
            .totals
            .iter()
            .zip(&self.committed)
            .map(|(total, sums)| {
                let read = |sum: Decimal| total.read.as_ref().map(|_| sum);
                ControlTotal {
                    name: total.name.clone(),
                    read: read(sums.read),
                    filtered: read(sums.filtered),
                    skipped: read(sums.skipped),
                    written: total.written.as_ref().map(|_| sums.written),
                }
            })
            .collect()
    }

    /// Checks the rule over what is committed.
    pub(super) fn check(&self, context: &StepContext) -> Result<(), BodyError> {
        let totals = self.committed();
        // A rule of the author's is about the whole input, of which a re-run has a few items.
        let Some(rule) = self.totals.rule.as_ref().filter(|_| context.rerun_of().is_none()) else {
            return totals.balance().map_err(|error| BodyError::Failed(cause_chain(&error)));
        };
        rule(&totals, context).map_err(|error| {
            BodyError::Failed(format!("the rule of the control totals does not hold: {}", cause_chain(error.as_ref())))
        })
    }
}
