//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use lambda_runtime::Error;
use myaku::platform::lambda::Function;
use myaku::stream::lambda::serve;
use transform::{Config, connect, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("transform")?;
    let context = connect(&Config::from_env(&function.env())?).await?;
    serve(function, async |batch, invocation| handle(&context, &batch, invocation.deadline as i64).await).await
}
