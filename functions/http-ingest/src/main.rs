//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use http_ingest::{Config, Invocation, connect, handle};
use lambda_runtime::{Error, LambdaEvent};
use myaku::http::Request;
use myaku::platform::lambda::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("http-ingest")?;
    let context = connect(Config::from_env(&function.env())?).await;
    let handler = async |event: LambdaEvent<Request>| {
        let invocation = Invocation { id: &event.context.request_id, deadline_ms: event.context.deadline as i64 };
        Ok(handle(&context, &event.payload, invocation).await)
    };
    function.serve(handler).await
}
