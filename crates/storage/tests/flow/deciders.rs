//! Deciders: what they see, what they lead to, and when they are asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use oxbatch_core::Status::{Completed, Failed, Stopped};
use oxbatch_core::{DecisionFacts, Flow};

use crate::script::{Say, Script, Stage, is};

#[tokio::test]
async fn de_01_to_08_a_decider_ends_stops_fails_or_goes_on_with_its_answer_or_a_code_of_the_link() {
    for (answer, ran, status, exit_code) in [
        ("END", "A", Completed, "END"),
        ("END_SPECIAL", "A", Completed, "SPECIAL"),
        ("STOP", "A", Stopped, "STOP"),
        ("STOP_SPECIAL", "A", Stopped, "SPECIAL"),
        ("FAIL", "A", Failed, "FAIL"),
        ("FAIL_SPECIAL", "A", Failed, "SPECIAL"),
        ("ANYTHING", "A B C", Completed, "COMPLETED"),
        ("OTHER", "A C", Completed, "COMPLETED"),
    ] {
        let stage = Stage::new(Script::default(), |job, script| {
            job.step(script.step("A"))
                .decider("Decide", move |_| Ok(answer))
                .on("END")
                .end()
                .on("END_SPECIAL")
                .end_with("SPECIAL")
                .on("STOP")
                .stop()
                .on("STOP_SPECIAL")
                .stop_with("SPECIAL")
                .on("FAIL")
                .fail()
                .on("FAIL_SPECIAL")
                .fail_with("SPECIAL")
                .on("OTHER")
                .to("C")
                .step(script.step("B"))
                .step(script.step("C"))
        })
        .await;
        assert_eq!(stage.run().await, is(ran, status, exit_code), "{answer}");
        stage.close().await;
    }
}

/// DE-10 differs on purpose: a decider may be first. It sees the parameters. DE-09: its answer is the job's exit code.
#[tokio::test]
async fn de_09_10_a_decider_may_be_first_and_its_answer_is_the_exit_code_of_the_job() {
    let stage = Stage::new(Script::default(), |job, script| {
        job.decider("Day", |facts: &DecisionFacts| {
            assert!(facts.last().is_none() && facts.steps().is_empty());
            Ok(facts.parameters().string("day")?.to_owned())
        })
        .on("SUNDAY")
        .end()
        .step(script.step("A"))
    })
    .await;
    let sunday = stage.launch_with(r#"{"day": "SUNDAY"}"#, false).await;
    assert_eq!((sunday.status, sunday.exit_code.as_deref()), (Completed, Some("SUNDAY")));
    assert_eq!(stage.script.take_ran(), "");
    let monday = stage.launch_with(r#"{"day": "MONDAY"}"#, false).await;
    assert_eq!((monday.status, monday.exit_code.as_deref()), (Completed, Some("COMPLETED")));
    assert_eq!(stage.script.take_ran(), "A");
    stage.close().await;
}

/// A decider that counts how often it is asked, and answers what the step before it said.
fn counting(asked: &Arc<AtomicU32>) -> impl Fn(&DecisionFacts) -> Result<String, oxbatch_core::item::BoxError> + use<> {
    let asked = Arc::clone(asked);
    move |facts| {
        asked.fetch_add(1, Ordering::SeqCst);
        Ok(facts.last().map(|last| last.exit_code.clone()).unwrap_or_default())
    }
}

#[tokio::test]
async fn de_11_after_a_step_that_reruns_a_restart_asks_the_decider_again_and_it_sees_the_new_execution() {
    let asked = Arc::new(AtomicU32::new(0));
    let decide = counting(&asked);
    let script = Script::default().says("A", [Say::Code("ONE"), Say::Code("TWO")]).says("B", [Say::Error]);
    let stage = Stage::new(script, |job, script| {
        job.step(script.step("A").rerun_if_complete())
            .decider("Decide", decide)
            .on("TWO")
            .end_with("SEEN")
            .step(script.step("B"))
    })
    .await;
    assert_eq!(stage.run().await, is("A B", Failed, "FAILED"));
    assert_eq!(stage.run().await, is("A", Completed, "SEEN"));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    stage.close().await;
}

#[tokio::test]
async fn de_15_after_a_step_that_does_not_rerun_a_restart_takes_over_the_decision() {
    let asked = Arc::new(AtomicU32::new(0));
    let decide = counting(&asked);
    let script = Script::default().says("A", [Say::Code("ONE")]).says("B", [Say::Error]);
    let stage = Stage::new(script, |job, script| {
        job.step(script.step("A")).decider("Decide", decide).on("TWO").end().step(script.step("B"))
    })
    .await;
    assert_eq!(stage.run().await, is("A B", Failed, "FAILED"));
    assert_eq!(stage.run().await, is("B", Completed, "COMPLETED"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    stage.close().await;
}

#[tokio::test]
async fn de_12_13_16_17_within_and_after_a_flow_a_decider_sees_the_flow_s_last_step_and_may_stop_the_job() {
    for (rerun, second, exit_code) in [(true, "I/A", "TWO"), (false, "", "ONE")] {
        let asked = Arc::new(AtomicU32::new(0));
        let (within, after) = (counting(&asked), counting(&asked));
        let stage = Stage::new(Script::default().says("I/A", [Say::Code("ONE"), Say::Code("TWO")]), |job, script| {
            let step = script.step("A");
            let inner = Flow::new()
                .step(if rerun { step.rerun_if_complete() } else { step })
                .decider("Within", within)
                .on("STOP")
                .stop();
            job.flow("I", inner).decider("After", after).on("*").stop()
        })
        .await;
        assert_eq!(stage.run().await, is("I/A", Stopped, "ONE"));
        let (ran, status, code) = stage.run().await;
        // A stop that names no element is passed by the restart when nothing has changed.
        let status_now = if rerun { Stopped } else { Completed };
        assert_eq!((ran.as_str(), status), (second, status_now), "{code}");
        if rerun {
            assert_eq!(code, exit_code);
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn a_decider_that_fails_or_panics_fails_the_job_and_a_restart_asks_it_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let stage = Stage::new(Script::default(), |job, script| {
        job.step(script.step("A"))
            .decider("Decide", move |_| match count.fetch_add(1, Ordering::SeqCst) {
                0 => Err("no calendar".into()),
                1 => panic!("no calendar at all"),
                2 => Ok(""),
                _ => Ok("GO"),
            })
            .step(script.step("B"))
    })
    .await;
    for (ran, said) in [
        ("A", "decider 'Decide' failed: no calendar"),
        ("", "decider 'Decide' failed: panicked: no calendar at all"),
        ("", "decider 'Decide' failed: it returned an empty exit code"),
    ] {
        assert_eq!(stage.run_told().await, is(ran, Failed, said));
    }
    assert_eq!(stage.run().await, is("B", Completed, "COMPLETED"));
    stage.close().await;
}
