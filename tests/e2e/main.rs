//! End-to-end tests: adapters against their servers, and the whole template with its own binaries.

mod autoscaler;
mod conformance;
mod lake;
mod master_data;
mod pipeline;
mod ways_in;
