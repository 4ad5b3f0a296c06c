//! `myaku reshard status`: the keyspace and its load, drawn; `plan`: what would be done about it. Both change nothing.

use super::target::Target;
use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use myaku::platform::clock::Now as _;
use myaku::scaling::reshard::Ledger as _;
use myaku::scaling::reshard::ledger::Entry;
use myaku::scaling::shards::{DAILY_CALLS_MAX, Load, Observation, OpenShard, Plan, Step};
use std::fmt::Write as _;

/// The width of the keyspace in characters.
const WIDTH: usize = 48;
/// How many minutes a load is averaged over.
const MINUTES: usize = 5;

/// Prints the stream as it is.
pub(super) async fn status(target: &Target) -> Result<()> {
    let (observation, _, entry) = look(target).await?;
    print!("{}", drawn(&observation, &entry, target.clock().now_ms()));
    Ok(())
}

/// Prints what would be done now, and why.
pub(super) async fn plan(target: &Target, as_json: bool) -> Result<()> {
    let (_, plan, _) = look(target).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&plan)?);
    } else {
        print!("{}", told(&plan));
    }
    Ok(())
}

async fn look(target: &Target) -> Result<(Observation, Plan, Entry)> {
    let autoscaler = target.connect().await?;
    let looked = Box::pin(autoscaler.look(&target.clock())).await?;
    let (observation, plan) = looked.context("there is no such stream")?;
    let entry = autoscaler.ledger.load(&observation.stream).await?.entry;
    Ok((observation, plan, entry))
}

fn told(plan: &Plan) -> String {
    let mut text = format!("{}\n", plan.reason);
    if plan.is_nothing() {
        text.push_str("Nothing is to be done.\n");
    }
    for step in &plan.steps {
        let _ = match step {
            Step::UpdateShardCount { target } => writeln!(text, "  to {target} shards"),
            Step::Split { shard, at } => writeln!(text, "  split {shard} at {at}"),
            Step::Merge { shard, adjacent } => writeln!(text, "  merge {shard} and {adjacent}"),
        };
    }
    text
}

fn drawn(observation: &Observation, entry: &Entry, now_ms: i64) -> String {
    let open = observation.open();
    let capacity = observation.capacity();
    let status = format!("{:?}", observation.status).to_lowercase();
    let mut text = format!("{}: {open} open shards, {status}\n", observation.stream);
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(["shard", "hash keys", "of all", "load"]);
    let mut shards: Vec<&OpenShard> = observation.shards.iter().collect();
    shards.sort_unstable_by_key(|shard| shard.range.start);
    for shard in shards {
        let (from, to) = (place(shard.range.start), place(shard.range.end));
        let bar =
            format!("{}{}{}", "·".repeat(from), "█".repeat((to - from).max(1)), "·".repeat(WIDTH - to.max(from + 1)));
        let share = (shard.range.end - shard.range.start) as f64 / u128::MAX as f64;
        let load = shard.load.as_ref().and_then(mean_per_s);
        let load = load.map(|(records, bytes)| format!("{:.0} %", capacity.shards_for(records, bytes) * 100.0));
        table.add_row([
            shard.range.shard.clone(),
            bar,
            format!("{:.1} %", share * 100.0),
            load.unwrap_or_else(|| "–".to_owned()),
        ]);
    }
    for column in [2, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let _ = writeln!(text, "{}", table.trim_fmt());
    let _ = match mean_per_s(&observation.load) {
        Some((records, bytes)) => {
            let used = capacity.shards_for(records, bytes) / f64::from(open.max(1)) * 100.0;
            let mebibytes = bytes / 1_048_576.0;
            writeln!(
                text,
                "load        {records:.0} records/s, {mebibytes:.2} MiB/s: {used:.0} % of what the shards take"
            )
        }
        None => writeln!(text, "load        not known for the last {MINUTES} minutes"),
    };
    let refused = observation.throttled.newest(MINUTES).iter().flatten().fold(0.0, |sum, records| sum + records);
    let _ = writeln!(text, "refused     {refused:.0} records in {MINUTES} minutes");
    for consumer in &observation.consumers {
        let age = consumer.iterator_age_ms.map_or_else(|| "unknown".to_owned(), |ms| format!("{:.1} s", ms / 1_000.0));
        let _ = writeln!(text, "behind      {age}: {}", consumer.name);
    }
    let _ = writeln!(text, "calls       {} of {DAILY_CALLS_MAX} used in 24 hours", observation.calls_used(now_ms));
    if let Some(work) = &entry.work {
        let _ = writeln!(text, "under way   {} steps left: {}", work.steps.len(), work.reason);
    }
    text
}

/// Where a hash key is on the line.
fn place(hash: u128) -> usize {
    (hash as f64 / u128::MAX as f64 * WIDTH as f64).round() as usize
}

/// Records and bytes a second, over the newest minutes.
fn mean_per_s(load: &Load) -> Option<(f64, f64)> {
    let mean = |values: &[Option<f64>]| {
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64 / 60.0)
    };
    Some((mean(load.records.newest(MINUTES))?, mean(load.bytes.newest(MINUTES))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::scaling::reshard::ledger::Work;
    use myaku::scaling::shards::{Consumer, Direction, FanOut, Keyspace, Series};

    #[test]
    fn a_picture_shows_who_takes_which_hash_keys_and_what_comes() {
        let keyspace = Keyspace::uniform(2, |index| format!("s{index}"));
        let keyspace = keyspace.after(&Step::Split { shard: "s0".into(), at: 1 << 126 }).unwrap();
        let load = |records: f64| Load {
            records: Series::minutes(0, vec![Some(records * 60.0)]),
            bytes: Series::minutes(0, vec![Some(records * 6_000.0)]),
        };
        let shards = keyspace.shards().iter().map(|range| OpenShard { range: range.clone(), load: Some(load(250.0)) });
        let consumer = Consumer { name: "archiver".to_owned(), fan_out: FanOut::Plain, iterator_age_ms: Some(1_500.0) };
        let observation = Observation {
            stream: "ingest".to_owned(),
            shards: shards.collect(),
            load: load(750.0),
            consumers: vec![consumer],
            calls: vec![-1, -2],
            ..Observation::default()
        };
        let work = Work {
            steps: [Step::UpdateShardCount { target: 6 }].into(),
            sent: true,
            direction: Direction::Grow,
            reason: "over 80 % for 5 minutes".to_owned(),
            since_ms: 0,
        };
        let entry = Entry { work: Some(work), ..Entry::default() };
        insta::assert_snapshot!(drawn(&observation, &entry, 0), @"
        ingest: 3 open shards, active
        ──────────────────────────────────────────────────────────────────────────
         shard   hash keys                                          of all   load
        ══════════════════════════════════════════════════════════════════════════
         s0.0    ████████████····································   25.0 %   25 %
        ──────────────────────────────────────────────────────────────────────────
         s0.1    ············████████████························   25.0 %   25 %
        ──────────────────────────────────────────────────────────────────────────
         s1      ························████████████████████████   50.0 %   25 %
        ──────────────────────────────────────────────────────────────────────────
        load        750 records/s, 0.07 MiB/s: 25 % of what the shards take
        refused     0 records in 5 minutes
        behind      1.5 s: archiver
        calls       2 of 10 used in 24 hours
        under way   1 steps left: over 80 % for 5 minutes
        ");
    }

    #[test]
    fn a_plan_is_told_with_its_reason_first() {
        let plan = Plan {
            steps: vec![Step::Split { shard: "a".into(), at: 7 }, Step::UpdateShardCount { target: 4 }],
            direction: Some(Direction::Grow),
            wanted: 4,
            reason: "hot: a".to_owned(),
        };
        assert_eq!(told(&plan), "hot: a\n  split a at 7\n  to 4 shards\n");
        let nothing = Plan { steps: Vec::new(), direction: None, ..plan };
        assert_eq!(told(&nothing), "hot: a\nNothing is to be done.\n");
    }
}
