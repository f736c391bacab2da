//! `ClassifyingWriter`: each output to one of several named writers.

mod route;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::value::RawValue;

use self::route::{ErasedRoute, Mapped};
use super::{Checkpoint, ItemError, ItemWriter};
use crate::repository::ChunkTransaction;

/// Writes each output to the writer whose name a function tells.
///
/// ```
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{ClassifyingWriter, FunctionWriter, ListReader};
///
/// let numbers = || FunctionWriter::new(|chunk: &[u32]| {
///     println!("even: {chunk:?}");
///     Ok(())
/// });
/// let lines = || FunctionWriter::new(|chunk: &[String]| {
///     println!("odd: {}", chunk.join(", "));
///     Ok(())
/// });
/// let step = ChunkStep::builder("Export")
///     .reader(|_| ListReader::new([1, 2, 3]))
///     .writer(move |_| {
///         ClassifyingWriter::new(|number: &u32| if number % 2 == 0 { "even" } else { "odd" })
///             .route("even", numbers())
///             .route_map("odd", |number| format!("number {number}"), lines())
///     });
/// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// The function is called once for each output and borrows its answer from it or from the program. An output whose name
/// no writer has is an error of kind [`Validation`](super::ErrorKind::Validation) that names it. The outputs of a chunk
/// are copied or [mapped](Self::route_map), name by name, so that each writer gets its part of the chunk in one piece
/// and in order.
///
/// All writers are opened, finished and published, also those that get nothing; the checkpoint holds that of each by
/// its name. A checkpoint with a name that the step no longer has is refused. **Exactly once** in each writer that is
/// so by itself. Two file writers of one step need different paths.
pub struct ClassifyingWriter<O, F> {
    classify: F,
    routes: Vec<Route<O>>,
}

struct Route<O> {
    name: String,
    writer: Box<dyn ErasedRoute<O>>,
    /// The indexes of its outputs in the chunk; used again for all chunks.
    chosen: Vec<usize>,
}

impl<O, F> ClassifyingWriter<O, F>
where
    O: Send + Sync + 'static,
    F: Fn(&O) -> &str + Send,
{
    /// Asks `classify` for the name of an output's writer.
    pub fn new(classify: F) -> Self {
        Self { classify, routes: Vec::new() }
    }

    /// Writes copies of the outputs of a name to a writer.
    #[must_use]
    pub fn route<W: ItemWriter<O> + 'static>(self, name: impl Into<String>, writer: W) -> Self
    where
        O: Clone,
    {
        self.route_map(name, O::clone, writer)
    }

    /// Writes what `function` makes of the outputs of a name to a writer, which may be of another type than those of
    /// the other names.
    #[must_use]
    pub fn route_map<T, M, W>(mut self, name: impl Into<String>, function: M, writer: W) -> Self
    where
        T: Send + Sync + 'static,
        M: FnMut(&O) -> T + Send + 'static,
        W: ItemWriter<T> + 'static,
    {
        let route = Mapped { writer, function, mapped: Vec::new() };
        self.routes.push(Route { name: name.into(), writer: Box::new(route), chosen: Vec::new() });
        self
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.routes.iter().map(|route| format!("'{}'", route.name)).collect();
        names.join(", ")
    }

    fn check_names(&self) -> Result<(), ItemError> {
        for (index, route) in self.routes.iter().enumerate() {
            if self.routes[..index].iter().any(|other| other.name == route.name) {
                return Err(ItemError::other(format!("two writers have the name '{}'", route.name)));
            }
        }
        Ok(())
    }

    fn sort(&mut self, outputs: &[O]) -> Result<(), ItemError> {
        for (index, output) in outputs.iter().enumerate() {
            let name = (self.classify)(output);
            let Some(route) = self.routes.iter_mut().find(|route| route.name == name) else {
                let problem = format!("no writer has the name '{name}'; there are {}", self.names());
                return Err(ItemError::validation(problem).at(format!("output {} of the chunk", index + 1)));
            };
            route.chosen.push(index);
        }
        Ok(())
    }
}

impl<O, F> ItemWriter<O> for ClassifyingWriter<O, F>
where
    O: Send + Sync + 'static,
    F: Fn(&O) -> &str + Send,
{
    fn inputs(&mut self, files: &[PathBuf]) {
        self.routes.iter_mut().for_each(|route| route.writer.inputs(files));
    }

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.check_names()?;
        let positions = checkpoint.map(Checkpoint::read::<BTreeMap<String, Option<Box<RawValue>>>>).transpose()?;
        let mut positions = positions.unwrap_or_default();
        if let Some(name) = positions.keys().find(|name| !self.routes.iter().any(|route| route.name == **name)) {
            let problem = format!(
                "checkpoint is of a writer with the name '{name}', but there are {}; launch with force to start anew",
                self.names()
            );
            return Err(ItemError::other(problem));
        }
        for route in &mut self.routes {
            let position = positions.remove(&route.name).flatten().map(Checkpoint::from_raw);
            route.writer.open(position.as_ref()).await?;
        }
        Ok(())
    }

    async fn write(&mut self, outputs: &[O], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.routes.iter_mut().for_each(|route| route.chosen.clear());
        self.sort(outputs)?;
        for route in self.routes.iter_mut().filter(|route| !route.chosen.is_empty()) {
            route.writer.write(outputs, &route.chosen, transaction).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let mut positions = BTreeMap::new();
        for route in &mut self.routes {
            positions.insert(route.name.as_str(), route.writer.flush().await?.map(Checkpoint::into_raw));
        }
        if positions.values().all(Option::is_none) {
            return Ok(None);
        }
        Checkpoint::new(&positions).map(Some)
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        for route in &mut self.routes {
            route.writer.sync().await?;
        }
        Ok(())
    }

    fn can_roll_back(&self) -> bool {
        self.routes.iter().any(|route| route.writer.can_roll_back())
    }

    fn save_interval(&self) -> Option<Duration> {
        self.routes.iter().filter_map(|route| route.writer.save_interval()).min()
    }

    fn committed(&mut self) {
        self.routes.iter_mut().for_each(|route| route.writer.committed());
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        let mut result = Ok(());
        for route in &mut self.routes {
            // All of them, whatever becomes of one.
            result = result.and(route.writer.rolled_back().await);
        }
        result
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        for route in &mut self.routes {
            route.writer.finish(transaction).await?;
        }
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        for route in &mut self.routes {
            route.writer.publish().await?;
        }
        Ok(())
    }

    async fn publish_copy(&mut self) -> Result<(), ItemError> {
        let mut result = Ok(());
        for route in &mut self.routes {
            result = result.and(route.writer.publish_copy().await);
        }
        result
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        let mut result = Ok(());
        for route in &mut self.routes {
            result = result.and(route.writer.close().await);
        }
        result
    }
}

impl<O, F> fmt::Debug for ClassifyingWriter<O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.routes.iter().map(|route| &route.name).collect();
        f.debug_struct("ClassifyingWriter").field("routes", &names).finish_non_exhaustive()
    }
}
