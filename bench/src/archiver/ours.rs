//! The archiver as it is deployed, without a network: from an invocation's body to the object that it puts.

use crate::clock::spent;
use anyhow::{Context as _, Result, bail};
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use myaku::lake::archive::{Archiver, Compression, Format, Head, Heads, Lake, Metadata, Put, Stored};
use myaku::platform::errors::RemoteError;
use myaku::stream::batch::Batch;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;

/// The archiver of a warm function.
pub(crate) struct Archive {
    archiver: Archiver<Outbox, NoHeads>,
    outbox: Outbox,
    runtime: Runtime,
}

impl Archive {
    /// The archiver as every invocation after the first has it: its stream is known.
    pub(crate) fn new(compression: Compression) -> Result<Self> {
        let outbox = Outbox::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self { archiver: Archiver::new(outbox.clone(), NoHeads, compression), outbox, runtime })
    }

    /// Does all that the function does with a body: parses, deaggregates, hashes, compresses and puts it.
    pub(crate) fn object(&self, body: Vec<u8>) -> Result<Stored> {
        let batch = Batch::from_event(body)?;
        let archived = self.runtime.block_on(self.archiver.archive(&batch));
        if let Some(stopped) = archived.stopped {
            return Err(stopped.error.into());
        }
        self.outbox.take().context("the archiver put no object")
    }

    /// The CPU time of that. The copy of the body is not counted, because the runtime hands a body of its own to the
    /// function.
    pub(crate) fn spent(&self, body: &[u8]) -> Duration {
        let body = black_box(body.to_vec());
        spent(|| drop(black_box(self.object(body))))
    }
}

/// A lake that is empty for each invocation, and keeps the last object.
#[derive(Clone, Default)]
struct Outbox(std::sync::Arc<Mutex<Option<Stored>>>);

impl Outbox {
    fn take(&self) -> Option<Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Lake for Outbox {
    async fn put_if_absent(&self, _: &str, object: &Stored) -> Result<Put, RemoteError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(object.clone());
        Ok(Put::Created)
    }

    async fn metadata(&self, _: &str) -> Result<Option<Metadata>, RemoteError> {
        Ok(None)
    }

    async fn get(&self, _: &str) -> Result<Option<Stored>, RemoteError> {
        Ok(None)
    }

    async fn list(&self, _: &str) -> Result<Vec<String>, RemoteError> {
        Ok(Vec::new())
    }
}

struct NoHeads;

impl Heads for NoHeads {
    async fn get(&self, _: &str, _: &str) -> Result<Option<Head>, RemoteError> {
        Ok(None)
    }

    async fn advance(&self, _: &str, _: &str, _: Head) -> Result<(), RemoteError> {
        Ok(())
    }
}

/// The lines of an object, whose first bytes name its codec.
pub(crate) fn lines(object: &Stored) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    match *object.body {
        [0x1F, 0x8B, ..] => GzDecoder::new(&object.body[..]).read_to_end(&mut lines)?,
        [0x28, 0xB5, 0x2F, 0xFD, ..] => zstd::Decoder::new(&object.body[..])?.read_to_end(&mut lines)?,
        _ => bail!("the object is neither gzip nor zstd"),
    };
    Ok(lines)
}

/// Compresses `lines` at once with the archiver's codec, and does nothing else.
pub(super) fn pack(lines: &[u8], format: Format, level: u32) -> Result<Stored> {
    let body = match format {
        Format::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(level));
            encoder.write_all(lines)?;
            encoder.finish()?
        }
        Format::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), level as i32)?;
            encoder.include_checksum(true)?;
            encoder.write_all(lines)?;
            encoder.finish()?
        }
    };
    Ok(Stored { body: body.into(), ..Stored::default() })
}
