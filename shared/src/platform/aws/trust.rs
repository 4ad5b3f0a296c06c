//! Which authorities may vouch for AWS.
//!
//! Reading the system's directory of authorities takes as long as all the rest of a function's start, and a function in
//! Lambda talks to AWS alone. AWS's endpoints have certificates of Amazon Trust Services, whose five roots are here, as
//! published at <https://www.amazontrust.com/repository/>; AWS asks its customers to trust all of them, and the first to
//! expire does so in 2037. Fewer authorities are also fewer who could vouch for somebody else.
//!
//! The system's are asked wherever anything hints at another: outside Lambda, in another partition of AWS, with endpoints
//! or a proxy of one's own, and where `SSL_CERT_FILE` or `SSL_CERT_DIR` says so, which is also the way out should AWS
//! ever change its roots before a function is built anew.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// Amazon Root CA 1 to 4 and Starfield Services Root Certificate Authority - G2.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// What regions of the partitions `aws` and `aws-us-gov` begin with.
const REGIONS: [&str; 9] = ["af-", "ap-", "ca-", "eu-", "il-", "me-", "mx-", "sa-", "us-"];

/// Each of these hints at other authorities. A service's own endpoint is among them by its variable's name.
const HINTS: [&str; 13] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "AWS_CA_BUNDLE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_KINESIS",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_SNS",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// A client that trusts Amazon's roots alone, if `lookup`, the environment, lets it; `None`: the SDK's own, which trusts
/// the system's.
pub(super) fn amazon_alone(lookup: impl Fn(&str) -> Option<String>) -> Option<SharedHttpClient> {
    is_enough(lookup).then(client)
}

fn is_enough(lookup: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name: &str| lookup(name).is_some_and(|value| !value.is_empty());
    let region = lookup("AWS_REGION").unwrap_or_default();
    let in_partition = REGIONS.iter().any(|begin| region.starts_with(begin)) && !region.contains("-iso");
    is_set("AWS_LAMBDA_FUNCTION_NAME") && in_partition && !HINTS.into_iter().any(is_set)
}

/// The SDK's own client in all but whom it trusts, and when it reads their certificates.
fn client() -> SharedHttpClient {
    SharedHttpClient::new(AtFirstCall(connecting()))
}

/// Makes its connector for the first request. The SDK's own makes one more for each client that is made, and throws it away,
/// so that a system's authorities that cannot be read are told early; the compiled-in ones can.
#[derive(Debug)]
struct AtFirstCall(SharedHttpClient);

impl HttpClient for AtFirstCall {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

fn connecting() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        // A context is fallible where its builder holds names, of which this one has none: without it, the system's
        // authorities are asked.
        if let Ok(context) = TlsContext::builder().with_trust_store(roots()).build() {
            connector = connector.tls_context(context);
        }
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}

fn roots() -> TrustStore {
    TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
    use aws_smithy_types::config_bag::ConfigBag;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};
    use std::fmt::Write as _;

    const IN_LAMBDA: [(&str, &str); 2] = [("AWS_LAMBDA_FUNCTION_NAME", "archiver"), ("AWS_REGION", "eu-west-1")];

    fn with(more: &[(&str, &str)]) -> bool {
        is_enough(|name| {
            let mut pairs = more.iter().chain(&IN_LAMBDA);
            pairs.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn in_lambda_amazons_roots_are_enough() {
        assert!(with(&[]));
        assert!(with(&[("AWS_REGION", "us-gov-west-1"), ("HTTPS_PROXY", "")]));
    }

    #[test]
    fn any_hint_at_another_authority_brings_the_systems_back() {
        for name in HINTS {
            assert!(!with(&[(name, "x")]), "{name}");
        }
        for region in ["", "cn-north-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1"] {
            assert!(!with(&[("AWS_REGION", region)]), "{region}");
        }
        assert!(!with(&[("AWS_LAMBDA_FUNCTION_NAME", "")]), "outside Lambda");
    }

    #[test]
    fn the_roots_are_those_that_amazon_publishes() {
        let text = std::str::from_utf8(AMAZON_ROOTS).unwrap();
        let fingerprints: Vec<String> = text
            .split("-----BEGIN CERTIFICATE-----")
            .skip(1)
            .map(|rest| {
                let (body, _) = rest.split_once("-----END CERTIFICATE-----").unwrap();
                let der = STANDARD.decode(body.split_whitespace().collect::<String>()).unwrap();
                Sha256::digest(der).iter().fold(String::new(), |mut hex, byte| {
                    write!(hex, "{byte:02x}").unwrap();
                    hex
                })
            })
            .collect();
        assert_eq!(
            fingerprints,
            [
                "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
                "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
                "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
                "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
                "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
            ]
        );
    }

    #[test]
    fn a_connector_is_made_of_them() {
        // Reads the certificates, and panics where one is none.
        let components = RuntimeComponentsBuilder::new("test");
        connecting().validate_base_client_config(&components, &ConfigBag::base()).unwrap();
    }
}
