//! Row 11: peak memory with ten million rows against a hundred thousand, on the ways of rows 2 and 7.

use std::process::Command;

use crate::measure::{Line, median, mib};
use crate::{BoxError, rows};

/// Rows of the small input.
const FEW: u64 = 100_000;
/// Rows of the large input, when the command line does not say otherwise.
const MANY: u64 = 10_000_000;
/// Growth that is allowed, and all memory that is, in MiB.
const GOALS: (f64, f64) = (1.1, 64.0);

/// Measures both ways, `pairs` times each: a small input and a large one in turn, each in a process of its own.
pub(crate) fn measure(pairs: usize, many: Option<u64>) -> Result<(), BoxError> {
    let many = many.unwrap_or(MANY);
    for name in ["csv", "sqlite"] {
        let row = rows::find(name)?;
        println!("\nrow 11: peak memory of the way of '{name}' at {many} rows, against {FEW}; {pairs} pairs");
        let folder = tempfile::tempdir()?;
        let mut peaks = [Vec::new(), Vec::new()];
        for (peaks, items) in peaks.iter_mut().zip([FEW, many]) {
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
        let verdict = if ratio <= GOALS.0 && many < GOALS.1 { "reached" } else { "MISSED" };
        println!(
            "  {few:.1} MiB and {many:.1} MiB, ratio {ratio:.2}; to reach at most {:.2} and less than {:.0} MiB: {verdict}",
            GOALS.0, GOALS.1
        );
    }
    Ok(())
}
