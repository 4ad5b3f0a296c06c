//! Wiring only: configuration, connections, serve. Behaviour is in `lib.rs`.

use lambda_runtime::{Error, LambdaEvent};
use myaku::http::Request;
use myaku::platform::lambda::Function;
use query_api::{Config, connect, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("query-api")?;
    let context = connect(Config::from_env(&function.env())?).await?;
    let handler =
        async |event: LambdaEvent<Request>| Ok(handle(&context, &event.payload, event.context.deadline as i64).await);
    function.serve(handler).await
}
