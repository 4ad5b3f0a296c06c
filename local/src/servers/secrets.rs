//! Secrets Manager: secrets in memory, as far as functions and operators use it: create, put, get, delete.
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html>

use super::Server;
use crate::account::{ACCOUNT, REGION};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// The secrets by name, each with the id of its version.
type Secrets = Arc<Mutex<BTreeMap<String, (String, Uuid)>>>;

/// An error in the service's words.
struct Fault(&'static str, String);

/// Starts a server on `port` (0 for a free one). Secrets survive a [`stop`](Server::stop).
pub async fn start(port: u16) -> anyhow::Result<Server> {
    let app = Router::new().route("/", post(call)).with_state(Secrets::default());
    Server::app(port, app).await
}

async fn call(State(secrets): State<Secrets>, headers: HeaderMap, body: String) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let request: Value = serde_json::from_str(&body).unwrap_or_default();
    match perform(&secrets, target.rsplit('.').next().unwrap_or_default(), &request) {
        Ok(answer) => Json(answer).into_response(),
        Err(Fault(kind, message)) => {
            (StatusCode::BAD_REQUEST, Json(json!({ "__type": kind, "message": message }))).into_response()
        }
    }
}

fn perform(secrets: &Secrets, operation: &str, request: &Value) -> Result<Value, Fault> {
    let mut secrets = secrets.lock().unwrap_or_else(PoisonError::into_inner);
    let invalid = |field: &str| Fault("InvalidParameterException", format!("{field} is missing"));
    let text = |field: &str| request[field].as_str().filter(|text| !text.is_empty()).ok_or_else(|| invalid(field));
    // A secret may be named by its ARN.
    let name = |field: &str| Ok(text(field)?.strip_prefix(&arn("")).unwrap_or(text(field)?).to_owned());
    let missing = || Fault("ResourceNotFoundException", "Secrets Manager can't find the specified secret.".to_owned());
    match operation {
        "CreateSecret" => {
            let (name, value) = (name("Name")?, text("SecretString")?.to_owned());
            if secrets.contains_key(&name) {
                let message = format!("The operation failed because the secret {name} already exists.");
                return Err(Fault("ResourceExistsException", message));
            }
            let version = Uuid::new_v4();
            secrets.insert(name.clone(), (value, version));
            Ok(json!({ "ARN": arn(&name), "Name": name, "VersionId": version.to_string() }))
        }
        "PutSecretValue" => {
            let (name, value) = (name("SecretId")?, text("SecretString")?.to_owned());
            let secret = secrets.get_mut(&name).ok_or_else(missing)?;
            *secret = (value, Uuid::new_v4());
            Ok(
                json!({ "ARN": arn(&name), "Name": name, "VersionId": secret.1.to_string(), "VersionStages": ["AWSCURRENT"] }),
            )
        }
        "GetSecretValue" => {
            let name = name("SecretId")?;
            let (value, version) = secrets.get(&name).ok_or_else(missing)?;
            let stages = ["AWSCURRENT"];
            Ok(
                json!({ "ARN": arn(&name), "Name": name, "SecretString": value, "VersionId": version.to_string(), "VersionStages": stages }),
            )
        }
        "DeleteSecret" => {
            let name = name("SecretId")?;
            secrets.remove(&name).ok_or_else(missing)?;
            Ok(json!({ "ARN": arn(&name), "Name": name }))
        }
        other => Err(Fault("InvalidRequestException", format!("{other} does not run on this machine"))),
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}")
}

#[cfg(test)]
mod tests {
    use super::super::AwsEndpoints;
    use super::*;
    use aws_sdk_secretsmanager::Client;

    #[tokio::test]
    async fn a_secret_is_created_once_read_changed_and_deleted() {
        let server = start(0).await.unwrap();
        let endpoints = AwsEndpoints::from([("secrets manager", server.endpoint())]);
        let client = Client::new(&endpoints.sdk_config());
        let get = || client.get_secret_value().secret_id("myaku/webhooks/ward").send();
        assert!(get().await.unwrap_err().into_service_error().is_resource_not_found_exception());
        let create = || client.create_secret().name("myaku/webhooks/ward").secret_string("one").send();
        let arn = create().await.unwrap().arn.unwrap();
        assert!(create().await.unwrap_err().into_service_error().is_resource_exists_exception());
        assert_eq!(get().await.unwrap().secret_string(), Some("one"));
        client.put_secret_value().secret_id(&arn).secret_string("two").send().await.unwrap();
        assert_eq!(client.get_secret_value().secret_id(&arn).send().await.unwrap().secret_string(), Some("two"));
        client.delete_secret().secret_id("myaku/webhooks/ward").send().await.unwrap();
        assert!(get().await.is_err());
    }
}
