//! The directory of a stack: one stack at a time, and only what an earlier stack left there is removed.

use anyhow::{Context as _, Result, bail};
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The file whose lock a running stack has. The system releases it when the process ends, whatever ends it.
const LOCK: &str = "lock";
/// The directory of the buckets, and that of the logs.
pub(super) const BUCKETS: &str = "s3";
pub(super) const LOGS: &str = "logs";
/// Where the S3 server keeps objects that are being put.
const INCOMING: &str = ".incoming";

/// The directory of a running stack, which no other process uses as long as this exists.
#[derive(Debug)]
pub(super) struct Directory {
    /// Its absolute path.
    pub(super) path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Takes the directory, which is created if necessary, and removes the buckets and logs of an earlier stack.
    ///
    /// # Errors
    /// Another process has it, or it has something under the name of the buckets or logs that is not a stack's.
    pub(super) fn take(directory: &Path) -> Result<Self> {
        let failed = || format!("cannot prepare the directory {}", directory.display());
        std::fs::create_dir_all(directory).with_context(failed)?;
        let path = directory.canonicalize().with_context(failed)?;
        let mut lock = open(&path).with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let process = std::fs::read_to_string(path.join(LOCK)).unwrap_or_default();
                bail!(
                    "process {} runs a stack in {}; stop it, or choose another --directory",
                    process.trim(),
                    path.display()
                );
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).with_context(failed)?;
        let is_bucket = |name: &str| name == INCOMING || name.starts_with(super::STACK);
        let is_log = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "log");
        // All is checked before anything is removed.
        check_own(&path.join(BUCKETS), is_bucket)?;
        check_own(&path.join(LOGS), is_log)?;
        for own in [BUCKETS, LOGS] {
            let own = path.join(own);
            if own.exists() {
                std::fs::remove_dir_all(&own).with_context(failed)?;
            }
            std::fs::create_dir_all(&own).with_context(failed)?;
        }
        Ok(Self { path, _lock: lock })
    }
}

fn open(directory: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(directory.join(LOCK))
}

/// The id of the process that runs a stack in `directory`; `None` if none does.
pub fn runner(directory: &Path) -> Option<u32> {
    let lock = File::open(directory.join(LOCK)).ok()?;
    let is_running = matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock));
    is_running.then(|| std::fs::read_to_string(directory.join(LOCK)).ok()?.trim().parse().ok()).flatten()
}

/// Checks that a directory has nothing but what a stack puts there, by its name.
fn check_own(directory: &Path, is_own: impl Fn(&str) -> bool) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    let failed = || format!("cannot read the directory {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        if !entry.file_name().to_str().is_some_and(&is_own) {
            bail!(
                "{} is not of an earlier stack, and would be removed; move it, or choose another --directory",
                entry.path().display()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_directory_has_one_stack_at_a_time_and_names_its_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(runner(path), None);
        let first = Directory::take(path).unwrap();
        fs::write(path.join("s3").join("myaku-lake-a"), "kept").unwrap();
        let this = std::process::id();
        assert_eq!(runner(path), Some(this));
        let error = Directory::take(path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("process {this} runs a stack in ")), "{error}");
        assert!(path.join("s3/myaku-lake-a").exists(), "the first stack keeps what it has");
        drop(first);
        assert_eq!(runner(path), None);
        drop(Directory::take(path).unwrap());
        assert!(!path.join("s3/myaku-lake-a").exists());
    }

    #[test]
    fn what_is_not_a_stacks_is_never_removed() {
        for (own, foreign) in [("logs/archiver.log", "s3/photos"), ("s3/myaku-lake-a", "logs/diary.txt")] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path();
            for file in [own, foreign, "notes.txt"] {
                fs::create_dir_all(path.join(file).parent().unwrap()).unwrap();
                fs::write(path.join(file), "x").unwrap();
            }
            let error = Directory::take(path).unwrap_err().to_string();
            assert!(error.contains(foreign) && error.contains("is not of an earlier stack"), "{error}");
            assert!(path.join(own).exists() && path.join(foreign).exists(), "nothing was removed");
            fs::remove_file(path.join(foreign)).unwrap();
            drop(Directory::take(path).unwrap());
            assert!(!path.join(own).exists() && path.join("notes.txt").exists());
        }
    }
}
