//! A rate limiter for calls of services: so many permits for each second, with a burst, and an ear for stops.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::context::{StepContext, StopRequested};

/// Lets so many calls pass for each second, and holds up the others in their order.
///
/// Permits that nobody takes are saved up to the [burst](Self::burst). A limiter for one execution is a
/// [shared value](StepContext::shared); one for all of them is kept by the function that builds the job, as an
/// [`Arc`](std::sync::Arc). It needs no runtime of its own, so it outlives executions.
///
/// ```
/// use oxbatch::item::{AsyncFunctionProcessor, FunctionWriter, ListReader};
/// use oxbatch::step::RateLimiter;
/// use oxbatch::{ChunkStep, Job};
///
/// let step = ChunkStep::builder("Ask")
///     .reader(|_| Ok(ListReader::new(1..=5)))
///     .processor(|context| {
///         let limiter = context.shared(|| Ok(RateLimiter::per_second(500).burst(10)))?;
///         let context = context.clone();
///         Ok(AsyncFunctionProcessor::new(move |number: i32| {
///             let (limiter, context) = (limiter.clone(), context.clone());
///             async move {
///                 limiter.acquire(&context).await?;
///                 Ok(Some(number))
///             }
///         }))
///     })
///     .writer(|_| Ok(FunctionWriter::new(|_: &[i32]| Ok(()))));
/// # let job = Job::builder("Ask").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
#[derive(Debug)]
pub struct RateLimiter {
    /// Time between two permits; `None` where there are none.
    interval: Option<Duration>,
    burst: u32,
    /// When the permit that was taken last would be there at an even pace.
    taken: Mutex<Option<Instant>>,
}

impl RateLimiter {
    /// So many permits for each second, at an even pace. With 0 there is never one, and all wait for a stop.
    pub fn per_second(permits: u32) -> Self {
        let interval = (permits > 0).then(|| Duration::from_secs(1) / permits);
        Self { interval, burst: 1, taken: Mutex::new(None) }
    }

    /// One permit for each such time.
    pub fn every(interval: Duration) -> Self {
        Self { interval: Some(interval), burst: 1, taken: Mutex::new(None) }
    }

    /// The number of permits that may be taken at once after a pause: at least 1.
    #[must_use]
    pub fn burst(mut self, permits: u32) -> Self {
        self.burst = permits.max(1);
        self
    }

    /// Waits for a permit and takes it.
    ///
    /// # Errors
    /// [`StopRequested`] when a stop is requested meanwhile; passed on by `?`, it ends the step STOPPED.
    pub async fn acquire(&self, context: &StepContext) -> Result<(), StopRequested> {
        match self.reserve(Instant::now()) {
            Some(Duration::ZERO) => Ok(()),
            Some(wait) => context.sleep(wait).await,
            None => {
                context.stopping().await;
                Err(StopRequested)
            }
        }
    }

    /// As [`acquire`](Self::acquire), for code that blocks its thread.
    ///
    /// # Errors
    /// [`StopRequested`] when a stop is requested meanwhile.
    pub fn acquire_blocking(&self, context: &StepContext) -> Result<(), StopRequested> {
        match self.reserve(Instant::now()) {
            Some(Duration::ZERO) => Ok(()),
            wait => context.sleep_blocking(wait.unwrap_or(Duration::MAX)),
        }
    }

    /// Takes the next permit, and tells the time until it may be used; `None` when there is none at all.
    ///
    /// The generic cell rate algorithm: one instant stands for all permits that were taken.
    fn reserve(&self, now: Instant) -> Option<Duration> {
        let interval = self.interval?;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = taken.map_or(now, |taken| taken.max(now));
        *taken = Some(pace + interval);
        let ahead = interval.saturating_mul(self.burst - 1);
        Some(pace.duration_since(now).saturating_sub(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits, in milliseconds, of calls at these moments.
    fn waits(limiter: &RateLimiter, calls: &[u64]) -> Vec<u128> {
        let start = Instant::now();
        let wait = |at: &u64| limiter.reserve(start + Duration::from_millis(*at)).unwrap().as_millis();
        calls.iter().map(wait).collect()
    }

    #[test]
    fn permits_come_at_an_even_pace_and_are_saved_up_to_the_burst() {
        assert_eq!(waits(&RateLimiter::per_second(10), &[0, 0, 0, 250, 1_000, 1_000]), [0, 100, 200, 50, 0, 100]);
        let burst = RateLimiter::per_second(10).burst(3);
        assert_eq!(waits(&burst, &[0, 0, 0, 0, 0, 10_000, 10_000, 10_000, 10_000]), [0, 0, 0, 100, 200, 0, 0, 0, 100]);
        assert_eq!(waits(&RateLimiter::every(Duration::from_secs(2)), &[0, 500]), [0, 1_500]);
    }

    #[test]
    fn no_permits_are_none() {
        assert_eq!(RateLimiter::per_second(0).reserve(Instant::now()), None);
    }
}
