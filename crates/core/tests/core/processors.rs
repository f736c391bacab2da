//! Processors: chains, routes, filters and rules.

use oxbatch_core::ItemProcessor;
use oxbatch_core::item::{
    AsyncFunctionProcessor, ChainProcessor, ClassifyingProcessor, ErrorKind, FilterProcessor, FunctionProcessor,
    PassThrough, Processed,
};

use crate::harness::block_on;

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

#[test]
fn functions_filters_and_chains_pass_on_what_they_should() {
    let odd = FilterProcessor::new(|number: &u32| number % 2 == 1);
    let square = FunctionProcessor::new(|number: u32| Ok(Some(number * number)));
    let below =
        AsyncFunctionProcessor::new(|number: u32| async move { Ok((number < 40).then_some(format!("<{number}>"))) });
    let mut chain = ChainProcessor::new(odd, ChainProcessor::new(square, below));
    assert_eq!(block_on(process_all(&mut chain, 1..=9)), ["<1>", "<9>", "<25>"]);
    assert!(block_on(async { chain.open(None).await.is_ok() && chain.checkpoint().unwrap().is_none() }));
}

#[test]
fn each_item_goes_to_the_processor_of_its_name() {
    fn kind(number: &i32) -> &str {
        match number {
            0 => "zero",
            1.. => "plus",
            _ => "minus",
        }
    }
    let mut processor = ClassifyingProcessor::new(kind)
        .route("plus", FunctionProcessor::new(|number: i32| Ok(Some(format!("+{number}")))))
        .route(
            "minus",
            AsyncFunctionProcessor::new(|number: i32| async move { Ok((number != -2).then_some(number.to_string())) }),
        );
    block_on(async {
        processor.open(None).await.unwrap();
        assert_eq!(process_all(&mut processor, [1, -1, -2, 3]).await, ["+1", "-1", "+3"]);
        let error = processor.process(0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert_eq!(error.to_string(), "no processor has the name 'zero'; there are 'plus', 'minus'");
        let message =
            processor.route("plus", FunctionProcessor::new(|_: i32| Ok(Some(String::new())))).open(None).await;
        assert_eq!(message.unwrap_err().to_string(), "two processors have the name 'plus'");
    });
}

#[cfg(feature = "validation")]
#[test]
fn an_item_that_breaks_rules_is_told_with_all_its_fields() {
    use oxbatch_core::item::ValidatingProcessor;
    use oxbatch_core::item::garde::{self, Validate};

    #[derive(Debug, PartialEq, Validate)]
    #[garde(context(u32 as limit))]
    struct Strike {
        #[garde(length(min = 1))]
        species: String,
        #[garde(custom(|speed: &u32, limit: &u32| {
            if speed > limit { Err(garde::Error::new(format!("faster than {limit}"))) } else { Ok(()) }
        }))]
        speed: u32,
        #[garde(dive)]
        place: TestStore,
    }

    #[derive(Debug, PartialEq, Validate)]
    #[garde(context(u32))]
    struct TestStore {
        #[garde(range(min = -90, max = 90))]
        latitude: i32,
    }

    let strike =
        |species: &str, speed, latitude| Strike { species: species.to_owned(), speed, place: TestStore { latitude } };
    let mut processor = ValidatingProcessor::with_context(500);
    block_on(async {
        assert_eq!(processor.process(strike("Gull", 500, 3)).await.unwrap(), Some(strike("Gull", 500, 3)));
        let error = processor.process(strike("", 501, 91)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        let message = error.to_string();
        assert_eq!(message, "place.latitude: greater than 90; species: length is lower than 1; speed: faster than 500");
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
fn a_chain_gives_an_item_back_before_a_part_has_had_it_whose_successor_may_wait() {
    let mut seen = 0;
    let count = FunctionProcessor::new(|number: u32| {
        seen += 1;
        Ok(Some(number))
    });
    let asking = || AsyncFunctionProcessor::new(|number: u32| async move { Ok(Some(number + 1)) });
    let mut waits_behind = ChainProcessor::new(count, asking());
    assert_eq!(at_once(&mut waits_behind, 1), "later");
    assert_eq!(block_on(waits_behind.process(1)).unwrap(), Some(2));
    assert_eq!(seen, 1, "the item was processed twice");
    let mut waits_first = ChainProcessor::new(asking(), PassThrough);
    assert_eq!(at_once(&mut waits_first, 1), "later");
    assert_eq!(block_on(waits_first.process(1)).unwrap(), Some(2));
}
