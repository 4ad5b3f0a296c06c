//! The AWS account and the region that a stack on this machine belongs to.

/// The account that every server and ARN pretends to belong to.
pub(crate) const ACCOUNT: &str = "000000000000";
/// The region that every server and ARN pretends to be in.
pub(crate) const REGION: &str = "us-east-1";
