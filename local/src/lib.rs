//! Runs the whole template on one machine: embedded servers, the functions' own binaries, and Lambda's event sources.
//!
//! What is deployed is what runs here: the runner reads the template as CloudFormation does, each server speaks its own
//! wire protocol, and the functions are their own binaries behind the Lambda Runtime API.
//!
//! In reading order:
//!
//! - [`template`] reads `template.yaml` and resolves its intrinsic functions. Anything that cannot run here is an
//!   error.
//! - [`stack`] brings a template up: servers, functions, and everything that invokes them.
//! - [`servers`] are Kinesis, DynamoDB, S3, SNS, CloudWatch, an MQTT broker, an issuer of tokens, and Redis.
//! - [`function`] runs a binary behind the Lambda Runtime API, with Lambda's asynchronous queue.
//! - [`event_source`] is the Kinesis event source mapping. The tests' simulation runs the same code.
//! - [`iot`], [`http_api`] and [`schedule`] also invoke functions: by MQTT messages, HTTP requests and times.
//!
//! Load a template:
//!
//! ```
//! use myaku_local::template::Template;
//! use std::path::Path;
//!
//! let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
//! let template = Template::load(&file)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
pub mod clock;
pub mod event_source;
pub mod function;
pub mod http_api;
pub mod iot;
mod process;
pub mod schedule;
pub mod servers;
pub mod stack;
pub mod template;
