//! `Fn::ForEach`, beside what CloudFormation makes of it.

use super::*;

const LOOPS: &str = r#"
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters:
  Shards: { Type: CommaDelimitedList, Default: "1, 2" }
  Mode: { Type: String, Default: loud }
Mappings:
  Names:
    Archiver: { Name: archiver, Of: ArchiverStream }
    MovingAverage: { Name: moving-average, Of: MovingAverageStream }
Conditions:
  Fn::ForEach::Conditions: [Mode, [loud, quiet], { "Is${Mode}": !Equals [!Ref Mode, loud] }]
Resources:
  Fn::ForEach::Streams:
    - Function
    - [Archiver, MovingAverage]
    - ${Function}Stream: { Type: AWS::Kinesis::Stream, Properties: { Name: !Ref Function } }
      Fn::ForEach::Alarms:
        - Problem
        - [Error, Throttle]
        - ${Function}${Problem}Alarm:
            Type: AWS::CloudWatch::Alarm
            Properties:
              Text: !Sub ["${Name} at ${Function}, ${AWS::Region}", { Name: !FindInMap [Names, !Ref Function, Name] }]
              Metric: !Sub "${Problem}s"
              Stream: !Ref { "Fn::Sub": "${Function}Stream" }
              Same: !Ref { "Fn::FindInMap": [Names, !Ref Function, Of] }
              Arn: !GetAtt [!Sub "${Function}Stream", Arn]
              Key: "${timestamp()}"
  Fn::ForEach::Hosts:
    - Host
    - [10.0.0.1, 10.0.0.2]
    - Host&{Host}: { Type: AWS::S3::Bucket, Properties: { At: !Ref Host } }
  Counts:
    Type: AWS::S3::Bucket
    Condition: Isloud
    Properties:
      Fn::ForEach::Counts: [Shard, !Ref Shards, { "Shard_${Shard}": !Sub "is ${Shard}" }]
  Quiet: { Type: AWS::S3::Bucket, Condition: Isquiet }
"#;

#[test]
fn a_loop_makes_its_fragment_for_each_item() {
    let resolved = resolve(LOOPS, &[]).unwrap();
    let made: Vec<&str> = resolved.resources.keys().map(String::as_str).collect();
    assert_eq!(
        made,
        [
            "ArchiverErrorAlarm",
            "ArchiverStream",
            "ArchiverThrottleAlarm",
            "Counts",
            "Host10001",
            "Host10002",
            "MovingAverageErrorAlarm",
            "MovingAverageStream",
            "MovingAverageThrottleAlarm",
        ]
    );
    assert_eq!(resolved.resources["MovingAverageStream"].properties, json!({ "Name": "MovingAverage" }));
    assert_eq!(
        resolved.resources["MovingAverageThrottleAlarm"].properties,
        json!({
            "Text": "moving-average at MovingAverage, us-east-1",
            "Metric": "Throttles",
            "Stream": "myaku-MovingAverageStream-abc123",
            "Same": "myaku-MovingAverageStream-abc123",
            "Arn": "arn:aws:kinesis:us-east-1:000000000000:stream/myaku-MovingAverageStream-abc123",
            "Key": "${timestamp()}",
        })
    );
    assert_eq!(resolved.resources["Host10002"].properties, json!({ "At": "10.0.0.2" }));
    assert_eq!(resolved.resources["Counts"].properties, json!({ "Shard_1": "is 1", "Shard_2": "is 2" }));
}

#[test]
fn a_collection_can_be_a_list_parameter() {
    let properties = |shards| resolve(LOOPS, &[("Shards", shards)]).unwrap().resources["Counts"].properties.clone();
    assert_eq!(properties("7"), json!({ "Shard_7": "is 7" }));
    assert_eq!(properties(""), json!({}));
}

#[test]
fn a_mistake_in_a_loop_is_named_with_its_place() {
    let error = |rest: &str| {
        let text = format!("Transform: AWS::LanguageExtensions\n{rest}");
        resolve(&text, &[]).unwrap_err().to_string()
    };
    for (rest, expected) in [
        (
            "Resources: { Fn::ForEach::A: [X, { 'A${X}': { Type: T } }] }",
            "Resources.Fn::ForEach::A: a loop takes a list of an identifier, a collection and a map",
        ),
        (
            "Resources: { Fn::ForEach::A: [X, [a, 1], { 'A${X}': { Type: T } }] }",
            "Resources.Fn::ForEach::A: the collection of a loop is a list of texts, or a Ref to a list parameter",
        ),
        (
            "Parameters: { P: { Type: String, Default: a } }
Resources: { Fn::ForEach::A: [X, !Ref P, { 'A${X}': { Type: T } }] }",
            "Resources.Fn::ForEach::A: P is not a list parameter",
        ),
        (
            "Resources: { Fn::ForEach::A: [X, [a, b], { A: { Type: T } }] }",
            "Resources.Fn::ForEach::A: A is made twice; each key of a loop must contain its identifier",
        ),
        (
            "Resources: { Aa: { Type: T }, Fn::ForEach::A: [X, [a], { 'A${X}': { Type: T } }] }",
            "Resources.Fn::ForEach::A: Aa is made twice; each key of a loop must contain its identifier",
        ),
        (
            "Resources: { Fn::ForEach::A: [X, [a], { 'A${Y}': { Type: T } }] }",
            "Resources.Fn::ForEach::A: the key A${Y} names an identifier that no loop around it has",
        ),
        (
            "Resources: { Fn::ForEach::A: [X, [a], { 'A${X}': { Type: T, Properties: { Text: 'is ${X}' } } }] }",
            "Resources.Fn::ForEach::A.Aa.Properties.Text: \
             CloudFormation does not replace X in a plain text; use Fn::Sub",
        ),
        (
            "Resources: { Fn::ForEach::A: [X, [a], { 'A${X}': { Type: T, Properties: { '${X}': 1 } } }] }",
            "Resources.Fn::ForEach::A.Aa.Properties.${X}: \
             CloudFormation does not replace X in a plain text; use Fn::Sub",
        ),
        (
            "Resources: { Fn::ForEach::A: [X, [a], { Fn::ForEach::B: [X, [b], { 'A${X}': { Type: T } }] }] }",
            "Resources.Fn::ForEach::A.Fn::ForEach::B: a loop around this one has the identifier X too; choose another",
        ),
        (
            "Globals: { Function: { Fn::ForEach::A: [X, [a], { 'A${X}': 1 }] } }",
            "Globals.Function.Fn::ForEach::A: CloudFormation allows loops only in Conditions, Resources, Outputs; \
             move this one",
        ),
    ] {
        assert_eq!(error(rest), format!("template, {expected}"));
    }
    let deep = "'${A}${B}${C}${D}${E}${F}': { Type: T }".to_owned();
    let deep = "FEDCBA".chars().fold(deep, |inner, name| format!("Fn::ForEach::{name}: [{name}, [a], {{ {inner} }}]"));
    let error = error(&format!("Resources: {{ {deep} }}"));
    assert!(error.ends_with("CloudFormation allows at most 5 loops inside each other"), "{error}");
}

#[test]
fn a_loop_needs_the_transform() {
    let error = resolve("Resources: { Fn::ForEach::A: [X, [a], { 'A${X}': { Type: T } }] }", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "template, Resources.Fn::ForEach::A: a loop needs AWS::LanguageExtensions in the template's Transform"
    );
}
