//! The jobs that a service knows, by name.

use std::collections::BTreeMap;

use super::{BuildError, Job};

/// The jobs that a service knows. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct JobRegistry {
    by_name: BTreeMap<String, Job>,
}

/// The reason for which a job cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// There is one of this name already.
    #[error("two jobs are named '{name}'")]
    Duplicate {
        /// Their name.
        name: String,
    },
    /// The job itself could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl JobRegistry {
    /// Registers jobs.
    ///
    /// # Errors
    /// [`RegistryError::Duplicate`] when two share a name.
    pub fn new(jobs: impl IntoIterator<Item = Job>) -> Result<Self, RegistryError> {
        let mut registry = Self::default();
        for job in jobs {
            registry.add(job)?;
        }
        Ok(registry)
    }

    /// Registers one more job.
    ///
    /// # Errors
    /// [`RegistryError::Duplicate`] when the name is taken.
    pub fn add(&mut self, job: Job) -> Result<(), RegistryError> {
        if self.by_name.contains_key(job.name()) {
            return Err(RegistryError::Duplicate { name: job.name().to_owned() });
        }
        self.by_name.insert(job.name().to_owned(), job);
        Ok(())
    }

    /// The job `name`.
    pub fn get(&self, name: &str) -> Option<&Job> {
        self.by_name.get(name)
    }

    /// The jobs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Job> {
        self.by_name.values()
    }

    /// Their names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }
}
