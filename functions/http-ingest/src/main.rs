//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use http_ingest::{Config, Invocation, Request, connect, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use myaku::platform::env::Env;
use myaku::platform::logging;
use myaku::platform::telemetry::Telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let telemetry = Telemetry::init("http-ingest")?;
    let config = Config::from_env(&Env::new(|name: &str| std::env::var(name).ok()))?;
    let context = &connect(config).await;
    run(service_fn(move |event: LambdaEvent<Request>| async move {
        let invocation = Invocation { id: &event.context.request_id, deadline_ms: event.context.deadline as i64 };
        // Boxed, since the SDKs' futures lie deeper in one another than the compiler follows.
        let response = Box::pin(handle(context, &event.payload, invocation)).await;
        telemetry.flush();
        Ok::<_, Error>(response)
    }))
    .await
}
