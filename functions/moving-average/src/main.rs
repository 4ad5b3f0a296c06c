//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use lambda_runtime::Error;
use moving_average::{Config, connect};
use myaku::keyed::handle;
use myaku::platform::env::Env;
use myaku::platform::logging;
use myaku::platform::telemetry::Telemetry;
use myaku::stream::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let telemetry = Telemetry::init("moving-average")?;
    let config = Config::from_env(&Env::new(|name: &str| std::env::var(name).ok()))?;
    let context = &connect(&config).await?;
    lambda::serve(async |batch, invocation| {
        // Boxed, since the SDKs' futures lie deeper in one another than the compiler follows.
        let response = Box::pin(handle(context, &batch, invocation.deadline as i64)).await;
        telemetry.flush();
        response
    })
    .await
}
