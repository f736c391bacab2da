//! A trade, and what the work does with it.

use serde::{Deserialize, Serialize};

/// One trade as it stands in the CSV file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trade {
    /// `TX` and the number of the row.
    pub transaction_id: String,
    /// In its currency.
    pub amount: f64,
    /// `USD`, `GBP` or `EUR`.
    pub currency: String,
    /// When, as RFC 3339 has it.
    pub timestamp: String,
    /// Account that the money left.
    pub account_from: String,
    /// Account that the money went to.
    pub account_to: String,
    /// `COMPLETED`, `PENDING`, `CANCELLED` or `FAILED`.
    pub status: String,
}

/// Euros for one unit of the currency; fixed, so that all outputs are equal.
#[inline]
fn rate(currency: &str) -> f64 {
    match currency {
        "USD" => 0.92,
        "GBP" => 1.17,
        _ => 1.0,
    }
}

/// CSV → CSV, CSV → SQLite: everything in euros, cancelled is failed, and pending trades are left out.
#[inline]
pub fn transform(mut trade: Trade) -> Option<Trade> {
    if trade.status == "PENDING" {
        return None;
    }
    let rate = rate(&trade.currency);
    trade.amount *= rate;
    if rate != 1.0 {
        "EUR".clone_into(&mut trade.currency);
    }
    trade.status = settled(trade.status);
    Some(trade)
}

/// The public benchmark's additional column: the amount in euros, rounded to cents.
#[inline]
pub fn euros(amount: f64, currency: &str) -> f64 {
    (amount * rate(currency) * 100.0).round() / 100.0
}

/// The public benchmark's status: cancelled is failed.
#[inline]
pub fn settled(mut status: String) -> String {
    if status == "CANCELLED" {
        "FAILED".clone_into(&mut status);
    }
    status
}
