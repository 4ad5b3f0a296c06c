//! What every store of alarms must do.

use super::{AlarmStore, keep};
use crate::scaling::alarms::{AlarmChange, AlarmState, ShardAlarms};
use crate::scaling::shards::{Capacity, Policy};

/// Runs the suite on `alarms`, which must have none whose names begin with `conformance`.
///
/// # Panics
///
/// Where the alarms do not conform.
#[allow(clippy::unwrap_used)]
pub async fn suite(alarms: &impl AlarmStore) {
    let prefix = "conformance-ingest";
    let of = ShardAlarms {
        stream: "ingest".to_owned(),
        prefix: prefix.to_owned(),
        actions: vec!["arn:aws:sns:us-east-1:000000000000:reshard".to_owned()],
    };
    let definitions = |open| of.definitions(open, &Capacity::of(&[]), &Policy::default()).unwrap();
    assert_eq!(alarms.found(prefix).await.unwrap(), []);

    // What was put is found, whole, and needs no change.
    let two = definitions(2);
    assert_eq!(keep(alarms, prefix, two.clone()).await.unwrap(), two.len());
    let mut found = alarms.found(prefix).await.unwrap();
    found.sort_by(|a, b| a.definition.name.cmp(&b.definition.name));
    let mut sorted = two.clone();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(found.iter().map(|alarm| alarm.definition.clone()).collect::<Vec<_>>(), sorted);
    assert!(found.iter().all(|alarm| alarm.state == AlarmState::InsufficientData));
    assert_eq!(keep(alarms, prefix, two.clone()).await.unwrap(), 0);

    // Another number of shards changes those that depend on it.
    let four = definitions(4);
    let differ = two.iter().zip(&four).filter(|(two, four)| two != four).count();
    assert_eq!(keep(alarms, prefix, four.clone()).await.unwrap(), differ);
    assert_eq!(keep(alarms, prefix, four).await.unwrap(), 0);

    // A state can be set back.
    alarms.change(&AlarmChange::Reset(two[0].name.clone())).await.unwrap();
    assert_eq!(alarms.found(&two[0].name).await.unwrap()[0].state, AlarmState::InsufficientData);

    // What is not wanted goes; to delete it again is no error. Other prefixes are left alone.
    let other = ShardAlarms { prefix: "conformance-other".to_owned(), ..of.clone() };
    let others = other.definitions(1, &Capacity::of(&[]), &Policy::default()).unwrap();
    keep(alarms, "conformance-other", others.clone()).await.unwrap();
    keep(alarms, prefix, Vec::new()).await.unwrap();
    assert_eq!(alarms.found(prefix).await.unwrap(), []);
    alarms.delete(&[two[0].name.clone()]).await.unwrap();
    assert_eq!(alarms.found("conformance-other").await.unwrap().len(), others.len());
    keep(alarms, "conformance-other", Vec::new()).await.unwrap();
}
