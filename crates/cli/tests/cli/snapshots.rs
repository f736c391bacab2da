//! No snapshot is left behind by a test that is gone.

use std::path::Path;

#[test]
fn every_snapshot_is_one_of_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    for entry in std::fs::read_dir(folder.join("snapshots")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_prefix("cli__").and_then(|name| name.strip_suffix(".snap"));
        let (module, name) =
            name.and_then(|name| name.split_once("__")).unwrap_or_else(|| panic!("{file} is no snapshot"));
        let source = std::fs::read_to_string(folder.join(format!("{module}.rs"))).unwrap();
        assert!(source.contains(&format!("\"{name}\"")), "{file} belongs to no test");
    }
}
