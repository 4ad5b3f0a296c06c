//! The suite that every store of alarms must pass.

use super::{AlarmStore, update};
use crate::scaling::alarms::{AlarmChange, AlarmState, ShardAlarms};
use crate::scaling::shards::{Capacity, Policy};

/// Runs the suite on `alarms`, which must have no alarm whose name begins with `conformance`.
///
/// # Panics
///
/// If the alarms do not conform.
#[allow(clippy::unwrap_used)]
pub async fn suite(alarms: &impl AlarmStore) {
    let of = ShardAlarms {
        stream: "ingest".to_owned(),
        prefix: "conformance-ingest".to_owned(),
        actions: vec!["arn:aws:sns:us-east-1:000000000000:reshard".to_owned()],
    };
    let definitions = |open| of.definitions(open, &Capacity::of(&[]), &Policy::default()).unwrap();
    let names = &of.names();
    assert_eq!(alarms.describe(names).await.unwrap(), []);

    // Alarms that were put are described completely, and need no change.
    let two = definitions(2);
    assert_eq!(update(alarms, names, two.clone()).await.unwrap(), two.len());
    let mut listed = alarms.describe(names).await.unwrap();
    listed.sort_by(|a, b| a.definition.name.cmp(&b.definition.name));
    let mut sorted = two.clone();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(listed.iter().map(|alarm| alarm.definition.clone()).collect::<Vec<_>>(), sorted);
    assert!(listed.iter().all(|alarm| alarm.state == AlarmState::InsufficientData));
    assert_eq!(update(alarms, names, two.clone()).await.unwrap(), 0);

    // Another number of shards changes the alarms that depend on it.
    let four = definitions(4);
    let differ = two.iter().zip(&four).filter(|(two, four)| two != four).count();
    assert_eq!(update(alarms, names, four.clone()).await.unwrap(), differ);
    assert_eq!(update(alarms, names, four).await.unwrap(), 0);

    // A state can be reset.
    alarms.change(&AlarmChange::Reset(two[0].name.clone())).await.unwrap();
    assert_eq!(alarms.describe(&names[..1]).await.unwrap()[0].state, AlarmState::InsufficientData);

    // Unwanted alarms are deleted, and deleting them again is not an error. Alarms with other names are left alone, also if
    // these begin in the same way.
    let other = ShardAlarms { prefix: "conformance-ingest-other".to_owned(), ..of.clone() };
    let others = other.definitions(1, &Capacity::of(&[]), &Policy::default()).unwrap();
    update(alarms, &other.names(), others.clone()).await.unwrap();
    update(alarms, names, Vec::new()).await.unwrap();
    assert_eq!(alarms.describe(names).await.unwrap(), []);
    alarms.delete(&[two[0].name.clone()]).await.unwrap();
    assert_eq!(alarms.describe(&other.names()).await.unwrap().len(), others.len());
    update(alarms, &other.names(), Vec::new()).await.unwrap();
}
