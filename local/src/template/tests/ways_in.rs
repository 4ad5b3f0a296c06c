//! Checks promise 7 on the template that is deployed: every way in refuses callers without permission.

use super::*;

fn deployed(given: &[(&str, &str)]) -> Resolved {
    try_deployed(given).unwrap()
}

fn try_deployed(given: &[(&str, &str)]) -> Result<Resolved, TemplateError> {
    let template = Template::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml")).unwrap();
    let redis = ("RedisUrl", "redis://127.0.0.1:6379");
    let given = given.iter().chain([&redis]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    template.resolve(&given, &names())
}

/// The security schemes that the definition of the HTTP API names, for each route.
fn security(given: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    let resolved = deployed(given);
    let definition = &resolved.resources["HttpApi"].properties["DefinitionBody"];
    let schemes = definition["components"]["securitySchemes"].as_object().unwrap();
    let events = resolved.resources["HttpIngestFunction"].properties["Events"].as_object().unwrap();
    let routes = events.values().map(|event| {
        let route = &event["Properties"];
        let (method, path) = (route["Method"].as_str().unwrap(), route["Path"].as_str().unwrap());
        let security = &definition["paths"][path][method.to_lowercase()]["security"];
        let named: Vec<String> =
            security.as_array().unwrap().iter().flat_map(|one| one.as_object().unwrap().keys().cloned()).collect();
        assert!(named.iter().all(|name| schemes.contains_key(name)), "{named:?} of {schemes:?}");
        (format!("{method} {path}"), named)
    });
    routes.collect()
}

#[test]
fn every_route_is_closed_and_by_iam_unless_issuer_and_audience_are_named() {
    let (issuer, audience) = (("JwtIssuer", "https://issuer.example"), ("JwtAudience", "myaku"));
    for (given, scheme) in [(vec![], "AWS_IAM"), (vec![issuer, audience], "jwt")] {
        let security = security(&given);
        assert_eq!(security.keys().collect::<Vec<_>>(), ["GET /openapi.json", "POST /v1/messages"]);
        assert!(security.values().all(|named| named == &[scheme]), "{given:?}: {security:?}");
    }
}

#[test]
fn half_of_what_belongs_together_is_refused() {
    let pairs = [
        [("JwtIssuer", "https://issuer.example"), ("JwtAudience", "myaku")],
        [("SubnetIds", "subnet-1"), ("SecurityGroupIds", "sg-1")],
    ];
    for pair in pairs {
        for half in pair {
            let error = try_deployed(&[half]).unwrap_err().to_string();
            assert!(pair.iter().all(|(name, _)| error.contains(name)), "{error}");
        }
    }
}

#[test]
fn the_function_for_gateways_is_invoked_by_its_rule_in_this_account_alone() {
    let resolved = deployed(&[]);
    let permission = &resolved.resources["IotIngestPermission"].properties;
    assert_eq!(permission["SourceArn"], resolved.arn("IngestGatewayRule").unwrap());
    assert_eq!(permission["SourceAccount"], names().account);
    assert_eq!(permission["FunctionName"], resolved.resources["IotIngestFunction"].physical_id);
}

#[test]
fn pending_commands_are_off_unless_they_are_asked_for() {
    let table = |given| {
        deployed(given).resources["HttpIngestFunction"].properties["Environment"]["Variables"]["COMMANDS_TABLE"].clone()
    };
    assert_eq!(table(&[]), "");
    assert!(!deployed(&[]).resources.contains_key("CommandsTable"));
    assert_eq!(table(&[("PendingCommands", "true")]), "myaku-CommandsTable-abc123");
}
