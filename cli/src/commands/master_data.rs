//! The argument that names the table of master data, for `myaku profile` and `myaku device`.

use myaku::device::registry::DynamoDb;

/// The argument that names the table of master data.
#[derive(Debug, clap::Args)]
pub(super) struct Table {
    // No doc comment: its markup would show in the help.
    #[arg(
        long = "table",
        env = "REGISTRY_TABLE",
        value_name = "NAME",
        help = "The table of master data (the stack's output RegistryTableName); \
                set AWS_ENDPOINT_URL_DYNAMODB for a local stack"
    )]
    name: String,
}

impl Table {
    pub(super) async fn connect(&self) -> DynamoDb {
        DynamoDb::new(&myaku::platform::aws::config().await, &self.name)
    }
}
