//! `myaku detect`: finds what is unusual in a file of readings, and what breaks the rules of a profile.

use anyhow::{Context as _, Result};
use clap::Parser;
use myaku_operator::detect::{Columns, Rules, Series, detect, plot};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

#[derive(Debug, Parser)]
pub(super) struct Args {
    /// A CSV file with a time and a value on each line, or - for standard input. Times are RFC 3339, 2014-02-14 14:30:00 in UTC, or
    /// seconds or milliseconds since the epoch. A header is optional.
    file: PathBuf,
    /// The column of times, by its name in the header; the first one if not given.
    #[arg(long, value_name = "NAME")]
    time: Option<String>,
    /// The column of values, by its name in the header; the second one if not given.
    #[arg(long, value_name = "NAME")]
    value: Option<String>,
    /// From which score on a reading is an alarm, above 0 and at most 1.
    #[arg(long, value_name = "SCORE", default_value_t = myaku::anomaly::score::ALARM, value_parser = threshold)]
    threshold: f64,
    /// Also run the alert rules of a metric of this profile, a JSON file.
    #[arg(long, value_name = "FILE", requires = "metric")]
    profile: Option<PathBuf>,
    /// The metric whose rules are run.
    #[arg(long, value_name = "NAME", requires = "profile")]
    metric: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Draw the series, its score and the alarms into an SVG file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

fn threshold(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(threshold) if threshold > 0.0 && threshold <= 1.0 => Ok(threshold),
        _ => Err("it must be a number above 0 and at most 1".to_owned()),
    }
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<()> {
    let columns = Columns { time: args.time.clone(), value: args.value.clone() };
    let series = read(&args.file, &columns)?;
    for problem in &series.problems {
        eprintln!("{}: {problem}", series.name);
    }
    if series.more_problems > 0 {
        eprintln!("{}: {} more lines cannot be used", series.name, series.more_problems);
    }
    let detection = detect(&series, args.threshold, rules(args)?.as_ref());
    if let Some(file) = &args.plot {
        let picture = plot(&series, &detection)?;
        std::fs::write(file, picture).with_context(|| format!("cannot write the picture {}", file.display()))?;
    }
    let text = if args.json { serde_json::to_string_pretty(&detection)? } else { detection.to_text() };
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// The rules of the profile and the metric, if they are given.
fn rules(args: &Args) -> Result<Option<Rules>> {
    let (Some(file), Some(metric)) = (&args.profile, &args.metric) else { return Ok(None) };
    let profile = std::fs::read(file).with_context(|| format!("cannot read the profile {}", file.display()))?;
    Rules::new(&profile, metric).map(Some).with_context(|| format!("cannot use the profile {}", file.display()))
}

/// Reads the series of a file, which has the file's name without its extension, or of standard input.
fn read(file: &Path, columns: &Columns) -> Result<Series> {
    let (name, source): (_, Box<dyn Read>) = if file == Path::new("-") {
        ("standard input".to_owned(), Box::new(io::stdin().lock()))
    } else {
        let name = file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
        let source = File::open(file).with_context(|| format!("cannot open {}; does it exist?", file.display()))?;
        (name, Box::new(source))
    };
    Series::from_csv(&name, source, columns).with_context(|| format!("cannot use {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_above_0_and_at_most_1() {
        assert_eq!(threshold("0.26"), Ok(0.26));
        assert_eq!(threshold("1"), Ok(1.0));
        for text in ["0", "-0.1", "1.01", "NaN", "high"] {
            assert!(threshold(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_that_does_not_exist_is_an_error_with_its_name() {
        let args = Args::parse_from(["detect", "nowhere.csv"]);
        assert_eq!(run(&args).unwrap_err().to_string(), "cannot open nowhere.csv; does it exist?");
    }

    #[test]
    fn a_file_is_read_and_its_picture_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let (file, picture) = (directory.path().join("bed-17.csv"), directory.path().join("bed-17.svg"));
        std::fs::write(&file, "at,pulse,who\n1000,61,a\n1001,62,b\n").unwrap();
        let (file, picture) = (file.to_str().unwrap(), picture.to_str().unwrap());
        run(&Args::parse_from(["detect", file, "--value", "pulse", "--plot", picture])).unwrap();
        assert!(std::fs::read_to_string(picture).unwrap().contains("bed-17"));
        let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/profiles/patient-tag.json");
        run(&Args::parse_from(["detect", file, "--profile", profile, "--metric", "pulse"])).unwrap();
        let error = run(&Args::parse_from(["detect", file, "--profile", profile, "--metric", "puls"])).unwrap_err();
        let problem =
            "the metric \"puls\" has no alert rules; those that have some: battery, position, pulse, temperature";
        assert_eq!(error.root_cause().to_string(), problem);
        let error = run(&Args::parse_from(["detect", file, "--value", "puls"])).unwrap_err();
        assert_eq!(error.root_cause().to_string(), "no column has the name \"puls\"; the columns are at, pulse, who");
    }
}
