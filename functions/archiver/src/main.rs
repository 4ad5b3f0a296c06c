//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use archiver::{Config, connect, handle};
use lambda_runtime::Error;
use myaku::platform::lambda::Function;
use myaku::stream::lambda::serve;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("archiver")?;
    let context = connect(&Config::from_env(&function.env())?).await;
    serve(function, async |batch, _| Box::pin(handle(&context, &batch)).await).await
}
