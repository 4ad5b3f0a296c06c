//! Keeps the progress of a replay in a file, so that the same command can resume it after a crash.

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::ops::Range;
use std::path::PathBuf;

/// The progress of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// What is replayed and where to, in words.
    pub replay: String,
    /// The range of time, in milliseconds since the epoch. It stays the same, however much later the replay resumes.
    pub range_ms: Range<i64>,
    /// The order of the last parcel that was begun.
    pub parcel: String,
    /// How many of its records were sent; `None` if all were.
    pub items: Option<usize>,
    /// How many records were sent in total.
    pub sent: u64,
}

impl Checkpoint {
    /// Whether records of a parcel are still to be sent.
    pub fn is_left(&self, order: &str) -> bool {
        order > self.parcel.as_str() || (order == self.parcel && self.items.is_some())
    }

    /// Returns how many records of a parcel were sent.
    pub fn items_of(&self, order: &str) -> usize {
        if order == self.parcel { self.items.unwrap_or(0) } else { 0 }
    }
}

/// A checkpoint with the file that keeps it.
#[derive(Debug)]
pub struct Notes {
    file: Option<PathBuf>,
    checkpoint: Checkpoint,
}

impl Notes {
    /// Resumes the replay that `file` has noted, or begins one if the file does not exist. Without a file nothing is
    /// noted.
    pub fn open(file: Option<PathBuf>, replay: String, range_ms: Range<i64>) -> Result<Self> {
        let begin = Checkpoint { replay, range_ms, parcel: String::new(), items: None, sent: 0 };
        let Some(path) = &file else { return Ok(Self { file, checkpoint: begin }) };
        let json = match fs::read(path) {
            Ok(json) => json,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self { file, checkpoint: begin }),
            Err(error) => return Err(error).with_context(|| format!("cannot read the checkpoint {}", path.display())),
        };
        let checkpoint: Checkpoint = serde_json::from_slice(&json).with_context(|| {
            format!("{} is not a checkpoint of a replay; name another --checkpoint", path.display())
        })?;
        if checkpoint.replay != begin.replay {
            bail!(
                "the checkpoint {} belongs to another replay ({}), and this one is {}: \
                 finish that one, name another --checkpoint, or delete the file",
                path.display(),
                checkpoint.replay,
                begin.replay
            );
        }
        Ok(Self { file, checkpoint })
    }

    /// Returns the progress so far.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Counts records that were sent.
    pub(super) fn sent(&mut self, records: u64) {
        self.checkpoint.sent = self.checkpoint.sent.saturating_add(records);
    }

    /// Notes that so many records of a parcel were sent.
    pub(super) fn partly(&mut self, order: &str, items: usize) -> Result<()> {
        self.note(order, Some(items))
    }

    /// Notes that a whole parcel was sent.
    pub(super) fn wholly(&mut self, order: &str) -> Result<()> {
        self.note(order, None)
    }

    fn note(&mut self, order: &str, items: Option<usize>) -> Result<()> {
        order.clone_into(&mut self.checkpoint.parcel);
        self.checkpoint.items = items;
        let Some(path) = &self.file else { return Ok(()) };
        let cannot = || format!("cannot write the checkpoint {}", path.display());
        // The rename replaces the old file at once or not at all, so a crash leaves a whole checkpoint.
        let new = path.with_extension("new");
        let mut file = File::create(&new).with_context(cannot)?;
        file.write_all(&serde_json::to_vec_pretty(&self.checkpoint)?).with_context(cannot)?;
        file.sync_all().with_context(cannot)?;
        fs::rename(&new, path).with_context(cannot)
    }

    /// Deletes the file: the replay is complete.
    pub fn done(self) -> Result<()> {
        match self.file.map(|path| (fs::remove_file(&path), path)) {
            Some((Err(error), path)) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| {
                format!("cannot delete the checkpoint {} of a complete replay; delete it by hand", path.display())
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn checkpoint() -> impl Strategy<Value = Checkpoint> {
        let (parcel, items) = ("\\PC{0,20}", proptest::option::of(any::<usize>()));
        (any::<i64>(), any::<i64>(), parcel, items, any::<u64>()).prop_map(|(start, end, parcel, items, sent)| {
            Checkpoint { replay: "letters".to_owned(), range_ms: start..end, parcel, items, sent }
        })
    }

    /// Notes whose file has these bytes, and the file.
    fn opened(bytes: &[u8]) -> (tempfile::TempDir, Result<Notes>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("replay.json");
        fs::write(&path, bytes).unwrap();
        let notes = Notes::open(Some(path), "letters".to_owned(), 0..1);
        (directory, notes)
    }

    proptest! {
        #[test]
        fn any_checkpoint_is_read_back_as_it_was_noted_and_can_be_continued(
            checkpoint in checkpoint(),
            order in "\\PC{0,20}",
            items in any::<usize>(),
        ) {
            let (_directory, notes) = opened(&serde_json::to_vec(&checkpoint).unwrap());
            let mut notes = notes.unwrap();
            prop_assert_eq!(notes.checkpoint(), &checkpoint);
            notes.sent(items as u64);
            notes.partly(&order, items).unwrap();
            let again = Notes::open(notes.file.clone(), "letters".to_owned(), 5..9).unwrap();
            prop_assert_eq!(again.checkpoint(), notes.checkpoint());
            prop_assert!(again.checkpoint().sent >= checkpoint.sent);
            prop_assert_eq!((again.checkpoint().items_of(&order), again.checkpoint().is_left(&order)), (items, true));
            notes.wholly(&order).unwrap();
            prop_assert!(!notes.checkpoint().is_left(&order));
        }

        #[test]
        fn a_damaged_file_is_read_as_a_checkpoint_of_the_same_replay_or_named_in_an_error(
            checkpoint in checkpoint(),
            at in any::<proptest::sample::Index>(),
            with in proptest::collection::vec(any::<u8>(), 0..4),
        ) {
            let mut bytes = serde_json::to_vec(&checkpoint).unwrap();
            let at = at.index(bytes.len());
            bytes.splice(at..=at, with);
            match opened(&bytes).1 {
                Ok(notes) => prop_assert_eq!(&notes.checkpoint().replay, "letters"),
                Err(error) => prop_assert!(error.to_string().contains("replay.json"), "{error}"),
            }
        }
    }

    #[test]
    fn a_replay_resumes_from_its_notes_and_another_replay_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = Some(directory.path().join("replay.json"));
        let open = |replay: &str, range| Notes::open(file.clone(), replay.to_owned(), range);
        let mut notes = open("letters", 1..2).unwrap();
        notes.sent(7);
        notes.partly("b", 7).unwrap();
        let again = open("letters", 5..9).unwrap();
        assert_eq!(again.checkpoint(), notes.checkpoint());
        let checkpoint = again.checkpoint();
        assert_eq!(
            (checkpoint.range_ms.clone(), checkpoint.sent, checkpoint.items_of("b"), checkpoint.items_of("c")),
            (1..2, 7, 7, 0)
        );
        assert_eq!(["a", "b", "c"].map(|order| checkpoint.is_left(order)), [false, true, true]);
        notes.wholly("b").unwrap();
        assert_eq!(["a", "b", "c"].map(|order| notes.checkpoint().is_left(order)), [false, false, true]);
        assert!(open("batches", 1..2).unwrap_err().to_string().contains("belongs to another replay (letters)"));
        notes.done().unwrap();
        assert_eq!(open("batches", 1..2).unwrap().checkpoint().sent, 0);
    }

    #[test]
    fn an_error_names_the_file_that_is_not_a_checkpoint() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("replay.json");
        fs::write(&path, "{}").unwrap();
        let error = Notes::open(Some(path), String::new(), 0..1).unwrap_err();
        assert!(
            error.to_string().ends_with("replay.json is not a checkpoint of a replay; name another --checkpoint"),
            "{error}"
        );
    }
}
