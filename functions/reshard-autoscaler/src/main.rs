//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use myaku::platform::env::Env;
use myaku::platform::logging;
use myaku::platform::telemetry::Telemetry;
use reshard_autoscaler::{Config, Invocation, connect, handle};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let telemetry = Telemetry::init("reshard-autoscaler")?;
    let config = Config::from_env(&Env::new(|name: &str| std::env::var(name).ok()))?;
    let context = &connect(&config).await;
    run(service_fn(move |event: LambdaEvent<Value>| async move {
        let invocation = Invocation::of(&event.context.request_id, &event.context.invoked_function_arn);
        // Boxed, since the SDKs' futures lie deeper in one another than the compiler follows.
        let answer = Box::pin(handle(context, &invocation, &event.payload)).await;
        telemetry.flush();
        Ok::<_, Error>(answer?)
    }))
    .await
}
