//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use lambda_runtime::Error;
use myaku::platform::lambda::Function;
use myaku::stream::lambda::serve;
use transform::{Config, connect, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("transform")?;
    let (context, guard) = connect(&Config::from_env(&function.env())?).await?;
    serve(function, guard, async |batch, deadline_ms| Box::pin(handle(&context, batch, deadline_ms)).await).await
}
