//! A line for each request, as the template's format has it, in a file.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html>

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What every variable begins with.
const VARIABLE: &str = "$context.";

/// An access log.
#[derive(Debug)]
pub struct AccessLog {
    format: String,
    file: Mutex<File>,
}

/// What is known of a request: values by variable, without `$context.`.
pub(super) type Context = BTreeMap<String, String>;

impl AccessLog {
    /// Opens a log to append to.
    pub fn open(path: &Path, format: &str) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { format: format.to_owned(), file: Mutex::new(file) })
    }

    /// Notes a request.
    pub(super) fn note(&self, context: &Context) {
        let line = format!("{}\n", filled(&self.format, context));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::error!(%error, "the access log cannot be written");
        }
    }
}

/// A format with its variables filled in: `-` for one that has no value.
fn filled(format: &str, context: &Context) -> String {
    let mut line = String::with_capacity(format.len());
    let mut rest = format;
    while let Some((before, behind)) = rest.split_once(VARIABLE) {
        let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)).unwrap_or(behind.len());
        let name = behind[..end].trim_end_matches(['.', '-']);
        line.push_str(before);
        line.push_str(context.get(name).map_or("-", String::as_str));
        rest = &behind[name.len()..];
    }
    line.push_str(rest);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_those_without_a_value_are_a_dash() {
        let context = [("requestId", "id"), ("identity.sourceIp", "127.0.0.1"), ("status", "202")];
        let context = context.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let format = r#"{"id":"$context.requestId","ip":"$context.identity.sourceIp","e":"$context.error.message"} $context.status. $stage"#;
        assert_eq!(filled(format, &context), r#"{"id":"id","ip":"127.0.0.1","e":"-"} 202. $stage"#);
    }
}
