//! Collects the Rust examples of the documentation: those of README and `docs/` as they are, those of the crates that
//! `oxbatch` passes on from the comments of their sources.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut modules = String::new();
    for folder in ["crates/core/src", "crates/formats/src", "crates/storage/src", "docs"] {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
    }
    let mut pages = vec![root.join("README.md"), root.join("examples/own-service/README.md")];
    files(&root.join("docs"), "md", &mut pages)?;
    for page in pages {
        println!("cargo::rerun-if-changed={}", page.display());
        let text = fs::read_to_string(&page)?;
        add(&root, &out, &page, &examples(text.lines().map(str::to_owned)), &mut modules)?;
    }
    let mut sources = Vec::new();
    for krate in ["core", "formats", "storage"] {
        files(&root.join(format!("crates/{krate}/src")), "rs", &mut sources)?;
    }
    for source in sources {
        let text = fs::read_to_string(&source)?;
        let comments = text.lines().map(|line| comment(line).unwrap_or("\u{0}").to_owned());
        add(&root, &out, &source, &examples(comments), &mut modules)?;
    }
    Ok(fs::write(out.join("examples.rs"), modules)?)
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for path in entries.into_iter().map(|entry| entry.path()) {
        if path.is_dir() {
            files(&path, extension, found)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(())
}

/// The text of a line of documentation; `None` for any other line, which ends a comment.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
    Some(text.strip_prefix(' ').unwrap_or(text))
}

/// The fenced blocks of Rust, each with the number of its line.
fn examples(lines: impl Iterator<Item = String>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut block: Option<(usize, bool, String)> = None;
    for (number, line) in (1..).zip(lines) {
        match (&mut block, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                let is_rust = kind.split(',').all(|word| RUST.contains(&word.trim()));
                block = Some((number, is_rust, format!("{line}\n")));
            }
            (Some((_, _, text)), None) => {
                text.push_str(&line);
                text.push('\n');
            }
            (Some((start, is_rust, text)), Some(_)) => {
                if *is_rust {
                    found.push((*start, format!("{text}```\n")));
                }
                block = None;
            }
            (None, None) => {}
        }
    }
    found
}

/// The words behind a fence that make it a block of Rust; `ignore` is none of them.
const RUST: [&str; 6] = ["", "rust", "no_run", "should_panic", "compile_fail", "E0277"];

/// Adds a module whose documentation is the examples of a file: rustdoc compiles each of them.
fn add(root: &Path, out: &Path, file: &Path, examples: &[(usize, String)], modules: &mut String) -> Result<()> {
    let shown = file.strip_prefix(root)?.display().to_string();
    let name: String = shown.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    for (line, example) in examples {
        // A fence without a word would be Rust in a comment of the sources, and text on a page.
        if shown.ends_with(".md") && !example.starts_with("```rust") {
            continue;
        }
        let page = out.join(format!("{name}_{line}.md"));
        fs::write(&page, example)?;
        let name = name.to_lowercase();
        writeln!(modules, "/// {shown}, line {line}\n#[doc = include_str!({page:?})]\npub mod {name}_{line} {{}}")?;
    }
    Ok(())
}
