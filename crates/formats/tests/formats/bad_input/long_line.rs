//! A line of 100 MiB, with the memory that it takes.

use std::path::Path;

use super::{FORMATS, Format, Packing, birds, file, for_each};

/// Names the folder to the part of the test below that runs in a process of its own.
const MEASURED: &str = "OXBATCH_TEST_MEASURED_FOLDER";

/// Peak of resident memory in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Each reader in a process of its own: a peak never falls.
#[test]
fn a_line_of_100_mebibytes_is_a_fault_and_takes_no_more_memory_than_its_limit() {
    if let Some(folder) = std::env::var_os(MEASURED) {
        return measured(Path::new(&folder));
    }
    let mebibyte = vec![b'1'; 1024 * 1024];
    for_each(|format, packing, name| {
        // What decompresses is the same for all but these two.
        if packing != Packing::Plain && !matches!(format, Format::Csv | Format::JsonLines) {
            return;
        }
        let (start, end) = match format {
            Format::Csv => ("2,\"", "\"\n"),
            Format::FixedWidth => ("", "\n"),
            Format::JsonLines | Format::JsonArray | Format::Files => ("{\"name\":\"", "\"}\n"),
            Format::Xml => ("<bird><name>", "</name></bird>\n"),
        };
        let [first, last] = [0, 1].map(|index| format.item(&birds(2)[index]));
        let document = format.document(&[first, [start, "|", end].concat().into_bytes(), last]);
        let at = document.iter().position(|byte| *byte == b'|').unwrap();
        // Members one after the other are one text: the long middle is compressed once.
        let pieces =
            [packing.pack(&document[..at]), packing.pack(&mebibyte).repeat(100), packing.pack(&document[at + 1..])];
        let (folder, _path) = file(&pieces.concat());
        let test = "bad_input::long_line::a_line_of_100_mebibytes_is_a_fault_and_takes_no_more_memory_than_its_limit";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(MEASURED, folder.path())
            .env("OXBATCH_TEST_MEASURED_FORMAT", format!("{format:?}"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{name}: {text}{output:?}");
    });
}

/// The limit is 1 MiB; a window that doubles and what the decompressor keeps (8 MiB at most here) come on top.
const MOST_KIB: u64 = 16 * 1024;

fn measured(folder: &Path) {
    let name = std::env::var("OXBATCH_TEST_MEASURED_FORMAT").unwrap();
    let format = FORMATS.into_iter().find(|format| format!("{format:?}") == name).unwrap();
    let before = peak();
    let attempt = format.read(&folder.join("birds"), None, usize::MAX);
    let grown = peak() - before;
    assert_eq!(attempt.birds, birds(2), "{attempt:?}");
    let [fault] = &attempt.faults[..] else { panic!("{attempt:?}") };
    assert!(fault.cause_text().starts_with("record is longer than 1048576 bytes"), "{fault}");
    assert!(grown < MOST_KIB, "it took {grown} KiB");
}
