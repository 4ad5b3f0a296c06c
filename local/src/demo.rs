//! `myaku demo`: real traffic through the whole template, and the promises held against what came out.
//!
//! [`evidence`] reads back what a run leaves behind, [`verify`] judges it.

pub mod evidence;
pub mod registry;
pub mod verify;
