//! Tests the stores of connections and incidents together, on the one table that the template defines for both.

use super::resources;
use crate::servers::{AwsEndpoints, dynamodb};
use crate::template::{Names, Template};
use myaku::alert::incidents;
use myaku::alert::incidents::dynamodb::DynamoDbIncidents;
use myaku::device::presence::store;
use myaku::device::presence::store::dynamodb::DynamoDbPresences;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

#[tokio::test]
async fn connections_and_incidents_share_the_table_of_the_template() {
    let template = Template::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml")).unwrap();
    let redis = BTreeMap::from([("RedisUrl".to_owned(), "redis://127.0.0.1".to_owned())]);
    let mut resolved = template.resolve(&redis, &Names::new("myaku", "abc")).unwrap();
    resolved.resources.retain(|id, _| id == "PresenceTable");
    let server = dynamodb::start(0).await.unwrap();
    let config = AwsEndpoints::from([("dynamodb", server.endpoint())]).sdk_config();
    resources::create(&resolved, &config).await.unwrap();
    let (table, retention) = (&resolved.resources["PresenceTable"].physical_id, Duration::from_hours(24));
    // In turn, in one table: neither store sees the items of the other.
    store::conformance::suite(&DynamoDbPresences::new(&config, table, retention), "a").await;
    incidents::conformance::suite(&DynamoDbIncidents::new(&config, table, retention), "a").await;
    store::conformance::suite(&DynamoDbPresences::new(&config, table, retention), "b").await;
    incidents::conformance::suite(&DynamoDbIncidents::new(&config, table, retention), "b").await;
}
