//! Row 12: time from the start of the service to its first answer, and its memory when idle.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::BoxError;
use crate::measure::{median, memory_kib, mib};

/// Starts the service `runs` times on a fresh database and prints medians.
pub(crate) fn measure(runs: usize) -> Result<(), BoxError> {
    let service = std::env::current_exe()?.with_file_name("oxbatch");
    if !service.exists() {
        return Err(format!("{} is missing: cargo build --release first", service.display()).into());
    }
    println!("\nrow 12: start of the service to its first answer, idle memory — {runs} runs");
    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let folder = tempfile::tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let start = Instant::now();
        let mut child = Command::new(&service)
            .args(["serve", "--listen", &address, "--database", "oxbatch.db"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let answered = first_answer(&address, start);
        // Idle: long enough for its first looks at the database.
        std::thread::sleep(Duration::from_secs(2));
        let size = memory_kib(&child.id().to_string(), "VmRSS:");
        child.kill()?;
        child.wait()?;
        times.push(answered?.as_secs_f64() * 1000.0);
        sizes.push(mib(size?));
    }
    let (time, size) = (median(times.iter().copied()), median(sizes.iter().copied()));
    let verdict = |reached: bool| if reached { "reached" } else { "MISSED" };
    println!("  first answer after {time:.0} ms (median), to reach < 100 ms: {}", verdict(time < 100.0));
    println!("  idle memory {size:.1} MiB (median), to reach < 25 MiB: {}", verdict(size < 25.0));
    Ok(())
}

fn first_answer(address: &str, start: Instant) -> Result<Duration, BoxError> {
    while start.elapsed() < Duration::from_secs(10) {
        if let Ok(mut stream) = TcpStream::connect(address) {
            write!(stream, "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
            let mut line = String::new();
            let mut reader = BufReader::new(stream);
            reader.read_line(&mut line)?;
            if line.contains(" 200 ") {
                let time = start.elapsed();
                reader.read_to_string(&mut line)?;
                return Ok(time);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err("the service did not answer within 10 s".into())
}
