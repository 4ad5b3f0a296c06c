//! Finds the records of a message: the elements of an array, the rows of parallel arrays, or packed bytes of equal length.

use super::binary::BinaryField;
use super::condition::Condition;
use super::field::Field;
use super::path::Path;
use super::source::View;
use super::time::{Base, DeviceTime, Time};
use super::tree::Node;
use super::value::{Fault, Raw};
use crate::lake::dead_letter::Reason;
use std::borrow::Cow;

/// The greatest number of values that are read from one message. A mebibyte of real samples has fewer, and so many fit
/// into a function's memory.
pub const MAX_VALUES: usize = 10_000;

/// The compiled records of a version.
#[derive(Clone, Debug)]
pub(super) struct Records {
    pub(super) source: RecordsSource,
    pub(super) optional: bool,
    /// The condition under which a record is read.
    pub(super) condition: Option<Condition>,
    pub(super) time: Option<Time>,
    pub(super) step: Step,
    pub(super) fields: Vec<Field>,
}

/// The time between two records that have none of their own.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Fixed { ms: i64 },
    Read(Time),
}

/// Where the records of a message are.
#[derive(Clone, Debug)]
pub(super) enum RecordsSource {
    Each(Path),
    /// Arrays whose elements belong together, by the names of their elements.
    Columns(Vec<(String, Path)>),
    Packed {
        offset: usize,
        length: usize,
        count: Option<BinaryField>,
    },
}

/// The rows of columns: objects of their elements, and what is wrong after the last whole one.
pub(super) type Rows<'a> = (Vec<Node<'a>>, Option<Fault>);

/// The complete records of a message.
pub(super) struct RecordViews<'a> {
    pub(super) views: Vec<View<'a>>,
    /// The time of each record that is read: a message can have more records than values are read from it.
    pub(super) times: Vec<DeviceTime>,
    /// What is wrong after the complete records.
    pub(super) fault: Option<Fault>,
}

impl Records {
    /// The rows of columns.
    pub(super) fn rows<'a>(&self, view: View<'a>) -> Rows<'a> {
        let (RecordsSource::Columns(columns), View::Tree(node)) = (&self.source, view) else {
            return (Vec::new(), None);
        };
        let mut lists = Vec::with_capacity(columns.len());
        for (name, path) in columns {
            match path.find(node) {
                Some(Node::List(items)) => lists.push((name, items)),
                None | Some(Node::Null) if self.optional => return (Vec::new(), None),
                other => {
                    let kind = other.map_or("nothing", Node::kind);
                    let detail = format!("instead of the array `{name}` there is {kind}");
                    let is_missing = matches!(other, None | Some(Node::Null));
                    let reason = if is_missing { Reason::MissingField } else { Reason::Undecodable };
                    return (Vec::new(), Some(Fault::new(reason, detail)));
                }
            }
        }
        let count = lists.iter().map(|(_, items)| items.len()).min().unwrap_or_default();
        let is_even = lists.iter().all(|(_, items)| items.len() == count);
        let row = |index: usize| {
            let members = lists.iter().map(|(name, items)| (Cow::Owned((*name).clone()), items[index].clone()));
            Node::Map(members.collect())
        };
        let fault = (!is_even).then(|| {
            let detail = format!("the arrays have different lengths; {count} elements belong together");
            Fault::new(Reason::Undecodable, detail)
        });
        ((0..count).map(row).collect(), fault)
    }

    /// Finds the records after the first `first` values of a message whose time is `message`.
    pub(super) fn find<'a>(
        &self,
        view: View<'a>,
        rows: &'a Rows<'a>,
        message: &DeviceTime,
        first: usize,
        base: Base,
    ) -> Result<RecordViews<'a>, Fault> {
        let (views, fault) = self.views(view, rows)?;
        let room = (MAX_VALUES - first.min(MAX_VALUES)) / self.fields.len().max(1);
        let step_ms = match &self.step {
            Step::Fixed { ms } => *ms,
            Step::Read(step) => step.read(view, base)?.unwrap_or_default(),
        };
        let mut previous = None;
        let times = views.iter().take(room).enumerate().map(|(number, record)| match (&self.time, message) {
            (Some(_), _) if !self.is_read(*record) => Ok(None),
            (Some(own), _) => {
                let base = Base { message: message.as_ref().ok().copied().flatten(), previous, ..base };
                let time = own.read(*record, base);
                previous = time.as_ref().ok().copied().flatten().or(previous);
                time
            }
            (None, Ok(base)) => Ok(base.map(|base| base.saturating_add(step_ms.saturating_mul(number as i64)))),
            (None, Err(fault)) => Err(fault.clone()),
        });
        Ok(RecordViews { times: times.collect(), views, fault })
    }

    /// Whether a record is read.
    pub(super) fn is_read(&self, record: View<'_>) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(record))
    }

    /// The complete records, and what is wrong after them.
    fn views<'a>(&self, view: View<'a>, rows: &'a Rows<'a>) -> Result<(Vec<View<'a>>, Option<Fault>), Fault> {
        let undecodable = |detail| Fault::new(Reason::Undecodable, detail);
        match (&self.source, view) {
            (RecordsSource::Each(path), View::Tree(node)) => {
                let (nodes, missed) = path.find_each(node);
                let not_records = |kind: &str| format!("instead of an array of records there is {kind}");
                let fault = match missed {
                    Some("nothing" | "null") if self.optional => None,
                    Some(kind @ ("nothing" | "null")) => Some(Fault::new(Reason::MissingField, not_records(kind))),
                    Some(kind) => Some(undecodable(not_records(kind))),
                    None => None,
                };
                Ok((nodes.into_iter().map(View::Tree).collect(), fault))
            }
            (RecordsSource::Columns(_), View::Tree(_)) => Ok((rows.0.iter().map(View::Tree).collect(), rows.1.clone())),
            (RecordsSource::Packed { offset, length, count }, View::Bytes(bytes)) => {
                let count = count.as_ref().map(|field| read_count(field, bytes)).transpose()?;
                let rest = bytes.get(*offset..).unwrap_or_default();
                let whole = rest.len() / length;
                let views = rest.chunks_exact(*length).take(count.unwrap_or(whole)).map(View::Bytes).collect();
                let fault = match count {
                    Some(count) if count > whole => {
                        Some(format!("the count is {count} records, and {whole} are complete"))
                    }
                    None if rest.len() % length != 0 => {
                        Some(format!("the last record has {} of {length} bytes", rest.len() % length))
                    }
                    _ => None,
                };
                Ok((views, fault.map(undecodable)))
            }
            // Compilation ensures that paths are only used with trees, and offsets only with bytes.
            _ => Ok((Vec::new(), None)),
        }
    }
}

fn read_count(field: &BinaryField, bytes: &[u8]) -> Result<usize, Fault> {
    match field.read(bytes).map_err(|fault| Fault { detail: format!("the count: {}", fault.detail), ..fault })? {
        Raw::Integer(count) if count >= 0 => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => Err(Fault::new(Reason::Undecodable, "the count of records is negative or missing".to_owned())),
    }
}
