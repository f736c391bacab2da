//! Row 9: launches over HTTP of a job of one step, each run to its end before it is answered, over 32 connections, and
//! one after the other on a service that does nothing else.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use peer_trades::BoxError;

use crate::chart::Bar;
use crate::rows::{Size, from_environment};
use crate::table::{median, short, spread};

pub(crate) const NAME: &str = "launch";

const CONNECTIONS: usize = 32;

/// The ratio to reach.
const GOAL: f64 = 16.0;

/// A service and what its launches look like.
struct Service {
    name: &'static str,
    program: String,
    arguments: fn(u16) -> Vec<String>,
    target: &'static str,
}

/// One round of one service.
struct Round {
    rate: f64,
    middle_ms: f64,
    slow_ms: f64,
    cpu_seconds: f64,
    peak_mib: f64,
}

/// Runs the services in turn, prints the table, and answers with their rates.
pub(crate) fn measure(size: Size, rounds: usize) -> Result<Vec<Bar>, BoxError> {
    let time = Duration::from_secs(if size == Size::Full { 20 } else { 5 });
    let python = from_environment("BENCH_PYTHON")?;
    let (python, main) = python.split_once(' ').ok_or("BENCH_PYTHON names an interpreter and a program")?;
    let main = main.to_owned();
    let services = [
        Service {
            name: "Oxbatch",
            program: from_environment("BENCH_SERVICE")?,
            arguments: |port| {
                // As many at once as the original runs: each request of these connections on a thread of its own.
                ["serve", "--database", "oxbatch.db", "--concurrency", "32", "--listen"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain([format!("127.0.0.1:{port}")])
                    .collect()
            },
            target: "/jobs/OneStep/launch?wait=30s",
        },
        Service {
            name: "FastAPI + SQLModel",
            program: python.to_owned(),
            arguments: |port| vec![port.to_string()],
            target: "/jobs/OneStep/launch",
        },
    ];
    let measured = |connections| -> Result<[Vec<Round>; 2], BoxError> {
        let mut all: [Vec<Round>; 2] = [Vec::new(), Vec::new()];
        for round in 1..=rounds {
            for (service, taken) in services.iter().zip(&mut all) {
                let first: &[String] = if service.name == "Oxbatch" { &[] } else { std::slice::from_ref(&main) };
                let measured = run(service, first, time, connections)?;
                let Round { rate, middle_ms, slow_ms, .. } = measured;
                eprintln!(
                    "{NAME} round {round} of {rounds}, {connections} connections: {} {rate:.0} launches/s, {middle_ms:.1} \
                     ms, 99 % {slow_ms:.1} ms",
                    service.name
                );
                taken.push(measured);
            }
        }
        Ok(all)
    };
    print(&services, &measured(1)?, time, (1, None));
    let all = measured(CONNECTIONS)?;
    print(&services, &all, time, (CONNECTIONS, Some(GOAL)));
    let rate = |rounds: &Vec<Round>| median(&rounds.iter().map(|round| round.rate).collect::<Vec<_>>());
    let bar = |(service, rounds): (&Service, &Vec<Round>)| Bar { name: service.name.to_owned(), rate: rate(rounds) };
    Ok(services.iter().zip(&all).map(bar).collect())
}

/// Prints the table of a number of connections, with the ratio to reach where there is one.
fn print(services: &[Service], all: &[Vec<Round>], time: Duration, (connections, to_reach): (usize, Option<f64>)) {
    println!("\n### Row 9: launches of a job of one step, each run to its end; connections: {connections}\n");
    println!("{} s a round, {} rounds in turn; each execution COMPLETED.\n", time.as_secs(), all[0].len());
    println!(
        "| service | launches/s | Oxbatch's speed over its | goal | median ms | 99 % ms | CPU ms a launch | peak MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (service, rounds) in services.iter().zip(all) {
        let of = |value: fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
        let ratios: Vec<f64> = all[0].iter().zip(rounds).map(|(ours, theirs)| ours.rate / theirs.rate).collect();
        let (ratio, goal) = match (service.name, to_reach) {
            ("Oxbatch", _) => ("—".to_owned(), "—".to_owned()),
            (_, None) => (spread(&ratios), "—".to_owned()),
            (_, Some(goal)) => {
                let reached = if median(&ratios) >= goal { "reached" } else { "**missed**" };
                (spread(&ratios), format!("≥ {goal:.0}: {reached}"))
            }
        };
        println!(
            "| {} | {} | {ratio} | {goal} | {:.1} | {:.1} | {:.2} | {:.1} |",
            service.name,
            short(of(|round| round.rate)),
            of(|round| round.middle_ms),
            of(|round| round.slow_ms),
            of(|round| round.cpu_seconds * 1000.0),
            of(|round| round.peak_mib),
        );
    }
}

/// A started service; it ends with this value.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(service: &Service, first: &[String], time: Duration, connections: usize) -> Result<Round, BoxError> {
    let folder = tempfile::tempdir()?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let child = Command::new(&service.program)
        .args(first)
        .args((service.arguments)(port))
        .current_dir(folder.path())
        // That of the other rows, which the original would take for its own.
        .env_remove("DATABASE_URL")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|fault| format!("{}: {fault}", service.program))?;
    let child = Started(child);
    let numbers = AtomicU64::new(0);
    let started = Instant::now();
    // Its first answer is the end of its start.
    while let Err(fault) = Connection::open(port).and_then(|mut one| one.launch(service.target, &numbers)) {
        if started.elapsed() > Duration::from_secs(60) {
            return Err(format!("{} does not answer: {fault}", service.name).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = cpu_seconds(child.0.id())?;
    let start = Instant::now();
    let end = start + time;
    let times = std::thread::scope(|scope| -> Result<Vec<f64>, BoxError> {
        let clients: Vec<_> =
            (0..connections).map(|_| scope.spawn(|| client(port, service.target, &numbers, end))).collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.join().map_err(|_| "a client died")??);
        }
        Ok(all)
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = cpu_seconds(child.0.id())? - before;
    let mut sorted = times;
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a count for people")]
    let count = sorted.len() as f64;
    Ok(Round {
        rate: count / seconds,
        middle_ms: median(&sorted) * 1000.0,
        slow_ms: sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(f64::NAN) * 1000.0,
        cpu_seconds: cpu / count,
        peak_mib: peak_mib(child.0.id())?,
    })
}

/// One connection's launches until the end, as the seconds that each took.
fn client(port: u16, target: &str, numbers: &AtomicU64, end: Instant) -> Result<Vec<f64>, BoxError> {
    let mut connection = Connection::open(port)?;
    let mut times = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        connection.launch(target, numbers)?;
        times.push(start.elapsed().as_secs_f64());
    }
    Ok(times)
}

/// One connection that is kept.
struct Connection {
    reader: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    fn open(port: u16) -> Result<Self, BoxError> {
        let host = format!("127.0.0.1:{port}");
        let stream = TcpStream::connect(&host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self { reader: BufReader::new(stream), host })
    }

    /// Launches a new instance and reads the answer, which must say that it is complete.
    fn launch(&mut self, target: &str, numbers: &AtomicU64) -> Result<(), BoxError> {
        let body = format!("{{\"number\": {}}}", numbers.fetch_add(1, Ordering::Relaxed));
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len(),
        );
        self.reader.get_mut().write_all(request.as_bytes())?;
        let (mut line, mut length, mut status) = (String::new(), 0, String::new());
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let text = line.trim_end();
            if status.is_empty() {
                text.clone_into(&mut status);
            }
            if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
            if text.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.reader.read_exact(&mut answer)?;
        let answer = String::from_utf8(answer)?;
        if !answer.contains("\"COMPLETED\"") {
            return Err(format!("{status}: {answer}").into());
        }
        Ok(())
    }
}

/// User and system time of a process that still runs; the kernel counts in hundredths of a second.
fn cpu_seconds(process: u32) -> Result<f64, BoxError> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
    Ok((number(11) + number(12)) / 100.0)
}

/// Peak resident memory of a process that still runs.
fn peak_mib(process: u32) -> Result<f64, BoxError> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(Path::new(&path))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
