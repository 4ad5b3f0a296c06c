//! Effects that are pending: outcomes of intervals that were due and findings, which may not have been written or reported yet.

use super::bytes::{CorruptedState, Reader, put_option, put_text, put_varint};
use super::origin::{ORIGIN_BYTES, Origin};
use crate::alert::{Begin, Ends, Finding, Kind, Severity};
use crate::results::{Field, Fields};
use std::collections::BTreeMap;

/// The fewest bytes of pending history: the origin, two counts, the beginning, a name, and no fields.
const PENDING_BYTES_MIN: usize = ORIGIN_BYTES + 1 + 1 + 8 + 1 + 1;
/// About how many bytes it has.
pub(super) const PENDING_BYTES: usize = PENDING_BYTES_MIN + 150;

/// An interval of a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricInterval {
    /// The length that names one of several kinds of intervals, in seconds; 0 if the function has one kind.
    pub seconds: u32,
    /// The beginning of the interval, in milliseconds since the epoch.
    pub from_ms: i64,
    /// The metric.
    pub metric: String,
}

/// The outcome of an interval that was due, and may not have been written yet.
///
/// It has the fields that a row gets, as they were when it was due: so a later version of the function, which computes others,
/// writes the same row.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingHistory {
    /// The record that made it due.
    pub origin: Origin,
    /// How many readings of the device had been counted by then.
    pub counted: u64,
    /// The outcome.
    pub fields: Fields,
}

/// What is pending, by its interval.
pub type Pending = BTreeMap<MetricInterval, PendingHistory>;

/// A finding that may not have been reported yet.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingFinding {
    /// The record that showed it.
    pub origin: Origin,
    /// The finding.
    pub finding: Finding,
}

/// Appends the number of findings, and for each `origin kind[1] rule time[8] detail metric`; of one that begins also
/// `kind severity value?[8] limit?[8]`.
pub(super) fn put_findings(out: &mut Vec<u8>, findings: &[PendingFinding]) {
    put_varint(out, findings.len() as u64);
    for PendingFinding { origin, finding } in findings {
        origin.encode_into(out);
        let (tag, time) = match finding {
            Finding::Begins(begin) => (0, begin.since_ms),
            Finding::Ends(ends) => (1, ends.at_ms),
        };
        out.push(tag);
        put_text(out, finding.rule());
        out.extend(time.to_le_bytes());
        put_text(out, finding.detail());
        put_text(out, finding.metric());
        if let Finding::Begins(Begin { kind, severity, value, limit, .. }) = finding {
            put_text(out, kind.name());
            put_text(out, severity.name());
            for number in [value, limit] {
                put_option(out, *number, |out, number| out.extend(number.to_le_bytes()));
            }
        }
    }
}

/// Reads what [`put_findings`] appended.
pub(super) fn read_findings(reader: &mut Reader<'_>) -> Result<Vec<PendingFinding>, CorruptedState> {
    (0..reader.count(ORIGIN_BYTES + 12)?)
        .map(|_| Ok(PendingFinding { origin: Origin::decode(reader)?, finding: read_finding(reader)? }))
        .collect()
}

fn read_finding(reader: &mut Reader<'_>) -> Result<Finding, CorruptedState> {
    let [tag] = reader.array()?;
    let (rule, time, detail) = (reader.text()?.to_owned(), reader.i64()?, reader.text()?.to_owned());
    let metric = reader.text()?.to_owned();
    match tag {
        0 => Ok(Finding::Begins(Begin {
            rule,
            kind: Kind::of(reader.text()?).ok_or(CorruptedState("the kind of a finding is unknown"))?,
            severity: Severity::of(reader.text()?).ok_or(CorruptedState("the severity of a finding is unknown"))?,
            metric,
            since_ms: time,
            value: reader.option(Reader::f64)?,
            limit: reader.option(Reader::f64)?,
            detail,
        })),
        1 => Ok(Finding::Ends(Ends { rule, metric, at_ms: time, detail })),
        _ => Err(CorruptedState("a finding neither begins nor ends")),
    }
}

/// Appends the number of entries, and the bytes of each: `origin counted(v) seconds(v) from[8] metric fields`.
pub(super) fn put_pending(out: &mut Vec<u8>, pending: &Pending) {
    put_varint(out, pending.len() as u64);
    for (MetricInterval { seconds, from_ms, metric }, PendingHistory { origin, counted, fields }) in pending {
        origin.encode_into(out);
        put_varint(out, *counted);
        put_varint(out, (*seconds).into());
        out.extend(from_ms.to_le_bytes());
        put_text(out, metric);
        put_fields(out, fields);
    }
}

/// Reads what [`put_pending`] appended.
pub(super) fn read_pending(reader: &mut Reader<'_>) -> Result<Pending, CorruptedState> {
    let mut all = Pending::new();
    for _ in 0..reader.count(PENDING_BYTES_MIN)? {
        let origin = Origin::decode(reader)?;
        let counted = reader.varint()?;
        let seconds = u32::try_from(reader.varint()?).map_err(|_| CorruptedState("a length exceeds 32 bits"))?;
        let interval = MetricInterval { seconds, from_ms: reader.i64()?, metric: reader.text()?.to_owned() };
        if all.last_key_value().is_some_and(|(last, _)| *last >= interval) {
            return Err(CorruptedState("its pending history is not in order"));
        }
        all.insert(interval, PendingHistory { origin, counted, fields: read_fields(reader, DEPTH_MAX)? });
    }
    Ok(all)
}

/// Reads the pending history of a moving average as the second format had it, in any order:
/// `origin counted(v) from[8] metric unit at[8] count(v) value[8] mean[8] min[8] max[8] stddev[8] partial[1] lost_until`.
pub(super) fn read_second_format(reader: &mut Reader<'_>) -> Result<Pending, CorruptedState> {
    let mut all = Pending::new();
    for _ in 0..reader.count(PENDING_BYTES_MIN)? {
        let origin = Origin::decode(reader)?;
        let counted = reader.varint()?;
        let interval = MetricInterval { seconds: 0, from_ms: reader.i64()?, metric: reader.text()?.to_owned() };
        let mut fields = Fields::default().with("unit", reader.text()?).with("at", reader.i64()?);
        let count = u32::try_from(reader.varint()?).map_err(|_| CorruptedState("a count exceeds 32 bits"))?;
        fields = fields.with("count", count);
        for name in ["value", "mean", "min", "max", "stddev"] {
            fields = fields.with(name, reader.f64()?);
        }
        fields = fields.with("partial", reader.flag()?).with_some("lostUntil", reader.option(Reader::i64)?);
        all.insert(interval, PendingHistory { origin, counted, fields });
    }
    Ok(all)
}

/// How deep fields may lie in fields.
const DEPTH_MAX: usize = 4;

/// Appends the number of fields, and each name with its value: a byte for the kind, and what the kind needs.
fn put_fields(out: &mut Vec<u8>, fields: &Fields) {
    put_varint(out, fields.iter().len() as u64);
    for (name, value) in fields.iter() {
        put_text(out, name);
        put_field(out, value);
    }
}

fn put_field(out: &mut Vec<u8>, field: &Field) {
    match field {
        Field::Number(number) => {
            out.push(0);
            out.extend(number.to_le_bytes());
        }
        Field::Integer(integer) => {
            out.push(1);
            out.extend(integer.to_le_bytes());
        }
        Field::Flag(flag) => out.extend([2, (*flag).into()]),
        Field::Text(text) => {
            out.push(3);
            put_text(out, text);
        }
        Field::Bytes(bytes) => {
            out.push(4);
            put_varint(out, bytes.len() as u64);
            out.extend(bytes);
        }
        Field::List(list) => {
            out.push(5);
            put_varint(out, list.len() as u64);
            for field in list {
                put_field(out, field);
            }
        }
        Field::Map(fields) => {
            out.push(6);
            put_fields(out, fields);
        }
    }
}

fn read_fields(reader: &mut Reader<'_>, depth: usize) -> Result<Fields, CorruptedState> {
    let count = reader.count(2)?;
    let mut fields = Fields::default();
    for _ in 0..count {
        let name = reader.text()?;
        if fields.iter().next_back().is_some_and(|(last, _)| last >= name) {
            return Err(CorruptedState("its fields are not in order"));
        }
        fields = fields.with(name.to_owned(), read_field(reader, depth)?);
    }
    Ok(fields)
}

fn read_field(reader: &mut Reader<'_>, depth: usize) -> Result<Field, CorruptedState> {
    let below = || depth.checked_sub(1).ok_or(CorruptedState("its fields lie too deep"));
    Ok(match reader.array()? {
        [0] => Field::Number(reader.f64()?),
        [1] => Field::Integer(reader.i64()?),
        [2] => Field::Flag(reader.flag()?),
        [3] => Field::Text(reader.text()?.to_owned()),
        [4] => {
            let length = reader.count(1)?;
            Field::Bytes(reader.take(length)?.to_vec())
        }
        [5] => {
            let (count, depth) = (reader.count(1)?, below()?);
            Field::List((0..count).map(|_| read_field(reader, depth)).collect::<Result<_, _>>()?)
        }
        [6] => Field::Map(read_fields(reader, below()?)?),
        _ => return Err(CorruptedState("a field is of an unknown kind")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind_read_as_they_were_written_and_no_deeper() {
        let inner = Fields::default().with("count", 3_u32).with("bytes", vec![1_u8, 2]);
        let list = vec![Field::Number(0.1), Field::Flag(true), Field::Text("°C".to_owned()), Field::Map(inner)];
        let fields = Fields::default().with("at", -1_i64).with("list", list).with("empty", Fields::default());
        let mut bytes = Vec::new();
        put_fields(&mut bytes, &fields);
        assert_eq!(read_fields(&mut Reader::new(&bytes), DEPTH_MAX).unwrap(), fields);
        for length in 0..bytes.len() {
            assert!(read_fields(&mut Reader::new(&bytes[..length]), DEPTH_MAX).is_err(), "{length} bytes");
        }
        let deep = (0..=DEPTH_MAX).fold(Field::Flag(true), |field, _| Field::List(vec![field]));
        let mut bytes = Vec::new();
        put_field(&mut bytes, &deep);
        let error = read_field(&mut Reader::new(&bytes), DEPTH_MAX).unwrap_err();
        assert_eq!(error, CorruptedState("its fields lie too deep"));
    }
}
