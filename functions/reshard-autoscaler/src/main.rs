//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use lambda_runtime::{Error, LambdaEvent};
use myaku::platform::lambda::Function;
use reshard_autoscaler::{Config, Invocation, connect, handle};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("reshard-autoscaler")?;
    let context = connect(&Config::from_env(&function.env())?).await;
    let handler = async |event: LambdaEvent<Value>| {
        let invocation = Invocation::of(&event.context.request_id, &event.context.invoked_function_arn);
        handle(&context, &invocation, &event.payload).await.map_err(Error::from)
    };
    function.serve(handler).await
}
