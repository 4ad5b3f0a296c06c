//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use iot_presence::{Config, connect, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use myaku::platform::env::Env;
use myaku::platform::errors::chain;
use myaku::platform::logging;
use myaku::platform::telemetry::Telemetry;
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let telemetry = Telemetry::init("iot-presence")?;
    let config = Config::from_env(&Env::new(|name: &str| std::env::var(name).ok()))?;
    let context = &connect(&config).await?;
    run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let deadline_ms = event.context.deadline as i64;
        // Boxed, since the SDKs' futures lie deeper in one another than the compiler follows.
        let handled = Box::pin(handle(context, event.payload.get().as_bytes(), deadline_ms)).await;
        telemetry.flush();
        handled.map_err(|failed| Error::from(chain(&failed)))
    }))
    .await
}
