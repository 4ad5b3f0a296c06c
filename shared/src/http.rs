//! A request that came through the HTTP API: what it says, and who makes it.
//!
//! - [`Request`] and [`Response`]: what the API passes to a function, and gets back.
//! - [`Claims`] identify who sends messages: a device, an app, or a caller that signs with IAM.
//! - [`ReaderClaims`] identify who reads: a person or an app with a role, in some facilities.

mod caller;
mod event;
mod reader;

pub use caller::{Caller, CallerError, Claims, Facilities, Right};
pub use event::{Authorizer, Http, Jwt, Request, RequestContext, Response};
pub use reader::{Reader, ReaderClaims, ReaderError, ReaderRole};
