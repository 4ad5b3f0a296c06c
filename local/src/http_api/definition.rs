//! The definition of an API: its routes and settings.

use super::access_log::AccessLog;
use super::authorizer::Authorizer;
use super::cors::Cors;
use super::route::RouteKey;
use super::throttle::Limits;
use crate::function::Function;
use std::time::Duration;

/// The largest request body. "Payload size: 10 MB"
pub const BODY_BYTES_MAX: usize = 10 << 20;
/// "Maximum integration timeout: 30 seconds"
pub const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// A route of an API.
#[derive(Clone, Debug)]
pub struct Route {
    /// The requests that the route accepts.
    pub key: RouteKey,
    /// The function that they invoke.
    pub function: Function,
    /// Who may call the route; anyone if there is no authorizer.
    pub authorizer: Option<Authorizer>,
    /// How many requests the route accepts; any number if there are no limits.
    pub limits: Option<Limits>,
    /// How long the function may take to answer; at most [`INTEGRATION_TIMEOUT`].
    pub timeout: Duration,
}

/// An API.
#[derive(Debug)]
pub struct Definition {
    /// The API's id.
    pub id: String,
    /// The routes.
    pub routes: Vec<Route>,
    /// Which pages of other origins may call the API.
    pub cors: Option<Cors>,
    /// The log of requests.
    pub access_log: Option<AccessLog>,
}
