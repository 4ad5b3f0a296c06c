//! Checks that every message that was sent is in the lake. Objects never change, so each is read once, as it appears.

use crate::fingerprint::Fingerprint;
use anyhow::{Context as _, Result};
use myaku::lake::archive::{Lake, ObjectKey, read_object};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Between two listings of the objects.
const INTERVAL: Duration = Duration::from_secs(1);
/// The prefix of the lake's objects.
const RAW: &str = "raw/";

/// What the lake has of the messages.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LakeCheck {
    /// Messages that must be in the lake.
    pub wanted: usize,
    /// Messages that are not in the lake.
    pub lost: usize,
    /// Further lines of a message in the lake: it was sent again or delivered again.
    pub repeated: usize,
    /// How long after the end of sending the last message was found, in seconds.
    pub seconds: f64,
}

/// Reads `lake` until it has every message of `wanted`, or until no new object appeared for `patience`.
pub async fn lake(
    lake: &impl Lake,
    mut seen: BTreeSet<String>,
    wanted: &BTreeSet<Fingerprint>,
    patience: Duration,
) -> Result<LakeCheck> {
    let started = Instant::now();
    let (mut found, mut repeated, mut last_new) = (BTreeSet::new(), 0, started);
    loop {
        for name in lake.list(RAW).await.context("cannot list the objects of the lake")? {
            // Keys that do not parse are notes of the archiver, not objects of records.
            let Ok(key) = name.parse::<ObjectKey>() else { continue };
            if !seen.insert(name) {
                continue;
            }
            for record in read_object(lake, &key).await?.1 {
                let fingerprint = Fingerprint::of_record(&record.data);
                if wanted.contains(&fingerprint) && !found.insert(fingerprint) {
                    repeated += 1;
                }
            }
            last_new = Instant::now();
        }
        if found.len() == wanted.len() || last_new.elapsed() > patience {
            let lost = wanted.len() - found.len();
            let seconds = last_new.duration_since(started).as_secs_f64();
            return Ok(LakeCheck { wanted: wanted.len(), lost, repeated, seconds });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The objects that the lake has before anything is sent.
pub async fn before(lake: &impl Lake) -> Result<BTreeSet<String>> {
    Ok(lake.list(RAW).await.context("cannot list the objects of the lake")?.into_iter().collect())
}
