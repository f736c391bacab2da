//! Row 11: Oxbatch's memory with much input, against its memory with little.

use peer_trades::{BoxError, generate};

use crate::kernel;
use crate::rows::{Program, Size};
use crate::server::Server;
use crate::table::{median, spread};

pub(crate) const NAME: &str = "memory";

const LITTLE: u64 = 100_000;

/// The ratio not to exceed.
const GOAL: f64 = 1.1;

/// The size not to reach, in MiB.
const LIMIT: f64 = 64.0;

/// Runs the same work on little and on much input in turn and prints the table.
pub(crate) fn measure(size: Size, items: Option<u64>, rounds: usize) -> Result<(), BoxError> {
    let much = items.unwrap_or(if size == Size::Full { 10_000_000 } else { 1_000_000 });
    let mut server = if std::env::var_os("DATABASE_URL").is_some() { Some(Server::from_environment()?) } else { None };
    let mut lines = Vec::new();
    for (work, title) in
        [("csv", "CSV → CSV"), ("sqlite", "CSV → SQLite"), ("pipeline", "CSV → PostgreSQL → XML → PostgreSQL")]
    {
        if work == "pipeline" && server.is_none() {
            continue;
        }
        let mut peaks = [Vec::new(), Vec::new()];
        for round in 1..=rounds {
            for (rows, peaks) in [LITTLE, much].into_iter().zip(&mut peaks) {
                let folder = tempfile::tempdir()?;
                generate(rows, &folder.path().join("trades.csv"))?;
                if let Some(server) = &mut server {
                    server.prepare()?;
                }
                let task = [work.to_owned(), rows.to_string(), "1000".to_owned(), folder.path().display().to_string()];
                let (_, usage) = kernel::run(&Program::oxbatch()?, &task, folder.path())?;
                #[expect(clippy::cast_precision_loss, reason = "a size for people")]
                let peak = usage.peak_kib as f64 / 1024.0;
                eprintln!("{NAME} round {round} of {rounds}: {work}, {rows} rows, {peak:.1} MiB");
                peaks.push(peak);
            }
        }
        let [little, much] = peaks;
        let ratios: Vec<f64> = little.iter().zip(&much).map(|(little, much)| much / little).collect();
        let reached = median(&ratios) <= GOAL && median(&much) < LIMIT;
        let verdict = if reached { "reached" } else { "**missed**" };
        lines.push(format!(
            "| {title} | {:.1} | {:.1} | {} | {verdict} |",
            median(&little),
            median(&much),
            spread(&ratios)
        ));
    }
    println!("\n### Row 11: peak memory of Oxbatch\n");
    println!("Chunks of 1000, {rounds} rounds in turn. To reach: at most {GOAL} times as much, below {LIMIT} MiB.\n");
    println!("| work | MiB at {LITTLE} rows | MiB at {much} rows | ratio | |");
    println!("|---|---|---|---|---|");
    for line in lines {
        println!("{line}");
    }
    Ok(())
}
