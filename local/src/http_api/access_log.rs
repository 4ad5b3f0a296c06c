//! The access log: a file with a line for each request, in the template's format.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html>

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The prefix of every variable.
const VARIABLE: &str = "$context.";

/// An access log.
#[derive(Debug)]
pub struct AccessLog {
    format: String,
    file: Mutex<File>,
}

/// A request's values by variable, without `$context.`.
pub(super) type Context = BTreeMap<String, String>;

impl AccessLog {
    /// Opens a log. New lines are appended to an existing file.
    pub fn open(path: &Path, format: &str) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { format: format.to_owned(), file: Mutex::new(file) })
    }

    /// Writes a request's line.
    pub(super) fn write(&self, context: &Context) {
        let line = format!("{}\n", fill(&self.format, context));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::error!(%error, "cannot write the access log");
        }
    }
}

/// Fills in the variables of a format; `-` for one without a value.
fn fill(format: &str, context: &Context) -> String {
    let mut line = String::with_capacity(format.len());
    let mut rest = format;
    while let Some((before, after)) = rest.split_once(VARIABLE) {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)).unwrap_or(after.len());
        let name = after[..end].trim_end_matches(['.', '-']);
        line.push_str(before);
        line.push_str(context.get(name).map_or("-", String::as_str));
        rest = &after[name.len()..];
    }
    line.push_str(rest);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_with_a_dash_for_a_missing_value() {
        let context = [("requestId", "id"), ("identity.sourceIp", "127.0.0.1"), ("status", "202")];
        let context = context.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let format = r#"{"id":"$context.requestId","ip":"$context.identity.sourceIp","e":"$context.error.message"} $context.status. $stage"#;
        assert_eq!(fill(format, &context), r#"{"id":"id","ip":"127.0.0.1","e":"-"} 202. $stage"#);
    }
}
