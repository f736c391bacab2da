//! Cycles: rounds with step executions of their own, bounds, restarts in the middle.

use oxbatch_core::DecisionFacts;
use oxbatch_core::Status::{Completed, Failed};

use crate::harness::steps;
use crate::script::{Say, Script, Stage, is};

#[tokio::test]
async fn fl_16_a_step_is_repeated_until_a_decider_says_otherwise() {
    let stage = Stage::new(Script::default(), |job, script| {
        job.step(script.step("Load"))
            .decider("More", |facts: &DecisionFacts| Ok(if facts.iteration() < 3 { "MORE" } else { "ENOUGH" }))
            .on("MORE")
            .to("Load")
            .at_most(5)
            .step(script.step("Report"))
    })
    .await;
    assert_eq!(stage.run().await, is("Load Load Load Report", Completed, "COMPLETED"));
    let ran = steps(&stage.engine, oxbatch_core::execution::ExecutionId(1)).await;
    let rounds: Vec<_> = ran.iter().map(|step| (step.step_name.as_str(), step.iteration)).collect();
    assert_eq!(rounds, [("Load", 1), ("Load", 2), ("Load", 3), ("Report", 1)]);
    stage.close().await;
}

#[tokio::test]
async fn a_bound_that_is_reached_fails_the_job_with_a_sentence() {
    let stage = Stage::new(Script::default(), |job, script| {
        job.step(script.step("A")).at_most(2).step(script.step("B")).on("*").to("A")
    })
    .await;
    let (ran, status, message) = stage.run_told().await;
    assert_eq!((ran.as_str(), status), ("A B A B", Failed));
    assert_eq!(message, "'A' is reached again after 2 rounds, which is its bound");
    stage.close().await;
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_cycle_goes_on_in_its_round() {
    let script = Script::default().says("B", [Say::Code("AGAIN"), Say::Error]);
    let stage = Stage::new(script, |job, script| {
        job.step(script.step("A").start_limit(1)).at_most(9).step(script.step("B")).on("AGAIN").to("A")
    })
    .await;
    assert_eq!(stage.run().await, is("A B A B", Failed, "FAILED"));
    stage.script.then_says("B", [Say::Code("AGAIN")]);
    assert_eq!(stage.run().await, is("B A B", Completed, "COMPLETED"));
    let ran = steps(&stage.engine, oxbatch_core::execution::ExecutionId(2)).await;
    let rounds: Vec<_> = ran.iter().map(|step| format!("{}{}", step.step_name, step.iteration)).collect();
    assert_eq!(rounds, ["B2", "A3", "B3"]);
    stage.close().await;
}
