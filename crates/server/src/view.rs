//! The JSON shapes of everything that is shown: the interface answers with them, and the command line prints them.
//!
//! One file per resource. A shape is built from the core's types by its constructor and then only written; its fields
//! are described by [`document`](crate::document). Secret values never get into one.

mod audit;
mod backfill;
mod bulk;
mod context;
mod execution;
mod graph;
mod health;
mod instance;
mod job;
mod launch;
mod launch_pause;
mod log;
mod node;
mod notice;
mod phases;
mod preview;
mod rerun;
mod restart_plan;
mod schedule;
mod schedule_input;
mod skip;
mod status;
mod step;
mod value;

pub use audit::AuditView;
pub use backfill::{BackfillInput, BackfillPlanView, BackfillView, PlannedFireView};
pub use bulk::{BulkFilterView, BulkInput, BulkPlanView, BulkResultView, BulkView};
pub use context::ContextView;
pub use execution::{ExecutionView, NewestStep};
pub use graph::{ElementKindView, ElementView, FinallyView, FinallyWhenView, GraphView, WayEndView, WayView, states};
pub use health::HealthView;
pub use instance::{InstanceCountView, InstanceParameterView, InstanceView};
pub use job::{CountsView, DeclarationView, JobStepView, JobView, KindView, PatternView, ProcessExitCodeView};
pub use launch::LaunchView;
pub use launch_pause::{LaunchPauseInput, LaunchPauseView};
pub use log::LogLineView;
pub use node::{DrainView, NodeStateView, NodeView, RunningView};
pub use notice::{NoticeAttemptView, NoticeTrialView, NoticeView};
pub use phases::{ForecastView, PhaseSharesView};
pub use preview::{PreviewEndView, PreviewItemView, PreviewResultView, PreviewView};
pub use rerun::{LeftView, RerunView};
pub use restart_plan::{CourseEndView, CourseView, PlannedActionView, PlannedElementView, RestartPlanView};
pub use schedule::{
    ClockChangeView, FileTriggerView, FireParameterView, FireView, OriginView, PauseView, ScheduleView, ScopeView,
};
pub use schedule_input::{ExpressionInput, ParameterInput, PauseInput, ScheduleInput};
pub use skip::{SkipPhaseView, SkipView};
pub use status::StatusView;
pub use step::{ControlTotalView, StepView};
pub use value::{SECRET, SecretReferenceView, TypeView, ValueView};
