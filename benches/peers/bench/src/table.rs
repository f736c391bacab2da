//! Prints what was measured as a Markdown table.

use crate::chart::Bar;
use crate::rows::Row;
use crate::turns::{Run, Runs};

/// Prints one table over a part of the work, or over all of it, and answers with its rates.
pub(crate) fn print(row: &Row, part: Option<&str>, all: &[Runs], items: u64) -> Vec<Bar> {
    let seconds = |run: &Run| match part {
        Some(part) => run.answer.parts.get(part).copied(),
        None => Some(run.answer.seconds),
    };
    // A program takes part in a table when it did that part of the work, and in the table of the whole when it did all parts.
    let parts = all.iter().map(|runs| parts_of(runs)).max().unwrap_or(0);
    let taking: Vec<&Runs> = all
        .iter()
        .filter(|runs| part.is_some() || parts_of(runs) == parts)
        .filter(|runs| runs.runs.iter().all(|run| seconds(run).is_some()))
        .collect();
    let mut bars = Vec::new();
    let Some((ours, _)) = taking.split_first() else { return bars };
    let title = part.map_or(String::new(), |part| format!(": {part}"));
    println!("\n### {}{title}\n", row.title);
    println!("{items} items, chunks of {}, {} rounds in turn; outputs equal.\n", row.chunk, ours.runs.len());
    let with_server = part.is_none() && taking.iter().any(|runs| runs.runs.iter().any(|run| run.server_cpu.is_some()));
    let server_head = if with_server { " server's CPU s |" } else { "" };
    let whole = if part.is_none() { " CPU s | peak MiB |" } else { "" };
    println!("| program | items/s | seconds | Oxbatch's speed over its | goal |{whole}{server_head}");
    println!("|---|---|---|---|---|{}", "---|".repeat(whole.matches('|').count() + usize::from(with_server)));
    for runs in &taking {
        let times: Vec<f64> = runs.runs.iter().filter_map(seconds).collect();
        let ours: Vec<f64> = ours.runs.iter().filter_map(seconds).collect();
        let ratios: Vec<f64> = times.iter().zip(&ours).map(|(theirs, ours)| theirs / ours).collect();
        let (ratio, goal) = if runs.program.is_ours() {
            ("—".to_owned(), "—".to_owned())
        } else {
            (spread(&ratios), verdict(runs.program.goal(part), median(&ratios)))
        };
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = items as f64 / median(&times);
        bars.push(Bar { name: runs.program.name.to_owned(), rate });
        let mut line =
            format!("| {} | {} | {:.2} | {ratio} | {goal} |", runs.program.name, short(rate), median(&times));
        if part.is_none() {
            let cpu: Vec<f64> = runs.runs.iter().map(|run| run.usage.cpu_seconds).collect();
            #[expect(clippy::cast_precision_loss, reason = "a size for people")]
            let peak: Vec<f64> = runs.runs.iter().map(|run| run.usage.peak_kib as f64 / 1024.0).collect();
            line += &format!(" {:.2} | {:.1} |", median(&cpu), median(&peak));
        }
        if with_server {
            let server: Vec<f64> = runs.runs.iter().filter_map(|run| run.server_cpu).collect();
            line += &format!(" {:.2} |", median(&server));
        }
        println!("{line}");
    }
    bars
}

fn parts_of(runs: &Runs) -> usize {
    runs.runs.first().map_or(0, |run| run.answer.parts.len())
}

fn verdict(goal: Option<f64>, ratio: f64) -> String {
    match goal {
        None => "—".to_owned(),
        Some(goal) if ratio >= goal => format!("≥ {goal:.2}: reached"),
        Some(goal) => format!("≥ {goal:.2}: **missed**"),
    }
}

/// Median and range.
pub(crate) fn spread(values: &[f64]) -> String {
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    format!("{:.2} ({low:.2}–{high:.2})", median(values))
}

/// The middle one; of an even number the upper middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A rate with three digits.
pub(crate) fn short(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.1} k", rate / 1e3),
        rate => format!("{rate:.1}"),
    }
}
