//! Attempts to read: from the start or from a checkpoint, to the end or to the error that stays.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use oxbatch_core::item::{Checkpoint, ErrorKind, ItemReader};

/// What a reader has come to: its items, and its errors as text.
pub type Outcome<T> = Vec<Result<T, String>>;

/// Readers of files never wait: one poll is enough.
pub fn block_on<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a reader of a file waits"),
    }
}

/// What a store keeps of a checkpoint: its text.
pub fn stored(checkpoint: &Checkpoint) -> Checkpoint {
    let value: serde_json::Value = serde_json::from_str(checkpoint.as_json()).expect("a checkpoint is JSON");
    Checkpoint::new(&value).expect("JSON is a checkpoint")
}

/// Reads all, and wherever `restarts` says so, goes on with a new reader from the checkpoint. Ends at the error that no
/// other item comes behind.
pub fn outcomes<R: ItemReader>(make: impl Fn() -> R, restarts: &[bool], most: usize) -> Outcome<R::Item> {
    block_on(async {
        let mut restarts = restarts.iter().copied().cycle();
        let mut reader = make();
        if let Err(error) = reader.open(None).await {
            return vec![Err(error.to_string())];
        }
        let mut outcomes = Vec::new();
        loop {
            assert!(outcomes.len() <= most, "there are more outcomes than bytes");
            if restarts.next().unwrap_or_default() {
                let checkpoint = reader.checkpoint().expect("an open reader has a checkpoint");
                let checkpoint = stored(&checkpoint.expect("a file has a place"));
                reader = make();
                reader.open(Some(&checkpoint)).await.expect("the file is the same");
            }
            match reader.read().await {
                Ok(Some(item)) => outcomes.push(Ok(item)),
                Ok(None) => return outcomes,
                Err(error) => {
                    let text = error.to_string();
                    assert!(error.file().is_some() || text.contains("input file '"), "no file in: {text}");
                    assert!(error.position().is_some() || text.contains("truncated or damaged"), "no place in: {text}");
                    outcomes.push(Err(text));
                    if error.kind() != ErrorKind::Parse {
                        return outcomes;
                    }
                }
            }
        }
    })
}
