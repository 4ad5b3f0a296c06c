//! The whole template on one machine: embedded servers, the functions' own binaries, and Lambda's event sources.
//!
//! What is deployed is what runs: the template is read as `CloudFormation` would read it, each server speaks its own
//! wire protocol, and the functions are their own binaries behind the Lambda Runtime API. `demo` sends real traffic
//! through it and holds the promises against what came out.

pub mod audit;
pub mod cli;
pub mod demo;
pub mod event_source;
pub mod function;
pub mod http_api;
pub mod iot;
mod process;
pub mod rebuild;
pub mod replay;
pub mod scaling;
pub mod schedule;
pub mod selection;
pub mod servers;
pub mod stack;
pub mod template;
pub mod traffic;
