//! The rules of the house that a machine can check: sizes, headers, orphans, the one table of versions, the arrows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const HARD_CAP_LINES: usize = 800;
/// Widest line of a document or a doc comment, in characters.
const COLUMNS: usize = 120;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["crates", "benches", "chaos", "examples"] {
        files(&root().join(folder), "rs", &mut found);
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// Fails with all culprits at once.
fn none_of(culprits: Vec<String>, rule: &str) {
    assert!(culprits.is_empty(), "{rule}:\n  {}", culprits.join("\n  "));
}

#[test]
fn every_source_file_opens_with_a_sentence_and_stays_under_the_cap() {
    let mut culprits = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        if lines > HARD_CAP_LINES {
            culprits.push(format!("{} has {lines} lines", path.display()));
        }
        if !text.starts_with("//! ") {
            culprits.push(format!("{} does not open with `//! `", path.display()));
        }
    }
    none_of(culprits, "a file has at most 800 lines and opens with one sentence that says what lives here");
}

#[test]
fn no_source_file_is_orphaned() {
    let all = sources();
    let declared: HashSet<PathBuf> = all.iter().flat_map(|path| declared_by(path)).collect();
    let roots = ["lib.rs", "main.rs", "build.rs"];
    let orphans = all
        .iter()
        .filter(|path| !declared.contains(*path))
        .filter(|path| !roots.contains(&path.file_name().unwrap().to_str().unwrap()))
        .filter(|path| {
            // Files directly in tests/, benches/, examples/ and src/bin/ are crates of their own.
            let parent = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            !["tests", "benches", "examples", "bin"].contains(&parent)
        })
        .map(|path| path.display().to_string())
        .collect();
    none_of(orphans, "every file is a module of its crate");
}

/// The files that the `mod name;` lines of a file may stand for.
fn declared_by(path: &Path) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let folder = path.parent().unwrap();
    let is_root = ["lib", "main"].contains(&stem) || folder.ends_with("bin") || folder.ends_with("tests");
    let children = if is_root { folder.to_path_buf() } else { folder.join(stem) };
    let text = fs::read_to_string(path).unwrap();
    let names = text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
        line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';')
    });
    names.flat_map(|name| [children.join(format!("{name}.rs")), children.join(name).join("mod.rs")]).collect()
}

#[test]
fn versions_stand_in_the_one_table_alone() {
    let mut manifests = Vec::new();
    files(&root().join("crates"), "toml", &mut manifests);
    files(&root().join("benches"), "toml", &mut manifests);
    let mut culprits = Vec::new();
    for path in manifests {
        let text = fs::read_to_string(&path).unwrap();
        // The programs of the comparison are workspaces of their own, each with its one table.
        let dependencies = text
            .split("\n[")
            .filter(|section| section.contains("dependencies]") && !section.starts_with("workspace.dependencies]"));
        for line in dependencies.flat_map(|section| section.lines().skip(1)) {
            if line.contains('=') && !line.contains("workspace = true") && !line.starts_with('#') {
                culprits.push(format!("{}: {line}", path.display()));
            }
        }
    }
    none_of(culprits, "a dependency's version stands in [workspace.dependencies]");
}

#[test]
fn nothing_is_allowed_silently_ignored_or_slept_over() {
    let mut culprits = Vec::new();
    let forbidden = [concat!("#[all", "ow("), concat!("#![all", "ow("), concat!("#[ig", "nore")];
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            if forbidden.iter().any(|pattern| line.trim_start().starts_with(pattern)) {
                culprits.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    none_of(culprits, "`#[expect(…, reason)]` instead of allow; no ignored tests");
}

/// The doc comments of the sources: file and line number, the whole line, and its text.
fn doc_comments() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for path in sources() {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let text = ["//! ", "/// "].iter().find_map(|mark| line.trim_start().strip_prefix(mark));
            found.extend(text.map(|text| (format!("{shown}:{}", number + 1), line.to_owned(), text.to_owned())));
        }
    }
    found
}

#[test]
fn documents_are_wrapped() {
    let mut documents: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md"].map(|name| root().join(name)).into();
    for folder in ["docs", "tests", "examples"] {
        files(&root().join(folder), "md", &mut documents);
    }
    assert!(documents.len() > 30, "the documents were not found");
    let mut culprits = Vec::new();
    for path in documents {
        let text = fs::read_to_string(&path).unwrap();
        let mut in_code = false;
        for (number, line) in text.lines().enumerate() {
            in_code ^= line.trim_start().starts_with("```");
            // What cannot be broken: a row of a table, a word such as a link.
            let is_free = in_code || line.starts_with('|') || !line.trim_start_matches(['-', ' ']).contains(' ');
            if !is_free && line.chars().count() > COLUMNS {
                culprits.push(format!("{}:{}", path.strip_prefix(root()).unwrap().display(), number + 1));
            }
        }
    }
    none_of(culprits, "a line of a document has at most 120 columns");
}

#[test]
fn doc_comments_are_wrapped_and_begin_with_a_noun() {
    let (mut wide, mut without) = (Vec::new(), Vec::new());
    for (place, line, text) in doc_comments() {
        if line.chars().count() > COLUMNS && !text.starts_with('|') {
            wide.push(place.clone());
        }
        let first = text.split([' ', ',']).next().unwrap_or_default();
        if ["What", "Whether", "Who", "Whose", "How"].contains(&first) {
            without.push(format!("{place}: {text}"));
        }
    }
    none_of(wide, "a doc comment has at most 120 columns");
    none_of(without, "a doc sentence has a noun as its subject");
}

#[test]
fn every_trap_that_a_test_cites_is_described() {
    let described = fs::read_to_string(root().join("docs/TRAPS.md")).unwrap();
    let mut culprits = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for cited in text.split(concat!("Tr", "ap ")).skip(1) {
            let number: String = cited.chars().take_while(char::is_ascii_digit).collect();
            if !number.is_empty() && !described.contains(&format!("| {number} | ")) {
                culprits.push(format!("{}: trap {number}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    none_of(culprits, "docs/TRAPS.md has a row for each trap");
}

#[test]
fn the_core_knows_neither_sql_nor_http_nor_formats_and_formats_know_neither_of_the_former() {
    let foreign = ["rusqlite", "libsqlite3-sys", "tokio-postgres", "axum", "hyper", "http", "tower", "clap"];
    let files = ["csv", "flate2", "glob", "oxbatch-formats", "oxbatch-storage", "quick-xml", "zstd"];
    none_of(in_the_tree_of(&["oxbatch-core"], &foreign), "core has no SQL and no HTTP in its tree");
    none_of(in_the_tree_of(&["oxbatch-core"], &files), "core has no format in its tree");
    let formats = ["oxbatch-formats", "--all-features"];
    none_of(in_the_tree_of(&formats, &foreign), "formats have no SQL and no HTTP in their tree");
    none_of(in_the_tree_of(&formats, &["oxbatch-storage", "oxbatch-server"]), "formats stand beside storage");
    let pages = in_the_tree_of(&["oxbatch-server"], &["utoipa-swagger-ui"]);
    none_of(pages, "a service without the feature `docs` has no page for people");
}

/// Which of `barred` a package, named with its features, depends on.
fn in_the_tree_of(package: &[&str], barred: &[&str]) -> Vec<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "-e", "normal", "--prefix", "none", "-p"])
        .args(package)
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("oxbatch-core"), "{}", String::from_utf8_lossy(&output.stderr));
    tree.lines().filter(|line| barred.contains(&line.split(' ').next().unwrap())).map(str::to_owned).collect()
}

#[test]
fn only_storage_holds_sql_and_only_the_binary_reads_the_environment() {
    let mut culprits = Vec::new();
    for path in sources() {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        let in_source = |crate_name: &str| shown.starts_with(&format!("crates/{crate_name}/src"));
        let text = fs::read_to_string(&path).unwrap();
        let statement =
            ["\"INSERT INTO", "\"SELECT ", "\"UPDATE ", "\"DELETE FROM"].iter().find(|sql| text.contains(**sql));
        if let Some(statement) = statement.filter(|_| in_source("core") || in_source("formats") || in_source("server"))
        {
            culprits.push(format!("{shown}: {statement} …"));
        }
        let environment =
            text.contains("env::var") && ["core", "formats", "storage", "server"].into_iter().any(in_source);
        if environment {
            culprits.push(format!("{shown}: reads the environment"));
        }
    }
    none_of(culprits, "SQL lives in storage, the environment is read in `oxbatch`");
}

/// Lines in a row that make a run which stands twice.
const RUN: usize = 3;

/// The effective lines of the files of a backend: trimmed, without comments, imports, lone brackets and tests.
fn effective_lines(backend: &str) -> Vec<Vec<String>> {
    let storage = root().join("crates/storage/src");
    let mut paths = vec![storage.join(format!("{backend}.rs"))];
    files(&storage.join(backend), "rs", &mut paths);
    paths
        .iter()
        .map(|path| {
            let mut in_import = false;
            let text = fs::read_to_string(path).unwrap();
            let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).map(str::trim);
            let is_effective = |line: &&str| {
                in_import |= line.starts_with("use ") || line.starts_with("pub(super) use ");
                let is_import = in_import;
                in_import &= !line.ends_with(';');
                !is_import && !line.starts_with("//") && line.contains(|c: char| !" {}()[];,?".contains(c))
            };
            lines.filter(is_effective).map(str::to_owned).collect()
        })
        .collect()
}

#[test]
fn at_most_a_tenth_of_a_backend_stands_in_the_other_too() {
    let backends = ["sqlite", "postgres"].map(effective_lines);
    let runs = backends
        .each_ref()
        .map(|files| -> HashSet<&[String]> { files.iter().flat_map(|lines| lines.windows(RUN)).collect() });
    let (mut all, mut twice) = (0, 0);
    for (files, other) in backends.iter().zip([&runs[1], &runs[0]]) {
        for lines in files {
            let shared: HashSet<usize> = (0..lines.len().saturating_sub(RUN - 1))
                .filter(|start| other.contains(&lines[*start..*start + RUN]))
                .flat_map(|start| start..start + RUN)
                .collect();
            (all, twice) = (all + lines.len(), twice + shared.len());
        }
    }
    assert!(all > 3_000, "the backends were not found");
    assert!(twice * 10 <= all, "{twice} of {all} effective lines stand in runs of {RUN} that are in both backends");
}

/// Most lines of a function of the product, its signature included.
const MOST_FUNCTION_LINES: usize = 60;

/// Product code: no tests, no tools for them.
fn product() -> Vec<PathBuf> {
    let is_tool = |path: &Path| {
        [
            "/tests/",
            "/tests.rs",
            "/conformance",
            "/test-postgres/",
            "/doc-examples/",
            "/chaos/",
            "/benches/",
            "/examples/",
        ]
        .iter()
        .any(|part| path.to_string_lossy().contains(part))
    };
    sources().into_iter().filter(|path| !is_tool(path)).collect()
}

#[test]
fn functions_of_the_product_fit_on_a_page() {
    let mut culprits = Vec::new();
    for path in product() {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("\n#[cfg(test)]\n").next().unwrap();
        // By rustfmt, a function ends with the first brace at its own indentation.
        let mut open: Option<(usize, String, String)> = None;
        for (number, line) in code.lines().enumerate() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let is_function = line.contains("fn ") && line.trim_start().split("fn ").next().is_some_and(is_qualifiers);
            match &open {
                None if is_function && !line.ends_with('}') && !line.ends_with(';') => {
                    open = Some((number, format!("{indent}}}"), line.trim().to_owned()));
                }
                // A method without a body.
                Some((_, end, _)) if line.starts_with(&end.replace('}', ")")) && line.ends_with(';') => open = None,
                Some((begin, end, name)) if line == end => {
                    let lines = number - begin + 1;
                    if lines > MOST_FUNCTION_LINES {
                        culprits.push(format!("{}:{}: {lines} lines: {name}", path.display(), begin + 1));
                    }
                    open = None;
                }
                _ => {}
            }
        }
    }
    none_of(culprits, "a function of the product has at most 60 lines");
}

fn is_qualifiers(text: &str) -> bool {
    let known = ["pub", "async", "const", "unsafe", "extern", "default", "\"C\""];
    text.split_whitespace().all(|word| known.contains(&word) || word.starts_with("pub("))
}

/// Folders of the core without circles: a file never imports one that imports it.
const WITHOUT_CIRCLES: &[&str] = &["engine", "step", "schedule", "notice"];

#[test]
fn the_rooms_of_the_core_import_each_other_one_way() {
    let source = root().join("crates/core/src");
    let mut culprits = Vec::new();
    for folder in WITHOUT_CIRCLES {
        let mut paths = Vec::new();
        files(&source.join(folder), "rs", &mut paths);
        let modules: Vec<Vec<String>> = paths.iter().map(|path| module_of(&source, path)).collect();
        let arrows: Vec<HashSet<usize>> =
            paths.iter().zip(&modules).map(|(path, module)| imports(path, module, &modules)).collect();
        for (from, to) in arrows.iter().enumerate() {
            culprits.extend(
                to.iter()
                    .filter(|to| leads_to(&arrows, **to, from))
                    .map(|to| format!("{} -> {}", modules[from].join("::"), modules[*to].join("::"))),
            );
        }
    }
    culprits.sort();
    none_of(culprits, "no file imports one that imports it");
}

fn module_of(source: &Path, path: &Path) -> Vec<String> {
    let relative = path.strip_prefix(source).unwrap().with_extension("");
    relative.iter().map(|part| part.to_string_lossy().into_owned()).collect()
}

/// The modules from which a file imports something, by its `use` items; a name that a folder's file hands on is not
/// followed.
fn imports(path: &Path, module: &[String], modules: &[Vec<String>]) -> HashSet<usize> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("\n#[cfg(test)]\n").next().unwrap();
    let mut found = HashSet::new();
    for item in code.split("\nuse ").skip(1).map(|rest| rest.split(';').next().unwrap()) {
        let mut parts = item.split("::").map(str::trim).peekable();
        let mut base = module.to_vec();
        match parts.peek() {
            Some(&"crate") => {
                parts.next();
                base = Vec::new();
            }
            Some(&"super") => {
                while parts.peek() == Some(&"super") {
                    parts.next();
                    base.pop();
                }
            }
            _ => {}
        }
        let mut target = None;
        for part in parts {
            base.push(part.to_owned());
            if let Some(index) = modules.iter().position(|other| *other == base) {
                target = Some(index);
            }
        }
        // A file and the folder of its own parts are one room.
        found.extend(target.filter(|to| !modules[*to].starts_with(module) && !module.starts_with(&modules[*to])));
    }
    found
}

fn leads_to(arrows: &[HashSet<usize>], from: usize, to: usize) -> bool {
    let (mut seen, mut open) = (HashSet::new(), vec![from]);
    while let Some(next) = open.pop() {
        if next == to {
            return true;
        }
        if seen.insert(next) {
            open.extend(&arrows[next]);
        }
    }
    false
}
