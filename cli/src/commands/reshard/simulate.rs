//! `myaku reshard simulate`: runs a policy on a trace of demand, beside its peers.

use anyhow::{Context as _, bail};
use myaku_operator::reshard::read_policy;
use myaku_operator::simulator::{Assumptions, Contender, PEERS, SYNTHETIC, Trace, compare, plot, table};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `myaku reshard simulate`.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Args {
    /// A CSV file with a timestamp and a value on each line, or a synthetic trace: constant, daily, step, growth,
    /// flash, hot-key, sawtooth, silence. Can be given several times.
    #[arg(long, value_name = "TRACE", default_value = "daily")]
    trace: Vec<String>,
    /// The policy, as a TOML file; the default policy if not given.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Peers to compare with: fixed, talk, aws-sample, substation, on-demand, and default for the default policy. If
    /// not given, all peers.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    vs: Vec<String>,
    /// The factor that turns the trace's values into records a second.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// The size of a record in bytes.
    #[arg(long, default_value_t = 1_024.0)]
    bytes: f64,
    /// How many consumers read the stream, without enhanced fan-out.
    #[arg(long, default_value_t = 2)]
    consumers: u32,
    /// How many seconds after a minute its metrics arrive.
    #[arg(long, default_value_t = 60)]
    metrics_delay: u32,
    /// How many seconds a reshard takes, besides one for each shard.
    #[arg(long, default_value_t = 30)]
    reshard_seconds: u32,
    /// The seed that decides which keys are hot.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draw the comparison on the first trace into an SVG file.
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
            bail!("{name} is {value}, and must be a number above zero");
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
        std::fs::write(file, plot(first)?).with_context(|| format!("cannot write the picture {}", file.display()))?;
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&comparisons)?)?;
    } else {
        writeln!(out, "{}", table(&comparisons))?;
    }
    Ok(())
}

/// Returns the policy that is tried, then its peers.
fn contenders(args: &Args) -> anyhow::Result<Vec<Contender>> {
    let own = match &args.policy {
        None => Contender::default_policy(),
        Some(file) => Contender::Policy { name: "policy".to_owned(), policy: Box::new(read_policy(file)?) },
    };
    let peer = |name: &str| match name {
        "default" => Ok(Contender::default_policy()),
        name => Contender::peer(name).with_context(|| {
            let names: Vec<&str> = PEERS.iter().map(|(peer, _)| *peer).collect();
            format!("--vs {name}: unknown peer; choose from default, {}", names.join(", "))
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

fn trace(name: &str, scale: f64) -> anyhow::Result<Trace> {
    if let Some(synthetic) = Trace::synthetic(name) {
        return Ok(synthetic.scaled(scale));
    }
    let file = File::open(name).with_context(|| {
        let synthetic: Vec<&str> = SYNTHETIC.iter().map(|(name, _)| *name).collect();
        format!("--trace {name} is neither a readable file nor a synthetic trace ({})", synthetic.join(", "))
    })?;
    let title = Path::new(name).file_stem().map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let trace = Trace::from_csv(&title, file, scale).with_context(|| format!("cannot read the trace {name}"))?;
    if trace.left_out > 0 {
        eprintln!(
            "{name}: {} points were left out, because their time is not after that of the previous point",
            trace.left_out
        );
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
    fn a_users_trace_and_policy_are_compared_with_the_named_peers() {
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
    fn an_error_names_what_cannot_be_used() {
        let (_kept, bad) = file("bad.csv", "1,2\n2,x\n");
        let (_kept, unsound) = file("unsound.toml", "min_shards = 9\nmax_shards = 8\n");
        let (_kept, misspelt) = file("misspelt.toml", "minimum = 9\n");
        for (line, problem) in [
            (vec!["--trace", "dayly"], "neither a readable file nor a synthetic trace (constant"),
            (vec!["--trace", &bad], "line 2: \"x\" is not a number"),
            (vec!["--vs", "someone"], "unknown peer"),
            (vec!["--policy", &unsound], "min_shards: 9 exceeds max_shards, 8"),
            (vec!["--policy", &misspelt], "minimum"),
            (vec!["--scale", "0"], "must be a number above zero"),
        ] {
            let error = ran(&line).unwrap_err();
            assert!(format!("{error:#}").contains(problem), "{error:#}");
        }
    }
}
