use super::*;
use serde_json::json;

mod loops;
mod ways_in;

fn names() -> Names {
    Names::new("myaku", "abc123")
}

fn resolve(text: &str, given: &[(&str, &str)]) -> Result<Resolved, TemplateError> {
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Template::parse(text)?.resolve(&given, &names())
}

const SMALL: &str = r#"
Parameters:
  Shards: { Type: Number, Default: 2, MinValue: 1, MaxValue: 10 }
  Url: { Type: String, Default: "" }
  Mode: { Type: String, Default: plain, AllowedValues: [plain, loud] }
  Subnets: { Type: CommaDelimitedList, Default: "" }
Mappings:
  Retention: { "24": { Seconds: 82800 } }
Conditions:
  HasUrl: !Not [!Equals [!Ref Url, ""]]
  Loud: !Or [!Equals [!Ref Mode, loud], !Condition HasUrl]
  InVpc: !Not [!Equals [!Join ["", !Ref Subnets], ""]]
Globals:
  Function: { Timeout: 60, Environment: { Variables: { COMMON: x } } }
Resources:
  Stream: { Type: "AWS::Kinesis::Stream", Properties: { ShardCount: !Ref Shards } }
  Bucket: { Type: "AWS::S3::Bucket" }
  Only: { Type: "AWS::SNS::Topic", Condition: Loud }
  Worker:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: worker } }
    Properties:
      Timeout: 5
      VpcConfig: !If [InVpc, { SubnetIds: !Ref Subnets }, !Ref "AWS::NoValue"]
      Environment:
        Variables:
          URL: !If [HasUrl, !Ref Url, none]
          BUCKET: !Ref Bucket
          ARN: !GetAtt Stream.Arn
          TEXT: !Sub "${AWS::Region}/${Bucket.Arn}/${!iot:Thing}/${Own}-${Shards}"
          AGE: !FindInMap [Retention, "24", Seconds]
          PART: !Select [1, !Split [",", "a,b"]]
"#;

#[test]
fn references_conditions_and_functions_resolve_to_plain_values() {
    let text = SMALL.replace(
        r#"!Sub "${AWS::Region}/${Bucket.Arn}/${!iot:Thing}/${Own}-${Shards}""#,
        r#"!Sub ["${AWS::Region}/${Bucket.Arn}/${!iot:Thing}/${Own}-${Shards}", { Own: !Ref Mode }]"#,
    );
    let resolved = resolve(&text, &[("Url", "redis://127.0.0.1")]).unwrap();
    let worker = &resolved.resources["Worker"];
    assert_eq!(
        worker.properties,
        json!({ "Timeout": 5, "Environment": { "Variables": {
            "COMMON": "x", "URL": "redis://127.0.0.1", "BUCKET": "myaku-bucket-abc123",
            "ARN": "arn:aws:kinesis:us-east-1:000000000000:stream/myaku-Stream-abc123",
            "TEXT": "us-east-1/arn:aws:s3:::myaku-bucket-abc123/${iot:Thing}/plain-2",
            "AGE": 82800, "PART": "b",
        } } })
    );
    assert_eq!(worker.metadata["BuildProperties"]["Binary"], "worker");
    assert_eq!(resolved.resources["Stream"].properties, json!({ "ShardCount": "2" }));
    assert_eq!(resolved.of_kind("AWS::SNS::Topic").count(), 1);
}

#[test]
fn a_rule_that_does_not_hold_is_an_error_in_its_own_words() {
    let text = r#"
Parameters:
  Url: { Type: String, Default: "" }
  Mode: { Type: String, Default: plain }
Rules:
  UrlIsLoud:
    Assertions:
      - Assert: !Or [!Equals [!Ref Url, ""], !Equals [!Ref Mode, loud]]
        AssertDescription: Give Url with the mode loud
Resources:
  Bucket: { Type: "AWS::S3::Bucket" }
"#;
    resolve(text, &[]).unwrap();
    resolve(text, &[("Url", "redis://a"), ("Mode", "loud")]).unwrap();
    let error = resolve(text, &[("Url", "redis://a")]).unwrap_err().to_string();
    assert!(error.contains("UrlIsLoud") && error.contains("Give Url with the mode loud"), "{error}");
}

#[test]
fn a_resource_whose_condition_does_not_hold_is_not_made() {
    let resolved = resolve(&SMALL.replace("${Own}", ""), &[]).unwrap();
    assert!(!resolved.resources.contains_key("Only"));
    assert!(resolved.resources.contains_key("Bucket"));
}

#[test]
fn a_list_parameter_resolves_to_a_list() {
    let resolved = resolve(&SMALL.replace("${Own}", ""), &[("Subnets", "a, b")]).unwrap();
    assert_eq!(resolved.resources["Worker"].properties["VpcConfig"], json!({ "SubnetIds": ["a", "b"] }));
}

#[test]
fn an_error_names_the_place_and_the_problem() {
    let error = |text: &str, given: &[(&str, &str)]| resolve(text, given).unwrap_err().to_string();
    assert_eq!(
        error(SMALL, &[]),
        "template, Resources.Worker.Properties.Environment.Variables.TEXT: \
         the template has no parameter and no resource Own"
    );
    assert_eq!(error(SMALL, &[("Shards", "11")]), "template, Parameters.Shards: 11 is outside MaxValue, which is 10");
    assert_eq!(error(SMALL, &[("Shards", "x")]), "template, Parameters.Shards: \"x\" is not a number");
    assert_eq!(
        error(SMALL, &[("Mode", "quiet")]),
        "template, Parameters.Mode: \"quiet\" is not allowed; use one of plain, loud"
    );
    assert_eq!(error(SMALL, &[("Shard", "1")]), "template, Parameters: the template has no parameter Shard");
    let import = "Resources: { A: { Type: T, Properties: { X: !ImportValue y } } }";
    assert_eq!(
        error(import, &[]),
        "template, Resources.A.Properties.X: `myaku local` does not support Fn::ImportValue with these arguments"
    );
    let attribute = "Resources: { A: { Type: T, Properties: { X: !GetAtt A.Arn } } }";
    assert_eq!(
        error(attribute, &[]),
        "template, Resources.A.Properties.X: Arn of A (T) does not exist on this machine"
    );
    assert!(error("a: [", &[]).contains("not valid YAML"));
}

#[test]
fn the_projects_own_template_resolves_with_a_redis_server_given() {
    let template = Template::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml")).unwrap();
    let given = BTreeMap::from([("RedisUrl".to_owned(), "redis://127.0.0.1:6379".to_owned())]);
    let resolved = template.resolve(&given, &names()).unwrap();
    let transform = &resolved.resources["TransformFunction"].properties["Environment"]["Variables"];
    assert_eq!(transform["REDIS_URL"], "redis://127.0.0.1:6379");
    assert_eq!(transform["READINGS_STREAM"], "myaku-ReadingsStream-abc123");
    assert!(!resolved.resources.contains_key("Cache"));
    // SAM names a mapping after its function and its event, and an alarm can refer to it.
    let alarm = &resolved.resources["TransformGaveUpAlarm"].properties;
    assert_eq!(alarm["Dimensions"][0]["Value"], "myaku-TransformFunctionIngest-abc123");
}

#[test]
fn an_empty_list_has_one_empty_item() {
    let template = "
Parameters: { Subnets: { Type: CommaDelimitedList, Default: '' } }
Resources: { A: { Type: T, Properties: { First: !Select [0, !Ref Subnets] } } }";
    let resolved = Template::parse(template).unwrap().resolve(&BTreeMap::new(), &names()).unwrap();
    assert_eq!(resolved.resources["A"].properties["First"], "");
}

#[test]
fn an_event_source_mapping_that_sam_creates_can_be_referred_to() {
    let template = "
Resources:
  Worker: { Type: AWS::Serverless::Function, Properties: { Events: { In: { Type: Kinesis } } } }
  Alarm: { Type: AWS::CloudWatch::Alarm, Properties: { Mapping: !Ref WorkerIn } }";
    let resolved = Template::parse(template).unwrap().resolve(&BTreeMap::new(), &names()).unwrap();
    let alarm = &resolved.resources["Alarm"].properties;
    assert_eq!(alarm["Mapping"], "myaku-WorkerIn-abc123");
}

#[test]
fn a_condition_that_depends_on_itself_is_reported() {
    let circle = "
Conditions: { A: !Not [!Condition B], B: !Not [!Condition A] }
Resources: { X: { Type: T, Condition: A } }";
    let error = resolve(circle, &[]).unwrap_err().to_string();
    assert!(error.ends_with("depends on itself"), "{error}");
}

/// The project's own template, with a Redis server.
fn own(parameters: &[(&str, &str)]) -> Resolved {
    let given: Vec<_> = [("RedisUrl", "redis://127.0.0.1:6379")].iter().chain(parameters).copied().collect();
    resolve(include_str!("../../../template.yaml"), &given).unwrap()
}

#[test]
fn no_deployment_undoes_the_shards_that_the_autoscaler_made() {
    let resolved = own(&[]);
    // Unchanged parameters do not change the stream: only its creation uses the count.
    let text = include_str!("../../../template.yaml");
    assert_eq!(text.matches("!Ref IngestShards").count(), 1);
    // The stack policy refuses a deployment that changes anything else about the stream.
    let policy: Value = serde_json::from_str(include_str!("../../../stack-policy.json")).unwrap();
    let denied =
        policy["Statement"].as_array().unwrap().iter().find(|statement| statement["Effect"] == "Deny").unwrap();
    assert_eq!(denied["Action"], "Update:*");
    let stream = denied["Resource"].as_str().unwrap().strip_prefix("LogicalResourceId/").unwrap();
    assert_eq!(resolved.resources[stream].kind, "AWS::Kinesis::Stream");
    let environment = &resolved.resources["ReshardAutoscalerFunction"].properties["Environment"]["Variables"];
    assert_eq!(environment["STREAM"].as_str(), Some(resolved.resources[stream].physical_id.as_str()));
    // `make deploy` sets the stack policy.
    let makefile = include_str!("../../../Makefile");
    let deploy = makefile.split("\ndeploy: ").nth(1).unwrap().split("\n\n").next().unwrap();
    assert!(deploy.contains("scripts/stack_policy.py protect"), "{deploy}");
    // The template has no alarm whose threshold follows the shards.
    let prefix = environment["ALARM_PREFIX"].as_str().unwrap();
    assert!(resolved.of_kind("AWS::CloudWatch::Alarm").all(|(_, alarm)| !alarm.physical_id.starts_with(prefix)));
}

#[test]
fn a_stream_that_sizes_itself_has_no_autoscaler() {
    for parameters in [[("IngestStreamMode", "ON_DEMAND")], [("ReshardMode", "off")]] {
        let resolved = own(&parameters);
        let left: Vec<&String> = resolved.resources.keys().filter(|id| id.starts_with("Reshard")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
