//! `NightlyOrders`: a job that decides: by the day, by the result of the load, and with a report at each end.

use std::fmt::Write;
use std::path::PathBuf;

use oxbatch::item::{CsvReader, CsvWriter, FunctionProcessor};
use oxbatch::jiff::civil::Weekday;
use oxbatch::step::exit_codes::completed_with_skips;
use oxbatch::{
    BoxError, BuildError, ChunkStep, DateTime, DecisionFacts, ItemError, Job, ParameterDeclaration, SkipPolicy,
    StepContext, TaskStep,
};
use serde::{Deserialize, Serialize};

/// A strike as it stands in the file, as far as orders are made of it.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Strike {
    #[serde(rename = "Airport Name")]
    airport: String,
    #[serde(rename = "Aircraft Make Model")]
    aircraft: String,
    #[serde(rename = "Effect Amount of damage")]
    damage: String,
    #[serde(rename = "Flight Date")]
    flight_date: String,
    #[serde(rename = "Cost Repair")]
    cost_repair: String,
}

/// An order to repair an aircraft.
#[derive(Debug, Serialize)]
struct Order {
    aircraft: String,
    airport: String,
    damage: String,
    flight_date: String,
    cost: i64,
}

/// The order for a strike that cost a repair; none for the others.
fn order(strike: Strike) -> Result<Option<Order>, ItemError> {
    let Strike { airport, aircraft, damage, flight_date, cost_repair } = strike;
    let cost: i64 = cost_repair.replace(',', "").trim().parse().map_err(ItemError::validation)?;
    if cost == 0 {
        return Ok(None);
    }
    if damage == "None" {
        return Err(ItemError::validation(format!("a repair for {cost} $ of an aircraft without damage")));
    }
    Ok(Some(Order { aircraft, airport, damage, flight_date, cost }))
}

/// The failure that the parameter `fail_at` plans.
fn fail_at(context: &StepContext, point: &str) -> Result<(), BoxError> {
    match context.parameters().string("fail_at")? == point {
        true => {
            Err(format!("planned by fail_at={point}; launch again without it, and the job goes on from here").into())
        }
        false => Ok(()),
    }
}

fn output(context: &StepContext, name: &str) -> Result<PathBuf, BoxError> {
    let folder = PathBuf::from(context.parameters().string("output")?);
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}

/// On Sundays there are no orders.
fn by_day(facts: &DecisionFacts) -> Result<&'static str, BoxError> {
    let day = facts.parameters().date_time("day")?.date();
    Ok(if day.weekday() == Weekday::Sunday { "SUNDAY" } else { "WORKDAY" })
}

fn load() -> impl oxbatch::step::IntoStep {
    ChunkStep::builder("LoadOrders")
        .reader(|context| Ok(CsvReader::<Strike>::new(context.parameters().string("input")?)))
        .processor(|context| {
            let (context, mut seen) = (context.clone(), 0_u32);
            Ok(FunctionProcessor::new(move |strike: Strike| {
                seen += 1;
                if seen == 5_000 {
                    fail_at(&context, "load").map_err(ItemError::other)?;
                }
                order(strike)
            }))
        })
        .writer(|context| Ok(CsvWriter::<Order>::new(context, output(context, "orders.csv")?)))
        .skip(SkipPolicy::new(1_000))
        .exit_code(completed_with_skips)
}

fn review(context: &StepContext) -> Result<(), BoxError> {
    let load = context.step("LoadOrders").ok_or("nothing was loaded")?;
    let text = format!(
        "{} strikes cost a repair that does not fit them: oxbatch skips {} lists them.\n",
        load.counters.skip(),
        context.execution_id()
    );
    Ok(std::fs::write(output(context, "review.txt")?, text)?)
}

fn publish(context: &StepContext) -> Result<(), BoxError> {
    fail_at(context, "publish")?;
    Ok(std::fs::copy(output(context, "orders.csv")?, output(context, "published-orders.csv")?).map(drop)?)
}

fn report(context: &StepContext) -> Result<(), BoxError> {
    let mut text = format!("execution {}\n", context.execution_id());
    for name in ["LoadOrders", "ReviewSkips", "PublishOrders"] {
        match context.step(name) {
            Some(step) => {
                let (code, counters) = (step.exit_code.unwrap_or_default(), step.counters);
                writeln!(text, "{name}: {code}, read {}, written {}", counters.read, counters.write)?;
            }
            None => writeln!(text, "{name}: not run")?,
        }
    }
    Ok(std::fs::write(output(context, "nightly-report.txt")?, text)?)
}

pub(super) fn job() -> Result<Job, BuildError> {
    Job::builder("NightlyOrders")
        .description("Makes repair orders of strikes, unless it is Sunday; what does not fit leads to a review")
        .parameter(
            ParameterDeclaration::date_time("day")
                .default_value(
                    DateTime::parse("2026-11-30").map_err(|error| BuildError::Job {
                        job: "NightlyOrders".to_owned(),
                        problem: error.to_string(),
                    })?,
                )
                .description("day of the run; none is made on a Sunday"),
        )
        .parameter(ParameterDeclaration::string("input").default_value("data/birdstrikes.csv"))
        .parameter(
            ParameterDeclaration::string("output")
                .default_value("output")
                .non_identifying()
                .description("folder of the orders, the review and the report"),
        )
        .parameter(
            ParameterDeclaration::string("fail_at")
                .default_value("nothing")
                .allowed(["nothing", "load", "publish"])
                .non_identifying()
                .description("plans a failure, to see a restart"),
        )
        .decider("Day", by_day)
        .on("SUNDAY")
        .end_with("CLOSED")
        .step(load())
        .on("COMPLETED_WITH_SKIPS")
        .to("ReviewSkips")
        .then("PublishOrders")
        .step(TaskStep::builder("ReviewSkips", review))
        .step(TaskStep::builder("PublishOrders", publish))
        .finally(TaskStep::builder("Report", report))
        .process_exit_code("CLOSED", 10)
        .build()
}
