use super::*;
use serde_json::json;

fn ids() -> PhysicalIds {
    let pseudo = Pseudo { account: "000000000000".into(), region: "us-east-1".into(), stack: "myaku".into() };
    PhysicalIds::new(pseudo, "AB12")
}

fn resolve(text: &str, parameters: &[(&str, &str)]) -> Result<Resolved, TemplateError> {
    let parameters = parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Template::parse(text)?.resolve(&parameters, &ids())
}

/// The resolved properties of a resource `X` with these properties, written as YAML.
fn properties(yaml: &str) -> Result<Value, TemplateError> {
    let properties = yaml.replace('\n', "\n      ");
    let text = format!(
        "
Parameters:
  Count: {{ Type: Number, Default: 2, MinValue: 1, MaxValue: 10 }}
  Mode: {{ Type: String, Default: fast, AllowedValues: [fast, slow] }}
  Subnets: {{ Type: CommaDelimitedList, Default: '' }}
Mappings:
  Retention:
    '24': {{ Seconds: 82800 }}
Conditions:
  IsFast: !Equals [!Ref Mode, fast]
  IsSlow: !Not [!Condition IsFast]
  Either: !Or [!Condition IsFast, !Equals [a, b]]
  Both: !And [!Condition IsFast, {{ 'Fn::Equals': [a, b] }}]
  InVpc: !Not [!Equals [!Select [0, !Ref Subnets], '']]
  Circle: !Not [!Condition Circle]
Resources:
  S: {{ Type: AWS::Kinesis::Stream }}
  B: {{ Type: AWS::S3::Bucket }}
  Slow: {{ Type: AWS::Kinesis::Stream, Condition: IsSlow }}
  X:
    Type: T
    Properties:
      {properties}
"
    );
    Ok(resolve(&text, &[])?.resources.remove("X").unwrap().properties)
}

#[test]
fn functions_have_a_short_and_a_long_form() {
    let short = properties(
        "
A: !Ref S
B: !GetAtt S.Arn
C: !Sub '${B}-${S.Arn}-${AWS::Region}-${!literal}'
D: !Join ['-', [a, !Ref Count, c]]
E: !Select [1, !Split [',', 'x,y']]
F: !FindInMap [Retention, '24', Seconds]
G: !If [IsFast, yes, no]",
    );
    let long = properties(
        "
A: { Ref: S }
B: { 'Fn::GetAtt': [S, Arn] }
C: { 'Fn::Sub': ['${Bucket}-${S.Arn}-${AWS::Region}-${!literal}', { Bucket: !Ref B }] }
D: { 'Fn::Join': ['-', [a, { Ref: Count }, c]] }
E: { 'Fn::Select': [1, { 'Fn::Split': [',', 'x,y'] }] }
F: { 'Fn::FindInMap': [Retention, 24, Seconds] }
G: { 'Fn::If': [IsFast, yes, no] }",
    );
    assert_eq!(
        short,
        Ok(json!({
            "A": "myaku-S-AB12",
            "B": "arn:aws:kinesis:us-east-1:000000000000:stream/myaku-S-AB12",
            "C": "myaku-b-ab12-arn:aws:kinesis:us-east-1:000000000000:stream/myaku-S-AB12-us-east-1-${literal}",
            "D": "a-2-c",
            "E": "y",
            "F": 82800,
            "G": "yes",
        }))
    );
    assert_eq!(short, long);
}

#[test]
fn conditions_combine() {
    let found =
        properties("{ A: !If [Either, 1, 2], B: !If [Both, 1, 2], C: !If [IsSlow, 1, 2], D: !If [InVpc, 1, 2] }");
    assert_eq!(found, Ok(json!({ "A": 1, "B": 2, "C": 2, "D": 2 })));
}

#[test]
fn no_value_takes_a_key_or_an_item_out() {
    let found = properties("{ A: !Ref AWS::NoValue, B: [1, !If [IsSlow, 2, !Ref 'AWS::NoValue'], 3] }");
    assert_eq!(found, Ok(json!({ "B": [1, 3] })));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let message = |yaml: &str| properties(yaml).unwrap_err().to_string();
    let shown = [
        "A: !Ref Nothing",
        "A: { B: [0, !GetAtt S.Colour] }",
        "A: !ImportValue other",
        "A: !Cidr [a, b, c]",
        "A: !Ref Slow",
        "A: !Sub '${S.Arn'",
        "A: !FindInMap [Retention, '48', Seconds]",
        "A: !Select [3, [a]]",
        "A: !If [Nowhere, 1, 2]",
        "A: !If [Circle, 1, 2]",
        "A: !Equals [a, b]",
    ]
    .map(message)
    .join("\n");
    insta::assert_snapshot!(shown, @"
    Resources.X.Properties.A.Ref: there is no Nothing
    Resources.X.Properties.A.B[1].Fn::GetAtt: the attribute Colour of AWS::Kinesis::Stream is not known here
    Resources.X.Properties.A.Fn::ImportValue: needs another stack, and there is only this one
    Resources.X.Properties.A.Fn::Cidr: is a function that is not known here
    Resources.X.Properties.A.Ref: Slow is left out by its condition
    Resources.X.Properties.A.Fn::Sub: has a ${ without its }
    Resources.X.Properties.A.Fn::FindInMap: finds no Retention.48.Seconds
    Resources.X.Properties.A.Fn::Select: has an index outside of its list
    Resources.X.Properties.A.Fn::If: there is no condition Nowhere
    Conditions.Circle: the condition Circle refers to itself
    Resources.X.Properties.A.Fn::Equals: belongs into Conditions
    ");
}

#[test]
fn a_parameter_must_be_what_its_declaration_allows() {
    let text = "
Parameters:
  Count: { Type: Number, Default: 2, MinValue: 1, MaxValue: 10 }
  Mode: { Type: String, AllowedValues: [fast, slow] }
Resources:
  X: { Type: T, Properties: { A: !Ref Count, B: !Ref Mode } }
";
    let with = |parameters: &[(&str, &str)]| match resolve(text, parameters) {
        Ok(resolved) => resolved.resources["X"].properties.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(with(&[("Mode", "slow"), ("Count", "3")]), r#"{"A":"3","B":"slow"}"#);
    assert_eq!(with(&[("Mode", "odd")]), r#"Parameters.Mode: "odd" is none of fast, slow"#);
    assert_eq!(with(&[]), "Parameters.Mode: has no default and was given no value");
    assert_eq!(with(&[("Mode", "slow"), ("Count", "x")]), r#"Parameters.Count: "x" is no number"#);
    assert_eq!(with(&[("Mode", "slow"), ("Count", "11")]), "Parameters.Count: 11 is above MaxValue");
    assert_eq!(with(&[("Mode", "slow"), ("Typo", "1")]), "Parameters.Typo: is not declared by the template");
}

#[test]
fn resources_and_outputs_without_their_condition_are_left_out() {
    let text = "
Conditions: { Never: !Equals [a, b] }
Resources:
  X: { Type: T }
  Y: { Type: T, Condition: Never, Properties: { A: !GetAtt Y.Nonsense } }
Outputs:
  One: { Value: !Ref X }
  Two: { Condition: Never, Value: !Ref Y }
";
    let resolved = resolve(text, &[]).unwrap();
    assert_eq!(resolved.resources.keys().collect::<Vec<_>>(), ["X"]);
    assert_eq!(resolved.outputs, BTreeMap::from([("One".into(), json!("myaku-X-AB12"))]));
}

#[test]
fn globals_are_merged_into_each_function() {
    let text = "
Globals:
  Function:
    Timeout: 60
    MemorySize: 512
    Architectures: [arm64]
    Environment: { Variables: { A: global, B: global } }
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 5
      Environment: { Variables: { B: own } }
      Events: { Ingest: { Type: Kinesis } }
  Alarm: { Type: T, Properties: { Mapping: !Ref FIngest, Role: !Ref FRole } }
";
    let resolved = resolve(text, &[]).unwrap();
    let properties = &resolved.resources["F"].properties;
    assert_eq!(properties["Timeout"], 5);
    assert_eq!(properties["MemorySize"], 512);
    assert_eq!(properties["Environment"]["Variables"], json!({ "A": "global", "B": "own" }));
    // What SAM makes beside the function can be referred to.
    assert_eq!(resolved.resources["Alarm"].properties["Mapping"], "myaku-FIngest-AB12");
}

#[test]
fn the_template_of_this_repository_resolves() {
    let path = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = Template::load(&path).unwrap();
    let parameters = BTreeMap::from([("RedisUrl".into(), "redis://127.0.0.1:6379".into())]);
    let resolved = template.resolve(&parameters, &ids()).unwrap();
    let function = &resolved.resources["TransformFunction"].properties;
    assert_eq!(function["Environment"]["Variables"]["REDIS_URL"], "redis://127.0.0.1:6379");
    assert_eq!(function["Environment"]["Variables"]["READINGS_STREAM"], "myaku-ReadingsStream-AB12");
    assert!(!resolved.resources.contains_key("Cache"), "a cache is made only where none is given");
}
