//! The file that an output replaces: its links, owner and mode are kept; one that somebody else reads or writes is not
//! replaced.

use std::path::Path;

use oxbatch_core::item::{Checkpoint, ItemWriter};
use oxbatch_formats::{JsonLinesWriter, OnExisting};

use crate::harness::{block_on, end, names, write};

type Lines = JsonLinesWriter<u32>;

fn lines(tag: &str, path: &Path) -> Lines {
    JsonLinesWriter::with_tag(tag, path)
}

fn run(mut writer: Lines, output: u32) {
    block_on(async {
        writer.open(None).await.unwrap();
        write(&mut writer, &[output]).await.unwrap();
        writer.committed();
        end(&mut writer).await.unwrap();
    });
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[cfg(unix)]
mod on_unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_mode_of_what_is_replaced_is_kept_and_nobody_may_read_more_meanwhile() {
        for on_existing in [OnExisting::Replace, OnExisting::Append] {
            for kept in [0o600, 0o640, 0o444, 0o666, 0o755] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("a");
                std::fs::write(&path, "0\n").unwrap();
                set_mode(&path, kept);
                let mut writer = lines("1", &path).on_existing(on_existing);
                let checkpoint: Checkpoint = block_on(async {
                    writer.open(None).await.unwrap();
                    let checkpoint = write(&mut writer, &[1]).await.unwrap();
                    writer.committed();
                    checkpoint
                });
                drop(writer);
                assert_eq!(mode(&path.with_file_name("a.1.part")), kept | 0o600);
                let mut writer = lines("1", &path).on_existing(on_existing);
                block_on(async {
                    writer.open(Some(&checkpoint)).await.unwrap();
                    end::<u32, _>(&mut writer).await.unwrap();
                });
                let expected = if on_existing == OnExisting::Append { "0\n1\n" } else { "1\n" };
                assert_eq!((mode(&path), text(&path).as_str()), (kept, expected));
            }
        }
    }

    #[test]
    fn the_owner_of_what_is_replaced_is_kept_by_whoever_may_give_files_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "").unwrap();
        let own = std::fs::metadata(&path).unwrap();
        // Of another user where this one may do that, else of itself.
        let _ = chown(&path, Some(own.uid() + 4_711), Some(own.gid() + 4_712));
        set_mode(&path, 0o640);
        let before = std::fs::metadata(&path).unwrap();
        run(lines("1", &path), 1);
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!((after.uid(), after.gid(), mode(&path)), (before.uid(), before.gid(), 0o640));
        assert_ne!(after.ino(), before.ino());
    }

    #[test]
    fn a_link_stays_a_link_and_what_it_leads_to_is_written() {
        for on_existing in [OnExisting::Replace, OnExisting::Append] {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            std::fs::create_dir(path("real")).unwrap();
            symlink("real/b", path("a")).unwrap();
            symlink(path("a"), path("c")).unwrap();
            // First it leads to nothing.
            for output in [1, 2] {
                run(lines("1", &path("c")).on_existing(on_existing), output);
            }
            let expected = if on_existing == OnExisting::Append { "1\n2\n" } else { "2\n" };
            assert_eq!(text(&path("real/b")), expected);
            assert_eq!(std::fs::read_link(path("a")).unwrap(), Path::new("real/b"));
            assert_eq!(std::fs::read_link(path("c")).unwrap(), path("a"));
            assert_eq!(
                (names(folder.path()), names(&path("real"))),
                (vec!["a".into(), "c".into(), "real".into()], vec!["b".into()])
            );
        }
    }

    #[test]
    fn a_link_is_followed_by_a_sequence_and_by_another_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("real")).unwrap();
        symlink("real/second", path("a-0002")).unwrap();
        let sequence = || lines("1", &path("a")).roll_after_items(1);
        block_on(async {
            let mut writer = sequence();
            writer.open(None).await.unwrap();
            let checkpoint = write(&mut writer, &[1, 2]).await.unwrap();
            drop(writer);
            assert_eq!(names(&path("real")), ["second.1.part"]);
            let mut writer = sequence();
            writer.open(Some(&checkpoint)).await.unwrap();
            write(&mut writer, &[3]).await.unwrap();
            writer.committed();
            end(&mut writer).await.unwrap();
        });
        assert_eq!(["a-0001", "real/second", "a-0003"].map(|name| text(&path(name))), ["1\n", "2\n", "3\n"]);
        assert!(path("a-0002").is_symlink());
    }

    #[test]
    fn links_that_lead_to_each_other_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink(path("a"), path("b")).unwrap();
        symlink(path("b"), path("a")).unwrap();
        let message = block_on(lines("1", &path("a")).open(None)).unwrap_err().to_string();
        assert!(message.contains("a' cannot be opened: ") && message.contains("symbolic link"), "{message}");
    }

    #[test]
    fn an_input_of_the_step_is_never_replaced() {
        for on_existing in [OnExisting::Replace, OnExisting::Append] {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            std::fs::write(path("in"), "0\n").unwrap();
            symlink("in", path("link")).unwrap();
            std::fs::hard_link(path("in"), path("other")).unwrap();
            std::fs::hard_link(path("in"), path("s-0002")).unwrap();
            let before = names(folder.path());
            for output in ["in", "link", "other"] {
                let mut writer = lines("1", &path(output)).on_existing(on_existing);
                writer.inputs(&[path("none"), path("in")]);
                let message = block_on(writer.open(None)).unwrap_err().to_string();
                assert!(
                    message.contains(&format!("is the file '{}', which this step reads", path("in").display())),
                    "{message}"
                );
                assert_eq!(names(folder.path()), before, "nothing is written");
            }
            // A sequence meets it only when it comes to it.
            let mut writer = lines("1", &path("s")).roll_after_items(1);
            writer.inputs(&[path("in")]);
            block_on(async {
                writer.open(None).await.unwrap();
                let message = write(&mut writer, &[1, 2]).await.unwrap_err().to_string();
                assert!(message.contains("s-0002' is the file '"), "{message}");
            });
            assert_eq!(text(&path("in")), "0\n");
            // Another file of the same folder is written.
            let mut writer = lines("1", &path("new"));
            writer.inputs(&[path("in")]);
            run(writer, 1);
        }
    }
}

#[test]
fn of_two_executions_that_write_one_file_at_once_the_second_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for on_existing in [OnExisting::Replace, OnExisting::Refuse, OnExisting::Append] {
        let mut first = lines("1-Export", &path("a")).on_existing(on_existing);
        block_on(first.open(None)).unwrap();
        for tag in ["0-Export", "2-Export"] {
            let mut second = lines(tag, &path("a")).on_existing(on_existing);
            let message = block_on(second.open(None)).unwrap_err().to_string();
            assert!(
                message.contains("a' is being written by another execution, which holds 'a.1-Export.part'"),
                "{message}"
            );
        }
        assert_eq!(names(folder.path()), ["a.1-Export.part"], "what is refused leaves nothing");
        // Other names are nobody else's.
        for name in ["b", "a.b", "a-0001"] {
            block_on(lines("2-Export", &path(name)).open(None)).unwrap();
            std::fs::remove_file(path(&format!("{name}.2-Export.part"))).unwrap();
        }
        drop(first);
        // What is left of one that has died holds nobody up.
        run(lines("2-Export", &path("a")).on_existing(on_existing), 1);
        assert_eq!(names(folder.path()), ["a", "a.1-Export.part"]);
        std::fs::remove_file(path("a")).unwrap();
        std::fs::remove_file(path("a.1-Export.part")).unwrap();
    }
}

#[test]
fn one_that_resumes_is_refused_too_and_resumes_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    block_on(async {
        let mut first = lines("1", &path);
        first.open(None).await.unwrap();
        let checkpoint = first.flush().await.unwrap().unwrap();
        drop(first);
        let mut second = lines("2", &path);
        second.open(None).await.unwrap();
        let message = lines("1", &path).open(Some(&checkpoint)).await.unwrap_err().to_string();
        assert!(message.contains("which holds 'a.2.part'"), "{message}");
        drop(second);
        lines("1", &path).open(Some(&checkpoint)).await.unwrap();
    });
}

#[test]
fn a_sequence_is_refused_while_another_writes_any_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    block_on(async {
        let sequence = |tag: &str| lines(tag, &path("a.csv")).roll_after_items(1);
        let mut first = sequence("1");
        first.open(None).await.unwrap();
        // It is at its third file.
        write(&mut first, &[1, 2, 3]).await.unwrap();
        let message = sequence("2").open(None).await.unwrap_err().to_string();
        assert!(message.contains("which holds 'a-0003.csv.1.part'"), "{message}");
        // A single file of the name that the sequence is called by is another one.
        lines("2", &path("a.csv")).open(None).await.unwrap();
        drop(first);
        sequence("2").open(None).await.unwrap();
    });
}

#[test]
fn of_many_that_begin_at_once_one_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    for round in 0..20 {
        let start = std::sync::Barrier::new(2);
        let opened: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2)
                .map(|tag| {
                    let (start, path) = (&start, &path);
                    scope.spawn(move || {
                        let mut writer = lines(&format!("{tag}-Export"), path);
                        start.wait();
                        let opened = block_on(writer.open(None)).is_ok();
                        // Held until the other one has seen it.
                        start.wait();
                        opened
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(opened.iter().filter(|opened| **opened).count(), 1, "round {round}: {opened:?}");
    }
}
