//! Files that are not the same any more at the second attempt.

use super::{Format, birds, file, for_each};

#[test]
fn a_file_that_changed_between_two_attempts_fails_the_second_with_a_sentence() {
    for_each(|format, packing, name| {
        let text = format.whole(&birds(2_000));
        let (_folder, path) = file(&packing.pack(&text));
        let first = format.read(&path, None, 1_000);
        let checkpoint = first.checkpoint.unwrap();
        let resume = || format.read(&path, Some(&checkpoint), usize::MAX);
        let change = |at: usize, byte: u8| {
            let mut text = text.clone();
            text[at] = byte;
            text
        };
        let item = format.item(&birds(1)[0]);
        let grown = format.whole(&birds(2_001));
        for (what, text) in [
            ("shrunk", text[..text.len() - item.len()].to_vec()),
            ("emptied", Vec::new()),
            ("grown", grown),
            ("changed at its start", change(20, b'!')),
        ] {
            std::fs::write(&path, packing.pack(&text)).unwrap();
            let attempt = resume();
            assert_eq!(attempt.birds, [], "{name} {what}");
            let message = attempt.end().to_string();
            assert!(message.contains("changed since the last attempt: "), "{name} {what}: {message}");
            assert!(message.ends_with("or launch with force to start anew"), "{name} {what}: {message}");
        }
        std::fs::remove_file(&path).unwrap();
        let message = resume().end().to_string();
        let there =
            if format == Format::Files { "there were 1 and are 0 now" } else { "cannot be opened: No such file" };
        assert!(message.contains(there), "{name}: {message}");
        std::fs::write(&path, packing.pack(&text)).unwrap();
        let rest = resume();
        assert!(rest.faults.is_empty(), "{name}: {rest:?}");
        assert_eq!(rest.birds, birds(2_000)[1_000..], "{name}: the restored file is read on");
    });
}
