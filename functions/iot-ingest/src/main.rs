//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use iot_ingest::{Config, connect, handle};
use lambda_runtime::{Error, LambdaEvent};
use myaku::platform::lambda::Function;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("iot-ingest")?;
    let context = connect(&Config::from_env(&function.env())?).await;
    let handler = async |event: LambdaEvent<Value>| {
        Box::pin(handle(&context, &event.payload, event.context.deadline as i64)).await.map_err(Error::from)
    };
    function.serve(handler).await
}
