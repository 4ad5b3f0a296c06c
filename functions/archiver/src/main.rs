//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use archiver::{Config, connect, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use myaku::{batch::Batch, env::Env, telemetry::Telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let telemetry = Telemetry::init("archiver")?;
    let config = Config::from_env(&Env::new(|name: &str| std::env::var(name).ok()))?;
    let context = &connect(&config).await;
    run(service_fn(move |event: LambdaEvent<Batch>| async move {
        // Boxed, since the SDKs' futures lie deeper in one another than the compiler follows.
        let response = Box::pin(handle(context, &event.payload)).await;
        telemetry.flush();
        Ok::<_, Error>(response)
    }))
    .await
}
