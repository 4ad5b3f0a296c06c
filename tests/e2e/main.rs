//! End-to-end tests.

mod master_data;
