//! An HTTP API as API Gateway runs it: routes to functions, payload format 2.0, JWT authorizers, throttling, CORS, and
//! an access log. <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api.html>
//!
//! Answers that API Gateway makes itself have its status codes and bodies: 401, 403, 404, 413, 429, 500 and 503.

mod access_log;
mod authorizer;
mod cors;
mod definition;
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
pub use definition::{BODY_BYTES_MAX, Definition, INTEGRATION_TIMEOUT, Route};
pub use route::{RouteKey, RouteKeyError};
pub use server::{HttpApi, start};
pub use throttle::Limits;
