//! Workers that share the input: what comes of it is what comes of one thread, whatever is in the input and whatever
//! fails, stops or panics.

mod faults;
mod framers;
mod job;

use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};

use self::job::{Plan, Trouble, outcome};
use crate::harness::ON_POSTGRES;

fn plans() -> impl Strategy<Value = Plan> {
    let trouble = prop_oneof![
        3 => Just(Trouble::None),
        1 => (0..6_000_u64).prop_map(Trouble::Fails),
        1 => (0..6_000_u64).prop_map(Trouble::Panics),
        1 => (0..6_000_u64).prop_map(Trouble::PanicsInReading),
        1 => (0..6_000_u64).prop_map(Trouble::PanicsInWriting),
    ];
    let sizes = (1..5_500_u64, prop_oneof![1..8_u32, 8..200_u32, 200..3_000_u32]);
    (sizes, 2..400_u64, prop_oneof![Just(u64::MAX), 0..60_u64], trouble, any::<[bool; 3]>(), 1..4_u64).prop_map(
        |((rows, chunk), oddity, limit, trouble, [keeps_totals, has_header, skips], files)| Plan {
            rows,
            chunk,
            oddity,
            limit: skips.then_some(limit),
            trouble,
            keeps_totals,
            has_header,
            files,
        },
    )
}

#[test]
fn any_number_of_workers_gives_what_one_thread_gives() {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48_u32);
    let cases = if ON_POSTGRES { asked.div_ceil(12) } else { asked };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let tested = TestRunner::new(config).run(&plans(), |plan| {
        let expected = runtime.block_on(outcome(&plan, &[None]));
        for workers in [1, 2, 7] {
            let found = runtime.block_on(outcome(&plan, &[Some(workers), Some(8 - workers)]));
            prop_assert!(found == expected, "{workers} workers: {}", found.difference(&expected));
        }
        Ok(())
    });
    if let Err(failure) = tested {
        panic!("{failure}");
    }
}
