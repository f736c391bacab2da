//! Runs the two sides of a row in turn, each in a process of its own, and prints their ratio.

use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::BoxError;
use crate::rows::Row;

/// Which program of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The engine, with its durable repository.
    Oxbatch,
    /// The same work by hand.
    Hand,
}

impl FromStr for Side {
    type Err = BoxError;

    fn from_str(text: &str) -> Result<Self, BoxError> {
        match text {
            "oxbatch" => Ok(Self::Oxbatch),
            "hand" => Ok(Self::Hand),
            _ => Err(format!("no side '{text}'").into()),
        }
    }
}

/// The run of one side: the time of the work alone, without the start of the process, and what came out.
pub(crate) struct Outcome {
    pub(crate) time: Duration,
    pub(crate) checksum: u64,
}

/// A side's line on its standard output.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    seconds: f64,
    cpu_seconds: f64,
    pub(crate) peak_kib: u64,
    checksum: u64,
}

pub(crate) fn report(outcome: Outcome) -> Result<String, BoxError> {
    let line = Line {
        seconds: outcome.time.as_secs_f64(),
        cpu_seconds: cpu_seconds("self")?,
        peak_kib: peak_kib("self")?,
        checksum: outcome.checksum,
    };
    Ok(serde_json::to_string(&line)?)
}

/// User and system time of a process; the kernel counts in hundredths of a second.
pub(crate) fn cpu_seconds(process: &str) -> Result<f64, BoxError> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 =
        fields.get(11).ok_or("no utime")?.parse::<f64>()? + fields.get(12).ok_or("no stime")?.parse::<f64>()?;
    Ok(ticks / 100.0)
}

/// Peak resident memory of a process.
pub(crate) fn peak_kib(process: &str) -> Result<u64, BoxError> {
    memory_kib(process, "VmHWM:")
}

/// A line of a process's memory status in KiB.
pub(crate) fn memory_kib(process: &str, line: &str) -> Result<u64, BoxError> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)).ok_or("no such line")?;
    Ok(found.trim().trim_end_matches(" kB").parse()?)
}

pub(crate) fn pairs(row: &Row, pairs: usize, items: u64) -> Result<(), BoxError> {
    println!("\n{} — {} items, {pairs} pairs", row.title, items);
    let folder = tempfile::tempdir()?;
    (row.prepare)(items, folder.path())?;
    let mut sides: [Vec<Line>; 2] = [Vec::new(), Vec::new()];
    // One pair more, first, that is not counted.
    for pair in 0..=pairs {
        for (index, side) in ["oxbatch", "hand"].into_iter().enumerate() {
            // What the last run has left to write is not in the time of this one.
            Command::new("sync").status()?;
            let output = Command::new(std::env::current_exe()?)
                .args(["side", row.name, side, &items.to_string()])
                .arg(folder.path())
                .output()?;
            let text = String::from_utf8(output.stdout)?;
            let line: Line = serde_json::from_str(&text).map_err(|_| format!("{side}: {text}"))?;
            if pair > 0 {
                sides[index].push(line);
            }
        }
        let [ours, hand] = &sides;
        if let (Some(ours), Some(hand)) = (ours.last(), hand.last())
            && ours.checksum != hand.checksum
        {
            return Err(format!("outputs differ: {} and {}", ours.checksum, hand.checksum).into());
        }
    }
    let [ours, hand] = &sides;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = |line: &Line| items as f64 / line.seconds;
    let ratios: Vec<f64> = ours.iter().zip(hand).map(|(ours, hand)| hand.seconds / ours.seconds).collect();
    for (name, lines) in [("oxbatch", ours), ("by hand", hand)] {
        println!(
            "  {name}: {:>12.0} items/s (median), {:.2} CPU s, peak {:.1} MiB",
            median(lines.iter().map(rate)),
            median(lines.iter().map(|line| line.cpu_seconds)),
            median(lines.iter().map(|line| mib(line.peak_kib))),
        );
    }
    let (low, high) = ratios.iter().fold((f64::MAX, f64::MIN), |(low, high), &ratio| (low.min(ratio), high.max(ratio)));
    let ratio = median(ratios.iter().copied());
    let verdict = if ratio >= row.goal { "reached" } else { "MISSED" };
    println!("  ratio of speeds: {ratio:.2} ({low:.2}–{high:.2}), to reach {:.2}: {verdict}", row.goal);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
pub(crate) fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
