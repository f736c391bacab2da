//! The pages for people: made on the server over the same shapes and by the same calls as the interface for programs.
//!
//! A page is a file with its view and its handler, and a template of the same name in `templates/`; its style and its
//! script are in `static/`. All of them work without the script.

mod actions;
mod assets;
mod audit;
mod backfills;
mod bulk;
mod command;
mod context;
mod dashboard;
mod execution;
mod executions;
mod failure;
mod flow;
mod form;
mod frame;
mod job;
mod jobs;
mod launch;
mod launch_form;
mod launches;
mod log;
mod login;
mod names;
mod nodes;
mod notices;
mod parts;
mod plan;
mod preview;
mod problem;
mod routes;
mod rows;
mod schedule;
mod schedules;
mod skip_groups;
mod skips;
mod steps;
#[cfg(debug_assertions)]
mod styleguide;
mod text;
mod trend;
mod zoned;

pub(crate) use login::login_for;
pub(crate) use problem::{is_below_pages, is_page, problem_page};
pub(crate) use routes::{all, with_pages};
