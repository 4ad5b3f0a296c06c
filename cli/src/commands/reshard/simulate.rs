//! `myaku reshard simulate`: what a policy would have made of a demand.

use anyhow::{Context as _, bail};
use myaku::scaling::shards::Policy;
use myaku_operator::simulator::{Assumptions, Contender, MADE, PEERS, Trace, compare, plot, table};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `myaku reshard simulate`.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Args {
    /// A CSV file of `timestamp,value`, or a made trace: constant, daily, step, growth, flash, hot-key, sawtooth, silence.
    #[arg(long, value_name = "TRACE", default_value = "daily")]
    trace: Vec<String>,
    /// A policy, as TOML; the default policy without it.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Peers to compare with: fixed, talk, aws-sample, substation, on-demand, and `default` for the default policy. All
    /// peers without it.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    vs: Vec<String>,
    /// Makes records a second of the trace's values.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Bytes of a record.
    #[arg(long, default_value_t = 1_024.0)]
    bytes: f64,
    /// Plain consumers of the stream.
    #[arg(long, default_value_t = 2)]
    consumers: u32,
    /// Seconds until a minute's metrics are there.
    #[arg(long, default_value_t = 60)]
    metrics_delay: u32,
    /// Seconds that resharding takes, besides one for each shard.
    #[arg(long, default_value_t = 30)]
    reshard_seconds: u32,
    /// Decides which keys are hot.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draw the comparison of the first trace into an SVG file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    for (name, value) in [("--scale", args.scale), ("--bytes", args.bytes)] {
        if !(value > 0.0 && value.is_finite()) {
            bail!("{name} is {value}: it must be above zero");
        }
    }
    let contenders = contenders(args)?;
    let traces = args.trace.iter().map(|name| trace(name, args.scale)).collect::<anyhow::Result<Vec<_>>>()?;
    let assumptions = Assumptions {
        record_bytes: args.bytes,
        consumers: args.consumers,
        metrics_delay_s: args.metrics_delay,
        reshard_s: args.reshard_seconds,
        seed: args.seed,
    };
    let comparisons: Vec<_> = traces.iter().map(|trace| compare(trace, &contenders, &assumptions)).collect();
    if let (Some(file), Some(first)) = (&args.plot, comparisons.first()) {
        std::fs::write(file, plot(first)?).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&comparisons)?)?;
    } else {
        writeln!(out, "{}", table(&comparisons))?;
    }
    Ok(())
}

/// The policy that is tried, then its peers.
fn contenders(args: &Args) -> anyhow::Result<Vec<Contender>> {
    let own = match &args.policy {
        None => Contender::default_policy(),
        Some(file) => Contender::Policy { name: "policy".to_owned(), policy: Box::new(policy(file)?) },
    };
    let peer = |name: &str| match name {
        "default" => Ok(Contender::default_policy()),
        name => Contender::peer(name).with_context(|| {
            let names: Vec<&str> = PEERS.iter().map(|(peer, _)| *peer).collect();
            format!("--vs {name}: there is no such peer; there are default, {}", names.join(", "))
        }),
    };
    let names: Vec<&str> = if args.vs.is_empty() {
        PEERS.iter().map(|(name, _)| *name).collect()
    } else {
        args.vs.iter().map(String::as_str).collect()
    };
    let peers = names.into_iter().map(peer).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(std::iter::once(own).chain(peers).collect())
}

fn policy(file: &Path) -> anyhow::Result<Policy> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    let policy: Policy = toml::from_str(&text).with_context(|| format!("{name} is no policy"))?;
    policy.checked().map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{name}: {}", problems.join("; "))
    })
}

fn trace(name: &str, scale: f64) -> anyhow::Result<Trace> {
    if let Some(made) = Trace::made(name) {
        return Ok(made.scaled(scale));
    }
    let file = File::open(name).with_context(|| {
        let made: Vec<&str> = MADE.iter().map(|(name, _)| *name).collect();
        format!("--trace {name} is neither a file that can be read nor one of {}", made.join(", "))
    })?;
    let title = Path::new(name).file_stem().map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let trace = Trace::from_csv(&title, file, scale).with_context(|| format!("{name} is no trace"))?;
    if trace.left_out > 0 {
        eprintln!("{name}: {} points are not after those before them, and were left out", trace.left_out);
    }
    Ok(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn ran(line: &[&str]) -> anyhow::Result<String> {
        let args = Line::try_parse_from([&["simulate"], line].concat()).unwrap().args;
        let mut out = Vec::new();
        run(&args, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        (directory, path.display().to_string())
    }

    #[test]
    fn a_trace_and_a_policy_of_ones_own_are_compared_with_the_peers_that_are_named() {
        let (_kept, trace) = file("mine.csv", "timestamp,value\n2026-01-01 00:00:00,500\n2026-01-01 06:00:00,4000\n");
        let (_kept, policy) = file("policy.toml", "mode = \"stream\"\nmax_shards = 8\n[stream]\ngrow_above = 0.6\n");
        let json = ran(&["--trace", &trace, "--policy", &policy, "--vs", "talk,default", "--json"]).unwrap();
        let comparisons: serde_json::Value = serde_json::from_str(&json).unwrap();
        let names = |index: usize| comparisons[0]["outcomes"][index]["name"].as_str().map(str::to_owned).unwrap();
        assert_eq!([names(0), names(1), names(2)], ["policy", "talk", "default"]);
        assert_eq!(comparisons[0]["trace"], "mine");
        assert_eq!(comparisons[0]["hours"], 6.0);
    }

    #[test]
    fn a_picture_is_written_beside_the_table() {
        let directory = tempfile::tempdir().unwrap();
        let picture = directory.path().join("p.svg").display().to_string();
        let table = ran(&["--trace", "constant", "--vs", "fixed", "--plot", &picture]).unwrap();
        assert!(table.contains("constant") && table.contains("fixed"), "{table}");
        assert!(std::fs::read_to_string(&picture).unwrap().starts_with("<svg"));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let (_kept, bad) = file("bad.csv", "1,2\n2,x\n");
        let (_kept, unsound) = file("unsound.toml", "min_shards = 9\nmax_shards = 8\n");
        let (_kept, misspelt) = file("misspelt.toml", "minimum = 9\n");
        for (line, problem) in [
            (vec!["--trace", "dayly"], "neither a file that can be read nor one of constant"),
            (vec!["--trace", &bad], "line 2: \"x\" is no number"),
            (vec!["--vs", "someone"], "there is no such peer"),
            (vec!["--policy", &unsound], "min_shards: 9 exceeds max_shards, 8"),
            (vec!["--policy", &misspelt], "minimum"),
            (vec!["--scale", "0"], "it must be above zero"),
        ] {
            let error = ran(&line).unwrap_err();
            assert!(format!("{error:#}").contains(problem), "{error:#}");
        }
    }
}
