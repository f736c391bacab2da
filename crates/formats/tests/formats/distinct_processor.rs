//! `DistinctProcessor`: keys that come once, by itself and within chains and routes.

use std::path::Path;

use oxbatch_core::ItemProcessor;
use oxbatch_core::item::{
    AsyncFunctionProcessor, ChainProcessor, Checkpoint, ClassifyingProcessor, ErrorKind, FunctionProcessor, ItemError,
    PassThrough, Processed,
};
use oxbatch_formats::{DistinctKey, DistinctProcessor, FileSync};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::harness::{block_on, names, stored};

async fn process_all<I: Send, P: ItemProcessor<I>>(
    processor: &mut P,
    items: impl IntoIterator<Item = I>,
) -> Vec<P::Output> {
    let mut outputs = Vec::new();
    for item in items {
        outputs.extend(processor.process(item).await.unwrap());
    }
    outputs
}

fn distinct(folder: &Path) -> DistinctProcessor<impl FnMut(&u32, &mut DistinctKey) + Send + use<>> {
    DistinctProcessor::with_tag("1", folder.join("numbers.keys"), |number: &u32, key| {
        key.push(number);
    })
}

#[test]
fn only_the_first_item_of_a_key_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let mut processor = distinct(folder.path());
        processor.open(None).await.unwrap();
        assert_eq!(process_all(&mut processor, [1, 2, 1, 3, 2]).await, [1, 2, 3]);
        processor.checkpoint().unwrap().unwrap();
        assert_eq!(process_all(&mut processor, [3, 4]).await, [4]);
        assert_eq!(names(folder.path()), ["numbers.keys.1.part"]);
        processor.checkpoint().unwrap().unwrap();
        processor.completed().await.unwrap();
        processor.close().await.unwrap();
        assert_eq!(names(folder.path()), [""; 0], "nothing is left behind");
    });
}

#[test]
fn keys_of_several_parts_do_not_run_into_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let key = |item: &(&'static str, &'static str), key: &mut DistinctKey| {
        key.push(item.0).push(item.1);
    };
    let mut processor =
        DistinctProcessor::with_tag("1", folder.path().join("a"), key).sync(FileSync::EveryChunk).duplicates_fail();
    block_on(async {
        processor.open(None).await.unwrap();
        let items = [("a", "b,"), ("a,", "b"), ("ab", ""), ("", "ab"), ("a\"", "\"b")];
        assert_eq!(process_all(&mut processor, items).await.len(), 5);
        let error = processor.process(("ab", "")).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Validation, "key \"ab\",\"\" came before"));
    });
}

#[test]
fn an_item_that_fails_behind_it_may_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut busy = true;
    let sender = FunctionProcessor::new(|number: u32| {
        if number == 2 && std::mem::take(&mut busy) {
            return Err(ItemError::transient("line is busy"));
        }
        Ok(Some(number))
    });
    let mut chain = ChainProcessor::new(ChainProcessor::new(PassThrough, distinct(folder.path())), sender);
    block_on(async {
        chain.open(None).await.unwrap();
        assert_eq!(process_all(&mut chain, [1, 1]).await, [1]);
        assert_eq!(chain.process(2).await.unwrap_err().kind(), ErrorKind::Transient);
        assert_eq!(process_all(&mut chain, [2, 2, 3]).await, [2, 3]);
        assert!(chain.checkpoint().unwrap().is_some());
    });
}

/// The fate of an item that needs no wait, as a word.
fn at_once<I: Send, P: ItemProcessor<I, Output: std::fmt::Debug>>(processor: &mut P, item: I) -> String {
    match processor.process_now(item) {
        Processed::Output(output) => format!("{output:?}"),
        Processed::Filtered => "filtered".to_owned(),
        Processed::Failed(error) => error.to_string(),
        Processed::Later(_) => "later".to_owned(),
    }
}

#[test]
fn a_chain_of_parts_that_never_wait_does_not_wait_and_takes_back_what_fails_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut busy = true;
    let sender = FunctionProcessor::new(|number: u32| match number {
        2 if std::mem::take(&mut busy) => Err(ItemError::transient("line is busy")),
        _ => Ok((number != 3).then_some(number)),
    });
    let mut chain = ChainProcessor::new(ChainProcessor::new(PassThrough, distinct(folder.path())), sender);
    block_on(chain.open(None)).unwrap();
    let outcomes: Vec<_> = [1, 1, 2, 2, 2, 3].map(|number| at_once(&mut chain, number)).into();
    assert_eq!(outcomes, ["1", "filtered", "line is busy", "2", "filtered", "filtered"]);
}

#[test]
fn a_part_that_waits_although_it_says_otherwise_fails_the_item_and_takes_it_back() {
    struct Liar;
    impl ItemProcessor<u32> for Liar {
        type Output = u32;
        const IS_SYNCHRONOUS: bool = true;
        async fn process(&mut self, item: u32) -> Result<Option<u32>, ItemError> {
            Ok(Some(item))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut chain = ChainProcessor::new(distinct(folder.path()), Liar);
    block_on(async {
        chain.open(None).await.unwrap();
        assert_eq!(at_once(&mut chain, 1), "a processor that says it never waits has given an item back");
        assert_eq!(process_all(&mut chain, [1, 1]).await, [1]);
    });
}

#[test]
fn routes_that_never_wait_do_not_wait_beside_one_that_may() {
    let folder = tempfile::tempdir().unwrap();
    let routes = || {
        ClassifyingProcessor::new(|number: &u32| match number {
            0..10 => "small",
            10..20 => "big",
            _ => "huge",
        })
        .route("small", distinct(folder.path()))
    };
    let mut mixed = routes().route("big", AsyncFunctionProcessor::new(|number: u32| async move { Ok(Some(number)) }));
    block_on(mixed.open(None)).unwrap();
    let outcomes: Vec<_> = [1, 1, 10, 20].map(|number| at_once(&mut mixed, number)).into();
    assert_eq!(outcomes, ["1", "filtered", "later", "no processor has the name 'huge'; there are 'small', 'big'"]);
    block_on(mixed.close()).unwrap();
    // In a chain they do not wait either if none of them does, and the one that had the item takes it back.
    let fails =
        FunctionProcessor::new(|number: u32| if number == 2 { Err(ItemError::other("no")) } else { Ok(Some(number)) });
    let mut chain = ChainProcessor::new(routes().route("big", PassThrough), fails);
    block_on(chain.open(None)).unwrap();
    let outcomes: Vec<_> = [2, 2, 10, 1, 1].map(|number| at_once(&mut chain, number)).into();
    assert_eq!(outcomes, ["no", "no", "10", "1", "filtered"]);
}

#[test]
fn a_file_of_keys_that_is_gone_or_changed_is_told_before_an_item_passes() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("numbers.keys.1.part");
    block_on(async {
        let mut processor = distinct(folder.path());
        processor.open(None).await.unwrap();
        process_all(&mut processor, 0..100).await;
        let checkpoint = stored(&processor.checkpoint().unwrap().unwrap());
        drop(processor);
        let keys = std::fs::read(&part).unwrap();
        assert_eq!(keys.len(), 1_600);

        std::fs::write(&part, &keys[..1_584]).unwrap();
        let message = distinct(folder.path()).open(Some(&checkpoint)).await.unwrap_err().to_string();
        assert!(message.contains("it is shorter than its checkpoint says (1600)"), "{message}");
        std::fs::write(&part, [&keys[..1_599], b"?"].concat()).unwrap();
        let message = distinct(folder.path()).open(Some(&checkpoint)).await.unwrap_err().to_string();
        assert!(message.contains("was changed"), "{message}");

        std::fs::remove_file(&part).unwrap();
        let mut processor = distinct(folder.path());
        processor.open(Some(&checkpoint)).await.unwrap();
        assert_eq!(processor.checkpoint().unwrap().unwrap().as_json(), checkpoint.as_json());
        for _ in 0..2 {
            let message = processor.process(1_000).await.unwrap_err().to_string();
            assert!(message.contains("is missing, although its checkpoint says 1600 bytes"), "{message}");
        }
        // An attempt that died after its end has nothing to ask.
        processor.completed().await.unwrap();
    });
}

/// The fate of a chunk, as the reading half of a step sees it.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Committed,
    DiesUnsealed,
    DiesSealed,
    DiesAhead,
}

proptest! {
    #[test]
    fn keys_come_once_wherever_the_process_dies(
        items in vec(0..40_u32, 0..120),
        plan in vec((1..12_usize, prop_oneof![
            4 => Just(Fate::Committed), 1 => Just(Fate::DiesUnsealed), 1 => Just(Fate::DiesSealed), 1 => Just(Fate::DiesAhead),
        ]), 0..30),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut model = Vec::new();
        items.iter().for_each(|item| if !model.contains(item) { model.push(*item) });
        let mut plan = plan.into_iter().chain(std::iter::repeat((9, Fate::Committed)));
        let (mut done, mut outputs, mut saved) = (0, Vec::new(), None::<Checkpoint>);
        block_on(async {
            let mut processor = distinct(folder.path());
            processor.open(None).await.unwrap();
            while done < items.len() {
                let (size, fate) = plan.next().unwrap();
                let next = items.len().min(done + size);
                let found = process_all(&mut processor, items[done..next].iter().copied()).await;
                if !matches!(fate, Fate::DiesUnsealed) {
                    let checkpoint = stored(&processor.checkpoint().unwrap().unwrap());
                    match fate {
                        Fate::Committed => {
                            (done, saved) = (next, Some(checkpoint));
                            outputs.extend(found);
                            continue;
                        }
                        // It has read ahead of the chunk that is never committed.
                        Fate::DiesAhead => {
                            process_all(&mut processor, items[next..].iter().copied().take(size)).await;
                            processor.checkpoint().unwrap();
                        }
                        _ => {}
                    }
                }
                drop(processor);
                processor = distinct(folder.path());
                processor.open(saved.as_ref()).await.unwrap();
            }
        });
        prop_assert_eq!(outputs, model);
    }
}
