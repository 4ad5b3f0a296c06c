//! The password for an IAM login to ElastiCache: the URL of a `connect` request to the cache, signed with `SigV4` in
//! its query, without the scheme.
//! <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html#auth-iam-Connecting>

use super::settings::{Iam, Settings};
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use std::error::Error;
use std::time::{Duration, UNIX_EPOCH};

/// The longest lifetime that ElastiCache accepts.
const TOKEN_LIFETIME: Duration = Duration::from_mins(15);

const OPERATION: &str = "sign the login to Redis";

/// Makes tokens for one user of one cache.
pub(super) struct Login {
    iam: Iam,
    serverless: bool,
    region: String,
    credentials: SharedCredentialsProvider,
}

impl Login {
    pub(super) fn new(iam: Iam, settings: &Settings, config: &SdkConfig) -> Result<Self, RemoteError> {
        let missing =
            |what: &str| RemoteError::new(OPERATION, Remedy::GiveUp, format!("the SDK's configuration has no {what}"));
        Ok(Self {
            iam,
            // The host name of a serverless cache is `<name>-<id>.serverless.<region>.cache.amazonaws.com`.
            serverless: settings.host.contains(".serverless."),
            region: config.region().ok_or_else(|| missing("AWS region"))?.to_string(),
            credentials: config.credentials_provider().ok_or_else(|| missing("credentials provider"))?,
        })
    }

    pub(super) fn user(&self) -> &str {
        &self.iam.user
    }

    /// A token that is valid for 15 minutes from `now_ms`. Signing is arithmetic; only the credentials may need a call.
    pub(super) async fn token(&self, now_ms: i64) -> Result<String, RemoteError> {
        let credentials = self
            .credentials
            .provide_credentials()
            .await
            .map_err(|error| RemoteError::new(OPERATION, Remedy::Retry, error))?;
        self.sign(&credentials, now_ms).map_err(|error| RemoteError::new(OPERATION, Remedy::GiveUp, error))
    }

    fn sign(&self, credentials: &Credentials, now_ms: i64) -> Result<String, Box<dyn Error + Send + Sync>> {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(TOKEN_LIFETIME);
        let identity = credentials.clone().into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("elasticache")
            .time(UNIX_EPOCH + Duration::from_millis(now_ms.unsigned_abs()))
            .settings(settings)
            .build()?
            .into();
        let resource = if self.serverless { "&ResourceType=ServerlessCache" } else { "" };
        let url = format!("http://{}/?Action=connect&User={}{resource}", self.iam.cache, self.iam.user);
        let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))?;
        let (instructions, _) = sign(request, &parameters)?.into_parts();
        let mut token = url["http://".len()..].to_owned();
        for (name, value) in instructions.params() {
            token.push('&');
            token.push_str(name);
            token.push('=');
            percent_encode(value, &mut token);
        }
        Ok(token)
    }
}

/// Encodes all but the unreserved characters of RFC 3986, as `SigV4` does before it signs.
fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(serverless: bool) -> Login {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("to/ken+".to_owned()), None, "test");
        Login {
            iam: Iam { user: "myaku".to_owned(), cache: "myaku-cache".to_owned() },
            serverless,
            region: "us-east-1".to_owned(),
            credentials: SharedCredentialsProvider::new(credentials),
        }
    }

    #[tokio::test]
    async fn a_token_is_a_signed_connect_request_without_its_scheme() {
        let token = login(true).token(1_795_218_892_020).await.unwrap();
        let (before, after) = token.split_once("&X-Amz-Signature=").unwrap();
        let (signature, after) = after.split_at(64);
        assert!(signature.bytes().all(|byte| byte.is_ascii_hexdigit()), "{signature}");
        insta::assert_snapshot!(
            before,
            @"myaku-cache/?Action=connect&User=myaku&ResourceType=ServerlessCache&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261120%2Fus-east-1%2Felasticache%2Faws4_request&X-Amz-Date=20261120T235452Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
        );
        insta::assert_snapshot!(after, @"&X-Amz-Security-Token=to%2Fken%2B");
    }

    #[tokio::test]
    async fn a_token_for_a_cache_of_nodes_does_not_say_serverless_and_has_another_signature() {
        let (nodes, serverless) = (login(false).token(0).await.unwrap(), login(true).token(0).await.unwrap());
        assert!(!nodes.contains("ResourceType"), "{nodes}");
        let signature = |token: &str| token.rsplit_once("Signature=").map(|(_, signature)| signature.to_owned());
        assert_ne!(signature(&nodes), signature(&serverless));
    }
}
