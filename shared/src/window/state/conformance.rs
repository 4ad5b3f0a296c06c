//! What every adapter of the state's port does.

use super::{Commit, Committed, Loaded, States, Version};
use crate::device::profile::WindowSpec;
use crate::stream::batch::Position;
use crate::window::{DeviceState, Incoming, Origin, advance, id_digest};
use std::collections::BTreeMap;

const SPEC: WindowSpec = WindowSpec::last(3);

fn state(before: Option<&DeviceState>, n: u32) -> DeviceState {
    let position = Position { sub: n, ..Position::ZERO };
    let id = n.to_string();
    let at = i64::from(n) * 1_000;
    let reading = Incoming { position, metric: "m", id: id_digest(&id), at, value: n.into(), index: 0 };
    advance(before, Origin { stream: "stream", shard: "shard" }, &[reading], |_| Some(&SPEC), &BTreeMap::new()).state
}

async fn load(port: &impl States, device: &str) -> Loaded {
    port.load(&[device]).await.expect("load").remove(0)
}

async fn commit(port: &impl States, device: &str, replaces: &Version, state: &DeviceState) -> Committed {
    port.commit(&[Commit { device_id: device, replaces, state }]).await.expect("commit").remove(0)
}

/// Runs all of it against `port`, on devices whose names begin with `prefix` and that have no state.
///
/// # Panics
/// Where the port does otherwise.
pub async fn suite(port: &impl States, prefix: &str) {
    let names: Vec<String> = ["a", "b} {c", "ü\n"].iter().map(|name| format!("{prefix}-{name}")).collect();
    let devices: Vec<&str> = names.iter().map(String::as_str).collect();
    let (first, second) = (state(None, 1), state(Some(&state(None, 1)), 2));

    assert_eq!(port.load(&[]).await.expect("load"), []);
    assert_eq!(port.commit(&[]).await.expect("commit"), []);
    let nothing = port.load(&devices).await.expect("load");
    assert!(nothing.iter().all(|loaded| *loaded == Loaded::default()), "a device that is new has no state");

    let commits: Vec<_> = devices
        .iter()
        .zip(&nothing)
        .map(|(device_id, loaded)| Commit { device_id, replaces: &loaded.version, state: &first })
        .collect();
    assert_eq!(port.commit(&commits).await.expect("commit"), [Committed::Done; 3]);
    let loaded = port.load(&[devices[2], "nobody", devices[0]]).await.expect("load");
    assert_eq!(loaded[0].state.as_ref(), Some(&first), "answers come in the order of the question");
    assert_eq!(loaded[1], Loaded::default());
    assert_eq!(loaded[2].state.as_ref(), Some(&first));

    let device = devices[0];
    assert_eq!(commit(port, device, &Version::default(), &second).await, Committed::Conflict, "it is not new any more");
    assert_eq!(commit(port, device, &Version::default(), &first).await, Committed::Done, "a repeated commit is done");
    let version = loaded[2].version.clone();
    assert_eq!(commit(port, device, &version, &second).await, Committed::Done);
    let zombie = state(Some(&first), 9);
    assert_eq!(commit(port, device, &version, &zombie).await, Committed::Conflict, "a zombie changes nothing");
    assert_eq!(load(port, device).await.state, Some(second.clone()));

    let version = load(port, device).await.version;
    let third = state(Some(&second), 3);
    let mixed = [
        Commit { device_id: devices[1], replaces: &version, state: &third },
        Commit { device_id: device, replaces: &version, state: &third },
    ];
    let answers = port.commit(&mixed).await.expect("commit");
    assert_eq!(answers, [Committed::Conflict, Committed::Done], "one device's conflict is no other's");
    many(port, prefix).await;
}

/// More devices than go into one call of any server: each answer is that of its own device.
async fn many(port: &impl States, prefix: &str) {
    let names: Vec<String> = (0..700).map(|n| format!("{prefix}-many-{n}")).collect();
    let devices: Vec<&str> = names.iter().map(String::as_str).collect();
    let (first, nobodys) = (state(None, 1), Version(vec![7; 16]));
    let new = Version::default();
    let commits: Vec<_> = devices
        .iter()
        .enumerate()
        .map(|(n, device_id)| Commit { device_id, replaces: if n % 7 == 3 { &nobodys } else { &new }, state: &first })
        .collect();
    let answers = port.commit(&commits).await.expect("commit");
    let loaded = port.load(&devices).await.expect("load");
    for (n, (answer, loaded)) in answers.iter().zip(&loaded).enumerate() {
        let expected = if n % 7 == 3 { (Committed::Conflict, None) } else { (Committed::Done, Some(&first)) };
        assert_eq!((*answer, loaded.state.as_ref()), expected, "{}", names[n]);
    }
    assert_eq!((answers.len(), loaded.len()), (names.len(), names.len()));
}

/// Runs the part about `device`, whose stored bytes are no state.
///
/// # Panics
/// Where the port does otherwise.
pub async fn corrupted(port: &impl States, device: &str) {
    let loaded = load(port, device).await;
    assert_eq!((loaded.state, loaded.corrupted), (None, true), "what is no state counts as lost, and is told");
    let next = state(None, 1);
    assert_eq!(commit(port, device, &loaded.version, &next).await, Committed::Done, "and is replaced");
    assert_eq!(load(port, device).await.state, Some(next));
}
