//! Which certificate authorities the AWS clients trust.
//!
//! Reading the system's directory of authorities takes as long as all the rest of a function's start, and a function in
//! Lambda talks to AWS only. AWS's endpoints have certificates of Amazon Trust Services, whose five roots are compiled
//! in, as published at <https://www.amazontrust.com/repository/>. AWS asks its customers to trust all of them; the
//! first one expires in 2037. Trusting fewer authorities also means that fewer could issue a false certificate.
//!
//! The clients use the system's authorities if anything hints at another one: outside Lambda, in another partition of
//! AWS, with a custom endpoint or proxy, and if `SSL_CERT_FILE` or `SSL_CERT_DIR` is set. Setting one of these two is
//! also the way out if AWS changes its roots before a function is built again.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// Amazon Root CA 1 to 4 and Starfield Services Root Certificate Authority - G2.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// How the names of the regions in the partitions `aws` and `aws-us-gov` begin.
const REGION_PREFIXES: [&str; 9] = ["af-", "ap-", "ca-", "eu-", "il-", "me-", "mx-", "sa-", "us-"];

/// Variables that hint at other authorities. `AWS_ENDPOINT_URL_…` sets the endpoint of one service.
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

/// A client that trusts Amazon's roots only, if the environment, read through `lookup`, allows that. `None` stands for
/// the SDK's own client, which trusts the system's authorities.
pub(super) fn amazon_only_client(lookup: impl Fn(&str) -> Option<String>) -> Option<SharedHttpClient> {
    amazon_roots_suffice(lookup).then(client)
}

fn amazon_roots_suffice(lookup: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name: &str| lookup(name).is_some_and(|value| !value.is_empty());
    let region = lookup("AWS_REGION").unwrap_or_default();
    let in_partition = REGION_PREFIXES.iter().any(|prefix| region.starts_with(prefix)) && !region.contains("-iso");
    is_set("AWS_LAMBDA_FUNCTION_NAME") && in_partition && !HINTS.into_iter().any(is_set)
}

/// A client like the SDK's own, except for whom it trusts and when it reads their certificates.
fn client() -> SharedHttpClient {
    SharedHttpClient::new(LazyConnector(connector_client()))
}

/// Makes its connector for the first request. The SDK's own client makes another one for each service's client and
/// throws it away, to detect early that the system's authorities cannot be read. The compiled-in ones always can.
#[derive(Debug)]
struct LazyConnector(SharedHttpClient);

impl HttpClient for LazyConnector {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

fn connector_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        // Building a context can fail only if its builder has names, and this one has none. Without a context, the
        // connector uses the system's authorities.
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

    fn suffice_with(more: &[(&str, &str)]) -> bool {
        amazon_roots_suffice(|name| {
            let mut pairs = more.iter().chain(&IN_LAMBDA);
            pairs.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn in_lambda_amazons_roots_are_enough() {
        assert!(suffice_with(&[]));
        assert!(suffice_with(&[("AWS_REGION", "us-gov-west-1"), ("HTTPS_PROXY", "")]));
    }

    #[test]
    fn any_hint_at_another_authority_selects_the_systems_authorities() {
        for name in HINTS {
            assert!(!suffice_with(&[(name, "x")]), "{name}");
        }
        for region in ["", "cn-north-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1"] {
            assert!(!suffice_with(&[("AWS_REGION", region)]), "{region}");
        }
        assert!(!suffice_with(&[("AWS_LAMBDA_FUNCTION_NAME", "")]), "outside Lambda");
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
    fn a_connector_accepts_the_roots() {
        // Reads the certificates, and panics if one is not valid.
        let components = RuntimeComponentsBuilder::new("test");
        connector_client().validate_base_client_config(&components, &ConfigBag::base()).unwrap();
    }
}
