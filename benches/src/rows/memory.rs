//! Row 11: peak memory with ten million rows against a hundred thousand, on the ways of rows 2 and 7, and with rows of
//! a megabyte.

use std::process::Command;

use crate::measure::{Line, median, mib};
use crate::{BoxError, rows};

/// Rows of the small input.
const FEW: u64 = 100_000;
/// Rows of the large input, when the command line does not say otherwise.
const MANY: u64 = 10_000_000;
/// Rows of a megabyte.
const WIDE: [u64; 2] = [100, 1_000];
/// Growth that is allowed.
const GROWTH: f64 = 1.1;
/// All memory that is allowed, in MiB: without workers, and for each of the two that a step has on two cores.
const BASE: f64 = 64.0;
const WORKERS: f64 = 2.0 * 4.0;

/// Measures both ways, `pairs` times each: a small input and a large one in turn, each in a process of its own.
pub(crate) fn measure(pairs: usize, many: Option<u64>) -> Result<(), BoxError> {
    let many = many.unwrap_or(MANY);
    for (name, sizes) in [("csv", [FEW, many]), ("sqlite", [FEW, many]), ("wide", WIDE)] {
        let row = rows::find(name)?;
        println!(
            "\nrow 11: peak memory of the way of '{name}' at {} rows, against {}; {pairs} pairs",
            sizes[1], sizes[0]
        );
        let folder = tempfile::tempdir()?;
        let mut peaks = [Vec::new(), Vec::new()];
        for (peaks, items) in peaks.iter_mut().zip(sizes) {
            let input = folder.path().join(items.to_string());
            std::fs::create_dir(&input)?;
            (row.prepare)(items, &input)?;
            for _ in 0..pairs {
                let output = Command::new(std::env::current_exe()?)
                    .args(["side", name, "oxbatch", &items.to_string()])
                    .arg(&input)
                    .output()?;
                let text = String::from_utf8(output.stdout)?;
                let line: Line = serde_json::from_str(&text).map_err(|_| format!("oxbatch: {text}"))?;
                peaks.push(mib(line.peak_kib));
            }
        }
        let [few, many] = peaks.map(|peaks| median(peaks.into_iter()));
        let ratio = many / few;
        let verdict = if ratio <= GROWTH && many < BASE + WORKERS { "reached" } else { "MISSED" };
        println!(
            "  {few:.1} MiB and {many:.1} MiB, ratio {ratio:.2}; to reach at most {GROWTH:.2} and less than {:.0} MiB: {verdict}",
            BASE + WORKERS
        );
    }
    Ok(())
}
