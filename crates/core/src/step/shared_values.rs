//! Values that an execution builds once and all of its steps use.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::block::block_on;
use crate::item::BoxError;

type Value = Arc<dyn Any + Send + Sync>;

/// The shared values of an execution, one of each type. They are dropped on the thread of its runtime.
#[derive(Default)]
pub(super) struct SharedValues {
    cells: Mutex<HashMap<TypeId, Arc<OnceCell<Value>>>>,
}

impl SharedValues {
    fn cells(&self) -> MutexGuard<'_, HashMap<TypeId, Arc<OnceCell<Value>>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell<T: 'static>(&self) -> Arc<OnceCell<Value>> {
        Arc::clone(self.cells().entry(TypeId::of::<T>()).or_default())
    }

    /// The value of a type, built by whoever comes first. Others wait for it; when it fails, the next one tries.
    pub(super) async fn get<T, U>(&self, build: impl FnOnce() -> U) -> Result<Arc<T>, BoxError>
    where
        T: Send + Sync + 'static,
        U: Future<Output = Result<T, BoxError>>,
    {
        let cell = self.cell::<T>();
        let built =
            cell.get_or_try_init(move || async move { build().await.map(|value| Arc::new(value) as Value) }).await?;
        Arc::clone(built).downcast().map_err(|_| "a shared value is of another type".into())
    }

    /// The same, on a thread that may block.
    pub(super) fn get_blocking<T>(&self, build: impl FnOnce() -> Result<T, BoxError>) -> Result<Arc<T>, BoxError>
    where
        T: Send + Sync + 'static,
    {
        let value = self.get(|| std::future::ready(build()));
        block_on(value, Duration::MAX).unwrap_or_else(|| Err("it took too long".into()))
    }

    pub(super) fn clear(&self) {
        let values = std::mem::take(&mut *self.cells());
        drop(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_built_once_and_again_only_when_it_failed() {
        let values = SharedValues::default();
        assert_eq!(values.get_blocking::<u8>(|| Err("no".into())).unwrap_err().to_string(), "no");
        let built = values.get_blocking(|| Ok(1_u8)).unwrap();
        let again = values.get_blocking::<u8>(|| Err("built twice".into())).unwrap();
        assert!(Arc::ptr_eq(&built, &again));
        assert_eq!(*values.get_blocking(|| Ok("text")).unwrap(), "text", "another type, another value");
        values.clear();
        assert_eq!(Arc::strong_count(&built), 2);
    }
}
