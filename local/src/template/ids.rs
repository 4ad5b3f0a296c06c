//! What CloudFormation knows only once a resource is there: names, ARNs, and whose account this is.

use std::fmt::Write as _;

/// The values of the pseudo parameters, `AWS::…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pseudo {
    /// `AWS::AccountId`, 12 digits.
    pub account: String,
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::StackName`.
    pub stack: String,
}

/// Names and attributes of resources.
pub trait Ids {
    /// The pseudo parameters.
    fn pseudo(&self) -> &Pseudo;
    /// The physical name of a resource.
    fn name(&self, logical_id: &str, kind: &str) -> String;
    /// What `Ref` gives.
    fn reference(&self, logical_id: &str, kind: &str) -> String;
    /// What `GetAtt` gives; `None` if the resource has no such attribute here.
    fn attribute(&self, logical_id: &str, kind: &str, attribute: &str) -> Option<String>;
}

/// Unique names in CloudFormation's manner: `<stack>-<logical id>-<suffix>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalIds {
    pseudo: Pseudo,
    suffix: String,
}

impl PhysicalIds {
    /// Names that end with `suffix`, which should be new for every stack.
    pub fn new(pseudo: Pseudo, suffix: impl Into<String>) -> Self {
        Self { pseudo, suffix: suffix.into() }
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        let Pseudo { account, region, .. } = &self.pseudo;
        format!("arn:aws:{service}:{region}:{account}:{resource}")
    }
}

impl Ids for PhysicalIds {
    fn pseudo(&self) -> &Pseudo {
        &self.pseudo
    }

    fn name(&self, logical_id: &str, kind: &str) -> String {
        let Pseudo { stack, .. } = &self.pseudo;
        match kind {
            // Bucket names are lower case and have 63 characters at most.
            "AWS::S3::Bucket" => {
                let mut name = format!("{stack}-{logical_id}").to_lowercase();
                name.truncate(62_usize.saturating_sub(self.suffix.len()));
                // Writing to a string cannot fail.
                let _ = write!(name, "-{}", self.suffix.to_lowercase());
                name
            }
            // Rule names have letters, digits and underscores only.
            "AWS::IoT::TopicRule" => format!("{stack}_{logical_id}_{}", self.suffix).replace('-', "_"),
            _ => format!("{stack}-{logical_id}-{}", self.suffix),
        }
    }

    fn reference(&self, logical_id: &str, kind: &str) -> String {
        let name = self.name(logical_id, kind);
        match kind {
            "AWS::SNS::Topic" => self.arn("sns", &name),
            "AWS::Kinesis::StreamConsumer" => {
                self.arn("kinesis", &format!("stream/{}/consumer/{name}", self.pseudo.stack))
            }
            _ => name,
        }
    }

    fn attribute(&self, logical_id: &str, kind: &str, attribute: &str) -> Option<String> {
        let name = self.name(logical_id, kind);
        let arn = |service: &str, resource: &str| Some(self.arn(service, &format!("{resource}{name}")));
        match (kind, attribute) {
            ("AWS::Kinesis::Stream", "Arn") => arn("kinesis", "stream/"),
            ("AWS::DynamoDB::Table", "Arn") => arn("dynamodb", "table/"),
            ("AWS::Serverless::Function" | "AWS::Lambda::Function", "Arn") => arn("lambda", "function:"),
            ("AWS::IoT::TopicRule", "Arn") => arn("iot", "rule/"),
            ("AWS::IoT::Policy", "Arn") => arn("iot", "policy/"),
            ("AWS::Logs::LogGroup", "Arn") => Some(format!("{}:*", self.arn("logs", &format!("log-group:{name}")))),
            ("AWS::S3::Bucket", "Arn") => Some(format!("arn:aws:s3:::{name}")),
            ("AWS::IAM::Role", "Arn") => Some(format!("arn:aws:iam::{}:role/{name}", self.pseudo.account)),
            ("AWS::SNS::Topic", "TopicArn") => arn("sns", ""),
            ("AWS::SNS::Topic", "TopicName") => Some(name),
            _ => None,
        }
    }
}
