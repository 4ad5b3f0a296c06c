//! What every adapter of the port to states does.

use super::super::bytes::{CorruptedState, Reader};
use super::super::{Seen, State};
use super::{Commit, Committed, Loaded, States, Version};
use crate::stream::batch::Position;

/// The state of the suite: how much was counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    seen: Seen,
    count: u64,
}

impl State for Counted {
    const NAME: &'static str = "counted";
    const VERSION: u8 = 1;

    fn size_hint(&self) -> usize {
        self.seen.size_hint() + 8
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        self.seen.encode_into(out);
        out.extend(self.count.to_le_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        Ok(Self { seen: Seen::decode(reader)?, count: reader.u64()? })
    }

    fn position(&self, stream: &str) -> Option<Position> {
        self.seen.position(stream)
    }

    fn revision(&self, _: &str) -> u64 {
        self.count
    }
}

fn state(before: Option<&Counted>, n: u32) -> Counted {
    let mut state = before.cloned().unwrap_or_default();
    state.seen = state.seen.for_stream("stream");
    state.seen.advance("shard", Position { sub: n, ..Position::ZERO });
    state.count += u64::from(n);
    state
}

async fn load(port: &impl States<State = Counted>, device: &str) -> Loaded<Counted> {
    port.load(&[device]).await.expect("load").remove(0)
}

async fn commit(port: &impl States<State = Counted>, device: &str, replaces: &Version, state: &Counted) -> Committed {
    port.commit(&[Commit { device_id: device, replaces, state }]).await.expect("commit").remove(0)
}

/// Runs the whole suite against `port`, on devices whose names begin with `prefix` and that have no state.
///
/// # Panics
/// Where the port does something else.
pub async fn suite(port: &impl States<State = Counted>, prefix: &str) {
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
    let loaded = port.load(&[devices[2], "stranger", devices[0]]).await.expect("load");
    assert_eq!(loaded[0].state.as_ref(), Some(&first), "answers come in the order of the question");
    assert_eq!(loaded[1], Loaded::default());
    assert_eq!(loaded[2].state.as_ref(), Some(&first));

    let device = devices[0];
    assert_eq!(commit(port, device, &Version::default(), &second).await, Committed::Conflict, "it is no longer new");
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
    assert_eq!(answers, [Committed::Conflict, Committed::Done], "one device's conflict does not affect another");
    many(port, prefix).await;
}

/// More devices than go into one call of any server: each answer belongs to its own device.
async fn many(port: &impl States<State = Counted>, prefix: &str) {
    let names: Vec<String> = (0..700).map(|n| format!("{prefix}-many-{n}")).collect();
    let devices: Vec<&str> = names.iter().map(String::as_str).collect();
    let (first, unknown) = (state(None, 1), Version(vec![7; 16]));
    let new = Version::default();
    let commits: Vec<_> = devices
        .iter()
        .enumerate()
        .map(|(n, device_id)| Commit { device_id, replaces: if n % 7 == 3 { &unknown } else { &new }, state: &first })
        .collect();
    let answers = port.commit(&commits).await.expect("commit");
    let loaded = port.load(&devices).await.expect("load");
    for (n, (answer, loaded)) in answers.iter().zip(&loaded).enumerate() {
        let expected = if n % 7 == 3 { (Committed::Conflict, None) } else { (Committed::Done, Some(&first)) };
        assert_eq!((*answer, loaded.state.as_ref()), expected, "{}", names[n]);
    }
    assert_eq!((answers.len(), loaded.len()), (names.len(), names.len()));
}

/// Runs the part about `device`, whose stored bytes are not a state.
///
/// # Panics
/// Where the port does something else.
pub async fn corrupted(port: &impl States<State = Counted>, device: &str) {
    let loaded = load(port, device).await;
    assert_eq!(
        (loaded.state, loaded.corrupted),
        (None, true),
        "bytes that are not a state count as lost, and are reported"
    );
    let next = state(None, 1);
    assert_eq!(commit(port, device, &loaded.version, &next).await, Committed::Done, "and is replaced");
    assert_eq!(load(port, device).await.state, Some(next));
}
