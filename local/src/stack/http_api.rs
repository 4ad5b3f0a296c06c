//! Builds the template's HTTP API: its routes are events of functions, and its `DefinitionBody` says who may call them.

use super::events::{self, FunctionEvent};
use crate::function::Function;
use crate::http_api::{
    self, AccessLog, Authorizer, Cors, Definition, HttpApi, INTEGRATION_TIMEOUT, Limits, Route, RouteKey,
};
use crate::servers::issuer::Issuer;
use crate::template::{Resolved, Resource, flag, integer, only};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The properties that an API may have. Its name, description, tags and metrics have no effect on one machine.
const API: [&str; 10] = [
    "AccessLogSettings",
    "CorsConfiguration",
    "DefaultRouteSettings",
    "DefinitionBody",
    "Description",
    "FailOnWarnings",
    "Name",
    "PropagateTags",
    "RouteSettings",
    "Tags",
];
/// The members that an operation may have.
const OPERATION: [&str; 6] = ["security", "summary", "description", "operationId", "responses", "tags"];
const ROUTE_SETTINGS: [&str; 3] = ["ThrottlingRateLimit", "ThrottlingBurstLimit", "DetailedMetricsEnabled"];
/// The key of CORS in an `OpenAPI` document.
const CORS: &str = "x-amazon-apigateway-cors";
/// What CORS has: in a property of the API, and in its document.
const CORS_CONFIGURATION: [&str; 6] =
    ["AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders", "MaxAge", "AllowCredentials"];
const CORS_IN_DOCUMENT: [&str; 6] =
    ["allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders", "maxAge", "allowCredentials"];
/// The key of an operation that handles any method.
const ANY: &str = "x-amazon-apigateway-any-method";

/// Serves the API, if the template has one.
pub(super) async fn start(
    resolved: &Resolved,
    functions: &BTreeMap<String, Function>,
    issuer: Option<&Issuer>,
    port: u16,
    directory: &Path,
) -> Result<Option<HttpApi>> {
    let mut apis = resolved.of_kind("AWS::Serverless::HttpApi");
    let Some((id, api)) = apis.next() else {
        if let Some(event) = events::of_kind(resolved, "HttpApi").next() {
            bail!("{}: an API outside the template does not run on this machine", event.place());
        }
        return Ok(None);
    };
    if let Some((other, _)) = apis.next() {
        bail!("{other}: a second HTTP API does not run on this machine");
    }
    let definition = definition(resolved, id, api, functions, issuer, directory).with_context(|| id.to_owned())?;
    Ok(Some(http_api::start(port, definition).await.with_context(|| id.to_owned())?))
}

fn definition(
    resolved: &Resolved,
    id: &str,
    api: &Resource,
    functions: &BTreeMap<String, Function>,
    issuer: Option<&Issuer>,
    directory: &Path,
) -> Result<Definition> {
    let properties = &api.properties;
    only(properties, &API)?;
    let security = Security::new(&properties["DefinitionBody"], issuer)?;
    let mut routes = Vec::new();
    for event in events::of_kind(resolved, "HttpApi") {
        let function = functions.get(event.function).context("the function is not running")?;
        let route = route(&event, api, function, &security).with_context(|| event.place())?;
        routes.push(route);
    }
    security.check(&routes)?;
    let access_log = match properties["AccessLogSettings"]["Format"].as_str() {
        None => None,
        Some(format) => {
            Some(AccessLog::open(&directory.join(super::directory::LOGS).join(format!("{id}-access.log")), format)?)
        }
    };
    let cors = match &properties["DefinitionBody"][CORS] {
        Value::Null => cors(&properties["CorsConfiguration"], CORS_CONFIGURATION)?,
        in_document => cors(in_document, CORS_IN_DOCUMENT)?,
    };
    Ok(Definition { id: api.physical_id.clone(), routes, cors, access_log })
}

fn route(event: &FunctionEvent<'_>, api: &Resource, function: &Function, security: &Security) -> Result<Route> {
    event.only(&["ApiId", "Method", "Path", "PayloadFormatVersion", "TimeoutInMillis"])?;
    ensure!(event.text("ApiId")? == api.physical_id, "ApiId is not an HTTP API of the template");
    let version = event.properties["PayloadFormatVersion"].as_str().unwrap_or("2.0");
    ensure!(version == "2.0", "payload format {version} does not run on this machine, only 2.0");
    let key = RouteKey::parse(&format!("{} {}", event.text("Method")?, event.text("Path")?))?;
    let settings = &api.properties["RouteSettings"][key.to_string()];
    let timeout = integer(&event.properties["TimeoutInMillis"]).map(|ms| Duration::from_millis(ms.unsigned_abs()));
    Ok(Route {
        limits: limits(settings, &api.properties["DefaultRouteSettings"])?,
        authorizer: security.authorizer(event.text("Path")?, event.text("Method")?)?,
        function: function.clone(),
        timeout: timeout.unwrap_or(INTEGRATION_TIMEOUT).min(INTEGRATION_TIMEOUT),
        key,
    })
}

/// A route's limits: its own, or the API's default.
fn limits(own: &Value, default: &Value) -> Result<Option<Limits>> {
    only(own, &ROUTE_SETTINGS)?;
    only(default, &ROUTE_SETTINGS)?;
    let number = |name: &str| [own, default].iter().find_map(|it| text(&it[name])?.parse::<f64>().ok());
    Ok(match (number("ThrottlingRateLimit"), number("ThrottlingBurstLimit")) {
        (Some(rate), Some(burst)) => Some(Limits { rate, burst }),
        (None, None) => None,
        _ => bail!("throttling needs both ThrottlingRateLimit and ThrottlingBurstLimit"),
    })
}

/// What pages of other origins may do, by the names that the template gives it.
fn cors(wanted: &Value, names: [&str; 6]) -> Result<Option<Cors>> {
    if wanted.is_null() || wanted == false {
        return Ok(None);
    }
    only(wanted, &names)?;
    ensure!(wanted.is_object(), "the configuration of CORS must be a map of what it allows");
    let [origins, methods, headers, exposed, max_age, credentials] = names.map(|name| &wanted[name]);
    Ok(Some(Cors {
        origins: texts(origins),
        methods: texts(methods),
        headers: texts(headers),
        exposed: texts(exposed),
        max_age_seconds: integer(max_age),
        credentials: flag(credentials),
    }))
}

/// Who may call which operation, as an `OpenAPI` document says it.
struct Security<'a> {
    document: &'a Value,
    issuer: Option<&'a Issuer>,
}

impl<'a> Security<'a> {
    fn new(document: &'a Value, issuer: Option<&'a Issuer>) -> Result<Self> {
        only(document, &["openapi", "info", "paths", "components", "security", "tags", CORS])
            .context("DefinitionBody")?;
        for (path, operations) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                only(operation, &OPERATION).with_context(|| format!("DefinitionBody, {method} {path}"))?;
            }
        }
        Ok(Self { document, issuer })
    }

    /// Refuses a document with an operation that no function serves.
    fn check(&self, routes: &[Route]) -> Result<()> {
        for (path, operations) in self.document["paths"].as_object().into_iter().flatten() {
            for method in operations.as_object().into_iter().flatten().map(|(method, _)| method) {
                let method = if method == ANY { "any" } else { method };
                let key = RouteKey::parse(&format!("{method} {path}"))?;
                ensure!(routes.iter().any(|route| route.key == key), "no function serves {key}");
            }
        }
        Ok(())
    }

    /// The authorizer of an operation; `None` if anyone may call it.
    fn authorizer(&self, path: &str, method: &str) -> Result<Option<Authorizer>> {
        let method = method.to_ascii_lowercase();
        let operation = &self.document["paths"][path][if method == "any" { ANY } else { method.as_str() }];
        let required = [&operation["security"], &self.document["security"]].into_iter().find(|it| !it.is_null());
        let mut schemes =
            required.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).flatten();
        let Some((name, scopes)) = schemes.next() else { return Ok(None) };
        ensure!(schemes.next().is_none(), "more than one security scheme does not run on this machine");
        let scheme = &self.document["components"]["securitySchemes"][name];
        if scheme["x-amazon-apigateway-authtype"] == "awsSigv4" {
            bail!("IAM signatures are not checked on this machine: leave JwtIssuer and JwtAudience out");
        }
        let authorizer = &scheme["x-amazon-apigateway-authorizer"];
        ensure!(
            authorizer["type"] == "jwt",
            "the security scheme {name} does not run on this machine, only JWT authorizers"
        );
        let source = authorizer["identitySource"].as_str().unwrap_or_default();
        let expected = "$request.header.Authorization";
        ensure!(source == expected, "the identity source {source:?} does not run on this machine, only {expected}");
        let configuration = &authorizer["jwtConfiguration"];
        let url = configuration["issuer"].as_str().context("jwtConfiguration.issuer is missing")?;
        let issuer = self.issuer.filter(|issuer| issuer.server().endpoint() == url);
        let issuer = issuer.with_context(|| format!("the issuer {url} is not on this machine: leave JwtIssuer out"))?;
        Ok(Some(Authorizer {
            key: Arc::clone(issuer.key()),
            issuer: url.to_owned(),
            audience: texts(&configuration["audience"]),
            scopes: texts(scopes),
        }))
    }
}

/// A string or number as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(text).collect()
}
