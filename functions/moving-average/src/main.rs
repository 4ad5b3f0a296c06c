//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use moving_average::{Config, connect, handle};
use myaku::{batch::Batch, env::Env, telemetry::Telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let telemetry = Telemetry::init("moving-average")?;
    let config = Config::from_env(&Env::new(|name: &str| std::env::var(name).ok()))?;
    let context = &connect(&config).await?;
    run(service_fn(move |event: LambdaEvent<Batch>| async move {
        let response = handle(context, &event.payload, event.context.deadline as i64).await;
        telemetry.flush();
        Ok::<_, Error>(response)
    }))
    .await
}
