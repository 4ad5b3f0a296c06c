//! End-to-end tests: adapters against their servers, and the whole template with its own binaries.

mod audit;
mod autoscaler;
mod bring_back;
mod chaos;
mod conformance;
mod crash;
mod inflated;
mod lake;
mod master_data;
mod notify;
mod own_function;
mod pipeline;
mod presence;
mod query;
mod reading;
mod speakers;
mod ways_in;
mod windows;
mod worst;
