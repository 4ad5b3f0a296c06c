//! DynamoDB: tables in memory, with AWS's validation, conditional writes and batches.

use super::Server;
use anyhow::anyhow;
use dynoxide::Database;
use futures::FutureExt as _;

/// Starts a server on `port` (0 for a free one). Tables are in memory, and survive a [`stop`](Server::stop).
pub async fn start(port: u16) -> anyhow::Result<Server> {
    let database =
        Database::memory().map_err(|error| anyhow!("cannot create a DynamoDB database in memory: {error}"))?;
    Server::start(port, move |socket, stopped| {
        let database = database.clone();
        async move {
            let stopped = async move { drop(stopped.await) };
            dynoxide::server::serve_with_shutdown(socket, database, stopped).await.map_err(|error| anyhow!(error))
        }
        .boxed()
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::super::AwsEndpoints;
    use super::*;
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    };

    #[tokio::test]
    async fn items_survive_a_stop_and_decide_conditional_writes() {
        let dynamodb = start(0).await.unwrap();
        let endpoints = AwsEndpoints::from([("dynamodb", dynamodb.endpoint())]);
        let client = Client::new(&endpoints.sdk_config());
        let attribute = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash);
        client
            .create_table()
            .table_name("table")
            .attribute_definitions(attribute.build().unwrap())
            .key_schema(key.build().unwrap())
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .unwrap();
        let put = || {
            let item = client.put_item().table_name("table").item("pk", AttributeValue::S("a".into()));
            item.condition_expression("attribute_not_exists(pk)").send()
        };
        put().await.unwrap();
        dynamodb.stop().await;
        dynamodb.restart().await.unwrap();
        let refused = put().await.unwrap_err().into_service_error();
        assert!(refused.is_conditional_check_failed_exception(), "{refused:?}");
    }
}
