//! Whether all that was handed over is in the lake. Objects never change, so that each is read once, while they come.

use crate::fingerprint::Fingerprint;
use anyhow::{Context as _, Result};
use myaku::lake::archive::{Lake, ObjectKey, read_object};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at which objects there are.
const INTERVAL: Duration = Duration::from_secs(1);
/// Where the lake's objects stand.
const RAW: &str = "raw/";

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Messages that must be in the lake.
    pub wanted: usize,
    /// Those of them that are not.
    pub lost: usize,
    /// Lines of the lake beyond the first of each message: sent again, or delivered again.
    pub repeated: usize,
    /// Until the last of them was found, in seconds from the end of sending.
    pub seconds: f64,
}

/// Looks until everything of `wanted` is in `lake`, or until no new object came for `patience`.
pub async fn lake(
    lake: &impl Lake,
    mut seen: BTreeSet<String>,
    wanted: &BTreeSet<Fingerprint>,
    patience: Duration,
) -> Result<Found> {
    let started = Instant::now();
    let (mut found, mut repeated, mut last_new) = (BTreeSet::new(), 0, started);
    loop {
        for name in lake.list(RAW).await.context("the lake cannot be listed")? {
            // What is no object of records is a note of the archiver's.
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
            return Ok(Found { wanted: wanted.len(), lost, repeated, seconds });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The objects that are there before anything is sent.
pub async fn before(lake: &impl Lake) -> Result<BTreeSet<String>> {
    Ok(lake.list(RAW).await.context("the lake cannot be listed")?.into_iter().collect())
}
