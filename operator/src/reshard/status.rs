//! Draws a stream's keyspace and load, and describes a plan, as text.

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use myaku::scaling::reshard::ledger::Entry;
use myaku::scaling::shards::{DAILY_CALLS_MAX, Load, Observation, OpenShard, Plan, Step};
use std::fmt::Write as _;

/// The width of the drawn keyspace, in characters.
const WIDTH: usize = 48;
/// The minutes over which the load is averaged.
const MINUTES: usize = 5;

/// Describes a plan: the reason, then its steps.
pub fn describe(plan: &Plan) -> String {
    let mut text = format!("{}\n", plan.reason);
    if plan.is_nothing() {
        text.push_str("There is nothing to do.\n");
    }
    for step in &plan.steps {
        let _ = match step {
            Step::UpdateShardCount { target } => writeln!(text, "  change to {target} shards"),
            Step::Split { shard, at } => writeln!(text, "  split {shard} at {at}"),
            Step::Merge { shard, adjacent } => writeln!(text, "  merge {shard} and {adjacent}"),
        };
    }
    text
}

/// Draws the shards of a stream with their load, and lists its load, lag, quota and the reshard in progress.
pub fn draw(observation: &Observation, entry: &Entry, now_ms: i64) -> String {
    let open = observation.open();
    let capacity = observation.capacity();
    let status = format!("{:?}", observation.status).to_lowercase();
    let mut text = format!("{}: {open} open shards, {status}\n", observation.stream);
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(["shard", "hash keys", "of all", "load"]);
    let mut shards: Vec<&OpenShard> = observation.shards.iter().collect();
    shards.sort_unstable_by_key(|shard| shard.range.start);
    for shard in shards {
        let (from, to) = (column_of(shard.range.start), column_of(shard.range.end));
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
            writeln!(text, "load        {records:.0} records/s, {mebibytes:.2} MiB/s: {used:.0} % of the capacity")
        }
        None => writeln!(text, "load        unknown: no metrics of the last {MINUTES} minutes"),
    };
    let refused = observation.throttled.newest(MINUTES).iter().flatten().fold(0.0, |sum, records| sum + records);
    let _ = writeln!(text, "throttled   {refused:.0} records in {MINUTES} minutes");
    for consumer in &observation.consumers {
        let age = consumer.iterator_age_ms.map_or_else(|| "unknown".to_owned(), |ms| format!("{:.1} s", ms / 1_000.0));
        let _ = writeln!(text, "lag         {age}: {}", consumer.name);
    }
    let _ = writeln!(
        text,
        "calls       {} of {DAILY_CALLS_MAX} UpdateShardCount calls used in 24 hours",
        observation.calls_used(now_ms)
    );
    if let Some(work) = &entry.work {
        let _ = writeln!(text, "in progress {} steps left: {}", work.steps.len(), work.reason);
    }
    text
}

/// Returns the column at which a hash key is drawn.
fn column_of(hash: u128) -> usize {
    (hash as f64 / u128::MAX as f64 * WIDTH as f64).round() as usize
}

/// Returns records and bytes a second, averaged over the newest minutes.
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
    fn a_drawing_shows_the_hash_keys_and_the_load_of_each_shard() {
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
        insta::assert_snapshot!(draw(&observation, &entry, 0), @"
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
        load        750 records/s, 0.07 MiB/s: 25 % of the capacity
        throttled   0 records in 5 minutes
        lag         1.5 s: archiver
        calls       2 of 10 UpdateShardCount calls used in 24 hours
        in progress 1 steps left: over 80 % for 5 minutes
        ");
    }

    #[test]
    fn a_plan_is_described_with_its_reason_first() {
        let plan = Plan {
            steps: vec![Step::Split { shard: "a".into(), at: 7 }, Step::UpdateShardCount { target: 4 }],
            direction: Some(Direction::Grow),
            wanted: 4,
            reason: "hot: a".to_owned(),
        };
        assert_eq!(describe(&plan), "hot: a\n  split a at 7\n  change to 4 shards\n");
        let nothing = Plan { steps: Vec::new(), direction: None, ..plan };
        assert_eq!(describe(&nothing), "hot: a\nThere is nothing to do.\n");
    }
}
