//! Schedules that once broke the promise: jobs that ended as *completed* with rows lost or there twice.
//!
//! Most need no crash, only a command at the wrong moment. Each test is named after what happened;
//! the letter H and a number in its description is the name that the schedule has in
//! `docs/failure-modes.md`.

mod addresses;
mod audit;
mod closing;
mod evidence;
mod lives;
mod merged_losses;
mod planners;
mod wishes;
