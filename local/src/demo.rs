//! `myaku demo`: real traffic through the whole template, and the promises held against what came out.
//!
//! [`run`] takes its [`steps`], [`evidence`] reads back what a run leaves behind, [`verify`] judges it, [`report`] says it.

pub mod burst;
pub mod disturb;
pub mod evidence;
pub mod latency;
pub mod presence;
pub mod registry;
pub mod report;
pub mod run;
pub mod steps;
pub mod verify;
