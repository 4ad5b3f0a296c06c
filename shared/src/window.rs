//! Moving averages: the window of a device's metric, as a pure function of the *set* of its readings.
//!
//! Neither the order of arrival, nor duplicates, nor where a batch was cut changes a result.

mod spec;

pub use spec::WindowSpec;
