//! The JSON shapes of everything that is shown: the interface answers with them, and the command line prints them.
//!
//! One file per resource. A shape is built from the core's types by its constructor and then only written; its fields
//! are described by [`document`](crate::document). Secret values never get into one.

mod execution;
mod graph;
mod health;
mod instance;
mod job;
mod launch;
mod node;
mod preview;
mod rerun;
mod skip;
mod status;
mod step;
mod value;

pub use execution::{ExecutionView, NewestStep};
pub use graph::{ElementKindView, ElementView, FinallyView, FinallyWhenView, GraphView, WayEndView, WayView, states};
pub use health::HealthView;
pub use instance::{InstanceCountView, InstanceParameterView, InstanceView};
pub use job::{CountsView, DeclarationView, JobStepView, JobView, KindView, PatternView, ProcessExitCodeView};
pub use launch::LaunchView;
pub use node::{DrainView, NodeStateView, NodeView, RunningView};
pub use preview::{PreviewEndView, PreviewItemView, PreviewResultView, PreviewView};
pub use rerun::{LeftView, RerunView};
pub use skip::{SkipPhaseView, SkipView};
pub use status::StatusView;
pub use step::{ControlTotalView, StepView};
pub use value::{SECRET, TypeView, ValueView};
