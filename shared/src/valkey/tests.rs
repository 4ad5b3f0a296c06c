//! Against a server that is away, and against a real one where the machine has one.

use super::*;
use aws_config::BehaviorVersion;

fn sdk() -> SdkConfig {
    SdkConfig::builder().behavior_version(BehaviorVersion::v2026_01_12()).build()
}

#[tokio::test]
async fn a_server_that_is_down_fails_the_call_and_not_the_start() {
    let connection = Connection::connect(&Settings::node("redis://127.0.0.1:1").unwrap(), &sdk()).await.unwrap();
    let error = connection.get_many(&["key".to_owned()]).await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Retry);
    assert_eq!(error.operation, "connect to Redis");
}

#[tokio::test]
async fn tls_needs_no_setting_up_by_the_caller() {
    let connection = Connection::connect(&Settings::node("rediss://127.0.0.1:1").unwrap(), &sdk()).await.unwrap();
    assert_eq!(connection.ping().await.unwrap_err().remedy, Remedy::Retry);
}
