//! Checks that each message that cannot be processed is a dead letter with its bytes and its reason, and that no other
//! is.

use super::{Group, report_broken};
use crate::evidence::Evidence;
use crate::fingerprint::Fingerprint;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Counts of dead letters by reason. A record counts once for each reason, even if several of its values fail for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Letters {
    /// Dead letters that must exist.
    pub expected: BTreeMap<String, usize>,
    /// Dead letters that exist.
    pub found: BTreeMap<String, usize>,
    /// Expected and not found.
    pub missing: usize,
    /// Found and not expected.
    pub unexpected: usize,
}

pub(super) fn compare(
    evidence: &Evidence,
    groups: &BTreeMap<Fingerprint, Group<'_>>,
    broken: &mut Vec<String>,
) -> Letters {
    let expected = groups.iter().flat_map(|(fingerprint, group)| {
        group.sent[0].planned.dead_letters.iter().map(|reason| (*fingerprint, (*reason).to_owned()))
    });
    let expected = expected.collect::<BTreeSet<_>>();
    let found = evidence.letters.iter().map(|letter| (letter.fingerprint, letter.reason.clone()));
    let found = found.collect::<BTreeSet<_>>();
    let missing = expected.difference(&found).map(|(fingerprint, reason)| {
        let planned = &groups[fingerprint].sent[0].planned;
        format!("message {} of {:?} for {reason}", planned.number, planned.device.chars().take(40).collect::<String>())
    });
    let missing = missing.collect::<Vec<_>>();
    let unexpected = evidence
        .letters
        .iter()
        .filter(|letter| !expected.contains(&(letter.fingerprint, letter.reason.clone())))
        .map(|letter| letter.key.clone())
        .collect::<Vec<_>>();
    report_broken(broken, "dead letters are missing", &missing);
    report_broken(broken, "dead letters are unexpected", &unexpected);
    Letters {
        expected: by_reason(&expected),
        found: by_reason(&found),
        missing: missing.len(),
        unexpected: unexpected.len(),
    }
}

fn by_reason(letters: &BTreeSet<(Fingerprint, String)>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, reason) in letters {
        *counts.entry(reason.clone()).or_default() += 1;
    }
    counts
}
