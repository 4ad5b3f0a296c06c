//! Tests stores on the tables that the template defines for them, with their indexes.

use super::resources;
use crate::servers::{AwsEndpoints, Server, dynamodb};
use crate::template::{Names, Template};
use aws_config::SdkConfig;
use myaku::alert::incidents;
use myaku::alert::incidents::dynamodb::DynamoDbIncidents;
use myaku::device::presence::store;
use myaku::device::presence::store::dynamodb::DynamoDbPresences;
use myaku::device::registry::{self, DynamoDb};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A server with one table of the template, and the table's name.
async fn table(logical_id: &str) -> (Server, SdkConfig, String) {
    let template = Template::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml")).unwrap();
    let redis = BTreeMap::from([("RedisUrl".to_owned(), "redis://127.0.0.1".to_owned())]);
    let mut resolved = template.resolve(&redis, &Names::new("myaku", "abc")).unwrap();
    resolved.resources.retain(|id, _| id == logical_id);
    let server = dynamodb::start(0).await.unwrap();
    let config = AwsEndpoints::from([("dynamodb", server.endpoint())]).sdk_config();
    resources::create(&resolved, &config).await.unwrap();
    (server, config, resolved.resources[logical_id].physical_id.clone())
}

#[tokio::test]
async fn connections_and_incidents_share_the_table_of_the_template() {
    let (_server, config, table) = table("PresenceTable").await;
    let retention = Duration::from_hours(24);
    // In turn, in one table: neither store sees the items of the other.
    store::conformance::suite(&DynamoDbPresences::new(&config, &table, retention), "a").await;
    incidents::conformance::suite(&DynamoDbIncidents::new(&config, &table, retention), "a").await;
    store::conformance::suite(&DynamoDbPresences::new(&config, &table, retention), "b").await;
    incidents::conformance::suite(&DynamoDbIncidents::new(&config, &table, retention), "b").await;
}

#[tokio::test]
async fn the_registry_lists_facilities_and_their_devices() {
    let (_server, config, table) = table("RegistryTable").await;
    let registry = DynamoDb::new(&config, &table);
    registry::conformance::directory_suite(&registry, &registry).await;
}
