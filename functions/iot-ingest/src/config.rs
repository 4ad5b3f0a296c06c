//! The function's settings.

use myaku::platform::env::{Env, EnvError};

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `INGEST_STREAM`: the stream for messages.
    pub ingest_stream: String,
    /// `DEAD_LETTER_BUCKET`: the bucket of dead letters.
    pub dead_letter_bucket: String,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        Ok(Self {
            ingest_stream: env.required("INGEST_STREAM", "the name of the stream of messages")?,
            dead_letter_bucket: env.required("DEAD_LETTER_BUCKET", "the name of the bucket of dead letters")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_variable_that_is_missing() {
        let set = |names: &'static [&'static str]| {
            let lookup = move |name: &str| names.contains(&name).then(|| name.to_lowercase());
            Config::from_env(&Env::new(lookup))
        };
        assert_eq!(set(&["INGEST_STREAM", "DEAD_LETTER_BUCKET"]).unwrap().ingest_stream, "ingest_stream");
        let error = set(&["INGEST_STREAM"]).unwrap_err().to_string();
        assert!(error.contains("DEAD_LETTER_BUCKET is not set"), "{error}");
    }
}
