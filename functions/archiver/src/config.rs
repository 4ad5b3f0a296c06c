//! The function's settings.

use myaku::lake::archive::{Compression, Format};
use myaku::lake::dead_letter::GuardSettings;
use myaku::platform::env::{Env, EnvError};

/// The settings, read once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `LAKE_BUCKET`: the bucket of the lake.
    pub lake_bucket: String,
    /// `HEADS_TABLE`: the table of heads.
    pub heads_table: String,
    /// `NOTES_TABLE` and `DEAD_LETTER_BUCKET`: what sets a record aside that ends its invocations.
    pub guard: GuardSettings,
    /// `COMPRESSION` and `COMPRESSION_LEVEL`: the compression of streams that are new to the lake.
    pub compression: Compression,
}

impl Config {
    /// Reads the settings; the error names the variable.
    pub fn from_env<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Self, EnvError> {
        let format = env.parsed_or("COMPRESSION", Format::default())?;
        let level = env.optional("COMPRESSION_LEVEL").map(|_| env.parsed_or("COMPRESSION_LEVEL", 0)).transpose()?;
        let compression = Compression::new(format, level).map_err(|error| EnvError::Invalid {
            name: "COMPRESSION_LEVEL",
            value: level.unwrap_or_default().to_string(),
            problem: error.to_string(),
        })?;
        Ok(Self {
            lake_bucket: env.required("LAKE_BUCKET", "the name of the lake's bucket")?,
            heads_table: env.required("HEADS_TABLE", "the name of the table of heads")?,
            guard: GuardSettings::from_env(env)?,
            compression,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::platform::env;

    fn config(extra: &[(&str, &str)]) -> Result<Config, String> {
        let set = [
            ("LAKE_BUCKET", "lake"),
            ("HEADS_TABLE", "heads"),
            ("NOTES_TABLE", "notes"),
            ("DEAD_LETTER_BUCKET", "dead"),
        ];
        Config::from_env(&env::of(extra, &set)).map_err(|error| error.to_string())
    }

    #[test]
    fn zstd_is_the_default_and_each_format_has_its_own_default_level() {
        assert_eq!(config(&[]).unwrap().compression, Compression::new(Format::Zstd, Some(3)).unwrap());
        let gzip = config(&[("COMPRESSION", "gzip"), ("COMPRESSION_LEVEL", "")]).unwrap();
        assert_eq!(gzip.compression, Compression::new(Format::Gzip, Some(6)).unwrap());
        let level = config(&[("COMPRESSION", "zstd"), ("COMPRESSION_LEVEL", "19")]).unwrap();
        assert_eq!(level.compression, Compression::new(Format::Zstd, Some(19)).unwrap());
    }

    #[test]
    fn an_error_names_the_variable_and_what_is_wrong_with_it() {
        for (extra, message) in [
            (
                ("LAKE_BUCKET", ""),
                "environment variable LAKE_BUCKET is not set: set it to the name of the lake's bucket",
            ),
            (
                ("HEADS_TABLE", " "),
                "environment variable HEADS_TABLE is not set: set it to the name of the table of heads",
            ),
            (
                ("NOTES_TABLE", ""),
                "environment variable NOTES_TABLE is not set: set it to the name of the table of notes",
            ),
            (("COMPRESSION", "lz4"), "environment variable COMPRESSION is \"lz4\": it must be gzip or zstd"),
            (
                ("COMPRESSION_LEVEL", "20"),
                "environment variable COMPRESSION_LEVEL is \"20\": it must be from 1 to 19 for zstd",
            ),
            (
                ("COMPRESSION_LEVEL", "best"),
                "environment variable COMPRESSION_LEVEL is \"best\": invalid digit found in string",
            ),
        ] {
            assert_eq!(config(&[extra]).unwrap_err(), message);
        }
    }
}
