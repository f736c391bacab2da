//! The jobs of this service: orders of a shop become lines for its warehouse.

use std::fs;

use oxbatch::item::{CsvReader, FunctionProcessor, JsonLinesWriter};
use oxbatch::jiff::civil::Date;
use oxbatch::{
    BoxError, BuildError, ChunkStep, ItemError, Job, JobRegistry, ParameterDeclaration, RegistryError, SkipPolicy,
    StepContext, TaskStep,
};
use serde::{Deserialize, Serialize};

/// All jobs of the service.
pub fn registry() -> Result<JobRegistry, RegistryError> {
    JobRegistry::new([export_orders()?])
}

/// Checks the input, converts it, writes a summary. Each step is run once: launched again after a failure, the job goes
/// on with the step that failed, and that one goes on behind the last chunk that it committed.
fn export_orders() -> Result<Job, BuildError> {
    Job::builder("ExportOrders")
        .description("Converts the orders of the shop into lines for the warehouse")
        .parameter(ParameterDeclaration::string("input").default_value("orders.csv").description("orders of the shop"))
        .parameter(ParameterDeclaration::string("output").default_value("warehouse.jsonl").description("file to write"))
        .parameter(ParameterDeclaration::date_time("from").description("only orders of this day or later"))
        .step(TaskStep::builder("CheckInput", check_input))
        .step(
            ChunkStep::builder("Convert")
                .reader(|context| Ok(CsvReader::<Order>::new(context.parameters().string("input")?)))
                // An order that cannot be right is kept for a person, and the others are sent.
                .skip(SkipPolicy::new(5))
                .processor(|context| {
                    let from = context.parameters().optional_date_time("from")?.map(|from| from.date());
                    Ok(FunctionProcessor::new(move |order: Order| order.for_warehouse(from)))
                })
                .writer(|context| Ok(JsonLinesWriter::<Line>::new(context, context.parameters().string("output")?)))
                .chunk_size(100),
        )
        .step(TaskStep::builder("Summarise", summarise).max_retries(2))
        .build()
}

/// A row of the shop's file.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Order {
    order_id: u64,
    ordered_on: Date,
    customer: String,
    article: String,
    quantity: u32,
    unit_price: f64,
    status: Status,
}

#[derive(Debug, Clone, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Open,
    Paid,
    Cancelled,
}

/// A line of the warehouse's file.
#[derive(Debug, Serialize)]
struct Line {
    order_id: u64,
    customer: String,
    article: String,
    quantity: u32,
    total_cents: u64,
}

impl Order {
    /// The line that the warehouse gets; none for orders that it need not know.
    fn for_warehouse(self, from: Option<Date>) -> Result<Option<Line>, ItemError> {
        if self.status != Status::Paid || from.is_some_and(|from| self.ordered_on < from) {
            return Ok(None);
        }
        if self.quantity == 0 || !(0.0..1_000_000.0).contains(&self.unit_price) {
            let fault = ItemError::validation("a quantity of at least 1 and a price below 1,000,000 are needed");
            return Err(fault.at(format!("order {}", self.order_id)));
        }
        let cents = (self.unit_price * 100.0).round() as u64;
        Ok(Some(Line {
            order_id: self.order_id,
            customer: self.customer.trim().to_owned(),
            article: self.article,
            quantity: self.quantity,
            total_cents: cents * u64::from(self.quantity),
        }))
    }
}

/// Fails before anything is written when there is nothing to convert.
fn check_input(context: &StepContext) -> Result<(), BoxError> {
    let input = context.parameters().string("input")?;
    let size = fs::metadata(input).map_err(|error| format!("the orders '{input}' cannot be read: {error}"))?.len();
    if size == 0 {
        return Err(format!("the file of orders '{input}' is empty").into());
    }
    // Later steps, and restarts, find it in the job's context.
    context.put_into_job("input_bytes", size)?;
    Ok(())
}

/// Leaves a line for people beside the output.
fn summarise(context: &StepContext) -> Result<(), BoxError> {
    let output = context.parameters().string("output")?;
    let lines = fs::read_to_string(output)?.lines().count();
    let bytes: u64 = context.get_from_job("input_bytes")?.unwrap_or_default();
    fs::write(format!("{output}.summary.txt"), format!("{lines} orders to send, made from {bytes} bytes of orders\n"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use oxbatch::testing::TestJob;

    use super::*;

    const ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/orders.csv");

    fn test() -> Result<TestJob, BuildError> {
        let test = TestJob::new(&export_orders()?).parameter("input", ORDERS);
        Ok(test.path_parameter("output", "warehouse.jsonl"))
    }

    #[test]
    fn paid_orders_are_sent_and_one_that_cannot_be_right_is_kept() -> Result<(), BoxError> {
        let mut test = test()?;
        let run = test.run();
        assert_eq!(run.status(), oxbatch::Status::Completed, "{}", run.message());
        assert_eq!(fs::read_to_string(test.path("warehouse.jsonl"))?.lines().count(), 8);
        let skips = run.skips("Convert");
        assert_eq!(skips.len(), 1);
        assert!(skips[0].item.error.contains("a quantity of at least 1"), "{}", skips[0].item.error);
        Ok(())
    }

    #[test]
    fn the_lines_are_the_same_wherever_the_process_dies() -> Result<(), BoxError> {
        let mut undisturbed = test()?;
        undisturbed.run();
        let expected = fs::read(undisturbed.path("warehouse.jsonl"))?;
        let mut test = test()?.kill_after("CheckInput").kill_at_chunk("Convert", 1).kill_before("Summarise");
        assert_eq!(test.run().status(), oxbatch::Status::Completed);
        assert_eq!(fs::read(test.path("warehouse.jsonl"))?, expected);
        Ok(())
    }

    #[test]
    fn the_summary_says_what_the_check_has_found() -> Result<(), BoxError> {
        let mut test = TestJob::step_of(&export_orders()?, "Summarise")
            .path_parameter("output", "warehouse.jsonl")
            .job_entry("input_bytes", 700);
        fs::write(test.path("warehouse.jsonl"), "{}\n{}\n")?;
        assert_eq!(test.run().status(), oxbatch::Status::Completed);
        let summary = fs::read_to_string(test.path("warehouse.jsonl.summary.txt"))?;
        assert_eq!(summary, "2 orders to send, made from 700 bytes of orders\n");
        Ok(())
    }
}
