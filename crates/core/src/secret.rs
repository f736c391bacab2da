//! Secrets of jobs: how their parameters are kept encrypted or by reference, opened for an execution, and masked.
//!
//! The text of a secret parameter is in three places alone: in the request that gives it, until it is encrypted; in the
//! parameters that the author's code sees, while the execution runs; and in the file to which a reference leads.

mod keys;
mod mask;
mod store;

pub use keys::{KeyError, KeyRing};
pub use mask::mask_active;
pub(crate) use mask::{ActiveMask, Mask};
pub(crate) use store::Opened;
pub use store::{SecretError, Secrets, check_secret_name};
