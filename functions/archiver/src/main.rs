//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use archiver::{Config, connect, handle};
use lambda_runtime::Error;
use myaku::platform::env::Env;
use myaku::platform::logging;
use myaku::platform::telemetry::Telemetry;
use myaku::stream::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let telemetry = Telemetry::init("archiver")?;
    let config = Config::from_env(&Env::new(|name: &str| std::env::var(name).ok()))?;
    let context = &connect(&config).await;
    lambda::serve(async |batch, _| {
        // Boxed, since the SDKs' futures lie deeper in one another than the compiler follows.
        let response = Box::pin(handle(context, &batch)).await;
        telemetry.flush();
        response
    })
    .await
}
