//! x

pub mod function;
