//! Exit codes: of tasks, of chunk steps by their counters, of the job by any step.

use oxbatch_core::Status::{Completed, Failed};
use oxbatch_core::execution::Counters;
use oxbatch_core::item::FunctionWriter;
use oxbatch_core::step::exit_codes::completed_with_skips;
use oxbatch_core::{ChunkStep, ItemError, SkipPolicy, TaskStep};

use crate::harness::Numbers;
use crate::script::{Say, Script, Stage, is};

#[tokio::test]
async fn ex_10_a_task_fails_with_an_exit_code_of_its_own_and_the_job_takes_it() {
    let stage =
        Stage::new(Script::default().says("A", [Say::Fail("NO_INPUT")]), |job, script| job.step(script.step("A")))
            .await;
    assert_eq!(stage.run().await, is("A", Failed, "NO_INPUT"));
    assert_eq!(stage.run().await, is("A", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn ex_11_any_step_sets_the_exit_code_of_the_job() {
    let stage = Stage::new(Script::default(), |job, script| {
        job.step(TaskStep::builder("Set", |context| Ok(context.set_job_exit_code("BY_STEP")?))).step(script.step("B"))
    })
    .await;
    assert_eq!(stage.run().await, is("B", Completed, "BY_STEP"));
    stage.close().await;
}

#[tokio::test]
async fn ex_12_fl_17_skips_in_a_chunk_step_lead_to_a_step_of_their_own() {
    for (bad, ran) in [(3, "Review"), (99, "")] {
        let stage = Stage::new(Script::default(), move |job, script| {
            job.step(
                ChunkStep::builder("Load")
                    .reader(|_| Ok(Numbers::new(10, |_| Ok(()))))
                    .map(|n| n)
                    .writer(move |_| {
                        Ok(FunctionWriter::new(move |items: &[u64]| match items.contains(&bad) {
                            true => Err(ItemError::validation("bad number")),
                            false => Ok(()),
                        }))
                    })
                    .chunk_size(4)
                    .skip(SkipPolicy::new(5).any_kind())
                    .exit_code(completed_with_skips),
            )
            .on("COMPLETED_WITH_SKIPS")
            .to("Review")
            .then_end()
            .step(script.step("Review"))
        })
        .await;
        assert_eq!(stage.run().await, is(ran, Completed, "COMPLETED"));
        stage.close().await;
    }
}

/// The function sees the sums over the attempts, and when it fails, the restart calls it alone.
#[tokio::test]
async fn an_exit_code_by_counters_sees_all_attempts_and_is_asked_again_when_it_failed() {
    let script = Script::default().says("read 7", [Say::Error]).says("code", [Say::Error, Say::Fail("panic")]);
    let stage = Stage::new(script, |job, script| {
        let (reads, codes) = (script.clone(), script.clone());
        job.step(
            ChunkStep::builder("Load")
                .reader(move |_| {
                    let script = reads.clone();
                    Ok(Numbers::new(10, move |n| match script.next(&format!("read {n}")) {
                        None => Ok(()),
                        Some(_) => Err(ItemError::other("as scripted")),
                    }))
                })
                .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))))
                .chunk_size(2)
                .exit_code(move |counters: &Counters| match codes.next("code") {
                    Some(Say::Error) => Err("no code today".into()),
                    Some(_) => panic!("no code at all"),
                    None => Ok(Some(format!("WROTE_{}", counters.write))),
                }),
        )
    })
    .await;
    let (_, status, message) = stage.run_told().await;
    assert_eq!(status, Failed, "{message}");
    let (ran, _, message) = stage.run_told().await;
    assert!(ran.ends_with("read 9 code"), "{ran}");
    assert!(message.contains("failed to take the exit code from the counters: no code today"), "{message}");
    let (ran, _, message) = stage.run_told().await;
    assert_eq!(ran, "code");
    assert!(message.contains("panicked: no code at all"), "{message}");
    assert_eq!(stage.run().await, is("code", Completed, "WROTE_10"));
    stage.close().await;
}

#[tokio::test]
async fn an_exit_code_of_the_job_that_is_no_text_is_told_and_not_taken() {
    let stage = Stage::new(Script::default(), |job, _| {
        job.step(TaskStep::builder("Set", |context| Ok(context.put_into_job("oxbatch.exit_code", 7)?)))
    })
    .await;
    let execution = stage.launch_with("{}", false).await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Completed, Some("COMPLETED")));
    let message = execution.exit_message.unwrap();
    assert!(message.starts_with("no step has set the exit code of the job: "), "{message}");
    assert!(message.contains("oxbatch.exit_code"), "{message}");
    stage.close().await;
}

#[tokio::test]
async fn a_step_sees_those_before_it_summed_over_their_attempts() {
    let script = Script::default().says("read 3", [Say::Error]);
    let stage = Stage::new(script, |job, script| {
        let reads = script.clone();
        job.step(
            ChunkStep::builder("Load")
                .reader(move |_| {
                    let script = reads.clone();
                    Ok(Numbers::new(6, move |n| match script.next(&format!("read {n}")) {
                        None => Ok(()),
                        Some(_) => Err(ItemError::other("as scripted")),
                    }))
                })
                .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))))
                .chunk_size(2),
        )
        .step(TaskStep::builder("Look", |context| {
            let load = context.step("Load").unwrap();
            assert!(context.step("Nowhere").is_none());
            Ok(context.set_job_exit_code(&format!("{} {} {}", load.status, load.counters.read, load.counters.write))?)
        }))
    })
    .await;
    assert_eq!(stage.run().await.1, Failed);
    assert_eq!(stage.run().await.2, "COMPLETED 6 6");
    // Passed over, it is seen as before.
    assert_eq!(stage.run().await.1, Completed);
    stage.close().await;
}
