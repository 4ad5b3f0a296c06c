//! The AWS account and region of a stack on this machine.

/// The account in every server and ARN.
pub(crate) const ACCOUNT: &str = "000000000000";
/// The region in every server and ARN.
pub(crate) const REGION: &str = "us-east-1";
