//! Control totals: named sums over what a step has read, filtered, skipped and written.

use serde::{Deserialize, Serialize};

use crate::decimal::{Decimal, DecimalError};

/// A named sum over the items of a step, as of its last commit, cumulative over all attempts since the step began anew.
///
/// Items that were filtered or skipped are summed as they were read, so `read = written + filtered + skipped`
/// holds for a sum that processing does not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlTotal {
    /// Its name, unique within the step.
    pub name: String,
    /// Over the items that were read; `None` where only what is written is summed.
    pub read: Option<Decimal>,
    /// Over the items that the processor filtered; known where `read` is.
    pub filtered: Option<Decimal>,
    /// Over the items that were skipped in processing or writing; known where `read` is.
    pub skipped: Option<Decimal>,
    /// Over the outputs that were written; `None` where only what is read is summed.
    pub written: Option<Decimal>,
}

/// The control totals of a step, in the order in which it declares them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ControlTotals {
    totals: Vec<ControlTotal>,
}

/// A total whose sides differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Imbalance {
    /// They are known, and not equal.
    #[error(
        "control total '{}' does not balance: read {}, but written {} + filtered {} + skipped {}",
        total.name,
        total.read.unwrap_or_default(),
        total.written.unwrap_or_default(),
        total.filtered.unwrap_or_default(),
        total.skipped.unwrap_or_default()
    )]
    Differs {
        /// The total, whose sides are all known.
        total: Box<ControlTotal>,
    },
    /// The right side is too large.
    #[error("control total '{name}' cannot be balanced")]
    TooLarge {
        /// Name of the total.
        name: String,
        /// The sum or summand that is too large.
        #[source]
        source: DecimalError,
    },
}

impl ControlTotal {
    /// Checks that `read = written + filtered + skipped`, where it is taken on both sides.
    ///
    /// # Errors
    /// [`Imbalance`] when it is not.
    pub fn balance(&self) -> Result<(), Imbalance> {
        let (Some(read), Some(filtered), Some(skipped), Some(written)) =
            (self.read, self.filtered, self.skipped, self.written)
        else {
            return Ok(());
        };
        let right = written.checked_add(filtered).and_then(|sum| sum.checked_add(skipped));
        match right {
            Ok(right) if right == read => Ok(()),
            Ok(_) => Err(Imbalance::Differs { total: Box::new(self.clone()) }),
            Err(source) => Err(Imbalance::TooLarge { name: self.name.clone(), source }),
        }
    }
}

impl ControlTotals {
    /// Reads stored totals.
    ///
    /// # Errors
    /// When they do not have the form in which they are stored.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The total `name`.
    pub fn get(&self, name: &str) -> Option<&ControlTotal> {
        self.totals.iter().find(|total| total.name == name)
    }

    /// The totals in their order.
    pub fn iter(&self) -> impl Iterator<Item = &ControlTotal> {
        self.totals.iter()
    }

    /// Returns whether the step takes none, or has committed nothing yet.
    pub fn is_empty(&self) -> bool {
        self.totals.is_empty()
    }

    /// Checks every total that is taken on both sides: `read = written + filtered + skipped`.
    ///
    /// # Errors
    /// The first [`Imbalance`].
    pub fn balance(&self) -> Result<(), Imbalance> {
        self.totals.iter().try_for_each(ControlTotal::balance)
    }
}

impl FromIterator<ControlTotal> for ControlTotals {
    fn from_iter<I: IntoIterator<Item = ControlTotal>>(totals: I) -> Self {
        Self { totals: totals.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(read: &str, filtered: &str, skipped: &str, written: &str) -> ControlTotal {
        let side = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        ControlTotal {
            name: "amount".to_owned(),
            read: side(read),
            filtered: side(filtered),
            skipped: side(skipped),
            written: side(written),
        }
    }

    #[test]
    fn a_total_balances_when_all_that_was_read_is_found_again() {
        assert_eq!(total("10.50", "2", "1", "7.5").balance(), Ok(()));
        assert_eq!(total("10.50", "0", "0", "").balance(), Ok(()));
        let message = total("10.50", "0", "1", "7.5").balance().unwrap_err().to_string();
        let expected = "control total 'amount' does not balance: read 10.50, but written 7.5 + filtered 0 + skipped 1";
        assert_eq!(message, expected);
        let most = i128::MAX.to_string();
        let message = total("1", &most, "1", &most).balance().unwrap_err().to_string();
        assert_eq!(message, "control total 'amount' cannot be balanced");
    }

    #[test]
    fn the_stored_form_is_pinned() {
        let json = r#"[{"name":"amount","read":"1.20","filtered":"0","skipped":"0","written":null}]"#;
        let totals = ControlTotals::from_json(json).unwrap();
        assert_eq!(serde_json::to_string(&totals).unwrap(), json);
        assert_eq!(totals.get("amount"), totals.iter().next());
    }
}
