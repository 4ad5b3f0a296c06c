//! An HTTP API as API Gateway runs it: routes to functions, payload format 2.0, JWT authorizers, throttling, CORS, and an
//! access log. <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api.html>
//!
//! What API Gateway answers by itself has its status codes and bodies: 401, 403, 404, 413, 429, 500 and 503.

mod access_log;
mod authorizer;
mod cors;
mod request;
mod response;
mod route;
mod server;
#[cfg(test)]
mod tests;
mod throttle;

pub use access_log::AccessLog;
pub use authorizer::Authorizer;
pub use cors::Cors;
pub use route::{RouteKey, RouteKeyError};
pub use server::{HttpApi, start};
pub use throttle::Limits;

use crate::function::Function;
use std::time::Duration;

/// A request's body, at most. "Payload size: 10 MB"
pub const BODY_BYTES_MAX: usize = 10 << 20;
/// "Maximum integration timeout: 30 seconds"
pub const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// A route of an API.
#[derive(Clone, Debug)]
pub struct Route {
    /// Which requests it takes.
    pub key: RouteKey,
    /// The function that they invoke.
    pub function: Function,
    /// Who may call it; none for everybody.
    pub authorizer: Option<Authorizer>,
    /// How many requests it takes.
    pub limits: Option<Limits>,
    /// How long the function may take to answer; at most [`INTEGRATION_TIMEOUT`].
    pub timeout: Duration,
}

/// An API.
#[derive(Debug)]
pub struct Definition {
    /// Its id.
    pub id: String,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Which other origins' pages may call it.
    pub cors: Option<Cors>,
    /// Where each request is noted.
    pub access_log: Option<AccessLog>,
}
