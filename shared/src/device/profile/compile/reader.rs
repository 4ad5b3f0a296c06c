//! Compiles the source of a value, by the format that it is read in.

use super::super::binary::BinaryField;
use super::super::document::{Endian, Format, Source};
use super::super::path::Path;
use super::super::problem::Scope;
use super::super::source::Getter;

/// How to read the fields of a version or of its records.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    pub(super) format: Format,
    pub(super) endian: Endian,
    /// The greatest length of the payload, or the length of a record, in bytes.
    pub(super) end: usize,
}

impl Reader {
    /// Compiles the source of a value.
    pub(super) fn getter(&self, source: &Source, scope: &mut Scope<'_>) -> Option<Getter> {
        match (source, self.format) {
            (_, Format::Text) => None,
            (Source::Path(path), format) if format.is_tree() => match Path::parse(path) {
                Ok(path) if path.iterates() => {
                    scope.report_here("`[*]` is only allowed in the `each` of records");
                    None
                }
                Ok(path) => Some(Getter::Path(path)),
                Err(problem) => {
                    scope.report_here(problem);
                    None
                }
            },
            (Source::Binary(field), Format::Binary) => {
                let field = BinaryField::compile(field, self.endian, |key, problem| scope.report(key, problem))?;
                if field.end() > self.end {
                    let (end, length) = (field.end(), self.end);
                    scope.report("offset", format!("the field ends at byte {end}, and a record has {length} bytes"));
                }
                Some(Getter::Binary(field))
            }
            (Source::Path(_), _) => {
                scope.report_here("a binary format has no paths: give an object with offset and type");
                None
            }
            (Source::Binary(_), _) => {
                scope.report_here("this format has no offsets: give a path");
                None
            }
        }
    }
}
