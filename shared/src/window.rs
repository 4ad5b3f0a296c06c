//! Moving averages.

mod spec;

pub use spec::WindowSpec;
