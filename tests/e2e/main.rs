//! End-to-end tests.

mod lake;
mod master_data;
