//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use iot_ingest::{Config, connect, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use myaku::platform::env::Env;
use myaku::platform::logging;
use myaku::platform::telemetry::Telemetry;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let telemetry = Telemetry::init("iot-ingest")?;
    let config = Config::from_env(&Env::new(|name: &str| std::env::var(name).ok()))?;
    let context = &connect(&config).await;
    run(service_fn(move |event: LambdaEvent<Value>| async move {
        // Boxed, since the SDKs' futures lie deeper in one another than the compiler follows.
        let answer = Box::pin(handle(context, &event.payload, event.context.deadline as i64)).await;
        telemetry.flush();
        answer.map_err(Error::from)
    }))
    .await
}
