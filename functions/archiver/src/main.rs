//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use archiver::{Config, connect, handle};
use lambda_runtime::Error;
use myaku::platform::lambda::Function;
use myaku::stream::lambda::serve;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("archiver")?;
    let (archiver, guard) = connect(&Config::from_env(&function.env())?).await;
    serve(function, guard, async |batch, _| Box::pin(handle(&archiver, batch)).await).await
}
