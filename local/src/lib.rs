//! x

pub mod event_source;
pub mod function;
