//! A result as named fields: its statistics for people, and the bytes of its aggregate for merging.

use super::aggregate::{Aggregate, Summary};
use super::codec::{put_kind, read_kind};
use super::interval::Interval;
use super::result::WindowResult;
use crate::keyed::bytes::Reader;
use crate::results::{Field, Fields, Outcome, RowNames};

/// The version of the format of the bytes of an aggregate: `version[1] kind[1]`, and what its kind needs.
const VERSION: u8 = 1;

impl Outcome for WindowResult {
    const NAMES: RowNames = RowNames { latest: "windows", history: "window" };

    fn fields(&self) -> Fields {
        let mut aggregate = vec![VERSION];
        put_kind(&mut aggregate, self.kind());
        self.aggregate.encode_into(&mut aggregate);
        let fields = Fields::default()
            .with("window", &*self.window)
            .with("unit", &*self.unit)
            .with("from", self.interval.from_ms)
            .with("to", self.interval.to_ms)
            .with("count", self.count() as i64)
            .with("partial", self.partial)
            .with_some("lostUntil", self.lost_until)
            .with("leftOut", self.left_out as i64)
            .with("aggregate", aggregate);
        match self.summary() {
            Some(summary) => statistics(fields, summary),
            None => fields,
        }
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let mut reader = Reader::new(fields.bytes("aggregate")?);
        let Ok([VERSION]) = reader.array() else { return None };
        let kind = read_kind(&mut reader).ok()?;
        let aggregate = Aggregate::decode(kind, &mut reader).ok().filter(|_| reader.is_at_end())?;
        Some(Self {
            window: fields.text("window")?.to_owned(),
            unit: fields.text("unit")?.to_owned(),
            interval: Interval { from_ms: fields.integer("from")?, to_ms: fields.integer("to")? },
            aggregate,
            partial: fields.flag("partial")?,
            lost_until: fields.integer("lostUntil"),
            left_out: fields.integer("leftOut")?,
        })
    }
}

/// Adds the statistics, which follow from the aggregate.
fn statistics(fields: Fields, summary: Summary) -> Fields {
    let numbers = |numbers: &[f64]| numbers.iter().copied().map(Field::Number).collect::<Vec<_>>();
    match summary {
        Summary::Numbers(of) => fields
            .with("sum", of.sum)
            .with("mean", of.mean)
            .with("min", of.min)
            .with("max", of.max)
            .with("first", of.first.value)
            .with("firstAt", of.first.at)
            .with("last", of.last.value)
            .with("lastAt", of.last.at)
            .with("stddev", of.stddev)
            .with("timeWeightedMean", of.time_weighted_mean)
            .with("coveredMs", of.covered_ms as i64)
            .with("p50", of.p50)
            .with("p95", of.p95)
            .with("p99", of.p99),
        Summary::Booleans(of) => fields
            .with("changes", of.changes as i64)
            .with("last", of.last.value)
            .with("lastAt", of.last.at)
            .with("trueMs", of.true_ms as i64)
            .with("coveredMs", of.covered_ms as i64)
            .with("trueShare", of.true_share),
        Summary::Texts(of) => {
            let counted = of.top.into_iter().map(|top| {
                let counted = Fields::default().with("text", &*top.text).with("count", top.count as i64);
                Field::Map(counted.with("error", top.error as i64))
            });
            fields.with("distinct", of.distinct as i64).with("exact", of.exact).with("top", counted.collect::<Vec<_>>())
        }
        Summary::Positions(of) => fields
            .with("distanceM", of.distance_m)
            .with("first", numbers(&of.first.value))
            .with("firstAt", of.first.at)
            .with("last", numbers(&of.last.value))
            .with("lastAt", of.last.at)
            .with("bounds", numbers(&of.bounds)),
    }
}
