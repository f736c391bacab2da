//! The sample jobs, a file each.

mod chunk;
mod failing;
mod nightly_orders;
mod parameterized;
mod retry;
mod sample;
mod wildlife_strikes;

use oxbatch::{JobRegistry, RegistryError};

/// All of them.
pub(crate) fn registry() -> Result<JobRegistry, RegistryError> {
    JobRegistry::new([
        sample::job()?,
        failing::job()?,
        retry::job()?,
        parameterized::job()?,
        chunk::job()?,
        wildlife_strikes::job()?,
        nightly_orders::job()?,
    ])
}
