//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use alert_notifier::{Config, connect, handle};
use lambda_runtime::{Error, LambdaEvent};
use myaku::platform::errors::chain;
use myaku::platform::lambda::Function;
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("alert-notifier")?;
    let context = connect(&Config::from_env(&function.env())?).await;
    let handler = async |event: LambdaEvent<Box<RawValue>>| {
        let handled = handle(&context, event.payload.get().as_bytes(), event.context.deadline as i64).await;
        handled.map_err(|error| Error::from(chain(&error)))
    };
    function.serve(handler).await
}
