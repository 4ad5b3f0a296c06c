//! Makes names and ARNs in the form that CloudFormation gives them.

/// A stack on this machine, and the names of its resources.
#[derive(Clone, Debug)]
pub struct Names {
    /// The stack's name.
    pub stack: String,
    /// Distinguishes the resources of this stack from those of a stack of the same name that was deleted.
    pub suffix: String,
    /// The region, for ARNs.
    pub region: String,
    /// The account, for ARNs.
    pub account: String,
}

impl Names {
    /// A stack in the region and account that the embedded servers use.
    pub fn new(stack: impl Into<String>, suffix: impl Into<String>) -> Self {
        Self {
            stack: stack.into(),
            suffix: suffix.into(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        }
    }

    /// The value of a `!Ref` to a resource.
    pub fn physical_id(&self, logical_id: &str, kind: &str) -> String {
        let name = format!("{}-{logical_id}-{}", self.stack, self.suffix);
        match kind {
            // A bucket's name is a host name.
            "AWS::S3::Bucket" => name.to_lowercase(),
            // A rule's name cannot contain a hyphen.
            "AWS::IoT::TopicRule" => name.replace('-', "_"),
            "AWS::SNS::Topic" => self.arn("sns", &name),
            _ => name,
        }
    }

    /// The value of a `!GetAtt`, or `None` if the attribute does not exist on this machine.
    pub fn attribute(&self, logical_id: &str, kind: &str, attribute: &str) -> Option<String> {
        let id = self.physical_id(logical_id, kind);
        match (kind, attribute) {
            ("AWS::Kinesis::Stream", "Arn") => Some(self.arn("kinesis", &format!("stream/{id}"))),
            ("AWS::DynamoDB::Table", "Arn") => Some(self.arn("dynamodb", &format!("table/{id}"))),
            ("AWS::Serverless::Function", "Arn") => Some(self.arn("lambda", &format!("function:{id}"))),
            ("AWS::Logs::LogGroup", "Arn") => Some(self.arn("logs", &format!("log-group:{id}:*"))),
            ("AWS::IoT::TopicRule", "Arn") => Some(self.arn("iot", &format!("rule/{id}"))),
            ("AWS::S3::Bucket", "Arn") => Some(format!("arn:aws:s3:::{id}")),
            ("AWS::IAM::Role", "Arn") => Some(format!("arn:aws:iam::{}:role/{id}", self.account)),
            ("AWS::SNS::Topic", "TopicArn") => Some(id),
            ("AWS::SNS::Topic", "TopicName") => id.rsplit(':').next().map(str::to_owned),
            _ => None,
        }
    }

    /// The value of a pseudo parameter such as `AWS::Region`. `AWS::NoValue` has no value, so it is not among them.
    pub fn pseudo(&self, name: &str) -> Option<String> {
        Some(match name {
            "AWS::Region" => self.region.clone(),
            "AWS::AccountId" => self.account.clone(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            "AWS::StackName" => self.stack.clone(),
            "AWS::StackId" => self.arn("cloudformation", &format!("stack/{}/{}", self.stack, self.suffix)),
            _ => return None,
        })
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }
}
