use super::*;
use crate::stream::slot::Slot;

fn at(n: u32) -> Position {
    Position { sequence: n.to_string().parse().unwrap(), sub: 0 }
}

fn slots(range: std::ops::Range<u8>) -> Slots {
    range.map(Slot).collect()
}

fn entry(position: u32, newest_ms: i64, of: std::ops::Range<u8>) -> Acknowledged {
    Acknowledged { position: at(position), newest_ms, slots: slots(of) }
}

#[test]
fn a_shard_takes_over_the_slots_of_the_shards_that_it_was_made_of() {
    let parent = Progress::default().after("parent", at(5), 500, slots(0..8));
    assert_eq!(parent.acknowledged["parent"], entry(5, 500, 0..8));
    let low = parent.after("low", at(7), 300, slots(0..4));
    assert_eq!(low.acknowledged["low"], entry(7, 500, 0..4), "the parent's newest time is the child's as well");
    assert_eq!(low.acknowledged["parent"], entry(5, 500, 4..8), "the other half is still the parent's");
    let both = low.after("high", at(6), 100, slots(4..8));
    assert_eq!(both.acknowledged.keys().collect::<Vec<_>>(), ["high", "low"]);
    let merged = both.after("merged", at(9), 600, slots(0..8));
    assert_eq!(merged.acknowledged, BTreeMap::from([("merged".to_owned(), entry(9, 600, 0..8))]));
}

#[test]
fn an_invocation_that_should_be_dead_takes_nothing_back() {
    let child = Progress::default().after("parent", at(5), 500, slots(0..8)).after("child", at(7), 600, slots(0..4));
    let again = child.after("parent", at(4), 400, slots(0..8));
    assert_eq!(again.acknowledged["parent"], entry(5, 600, 4..8));
    assert_eq!(again.acknowledged["child"], child.acknowledged["child"]);
    let other = child.after("other", at(8), 800, slots(4..8));
    assert_eq!(other.after("parent", at(5), 500, slots(0..8)), other);
}

#[test]
fn an_entry_reads_as_it_is_written() {
    let entry = entry(7, 1_795_218_892_020, 0..128);
    assert_eq!(entry.to_string(), "7.0 1795218892020 00-7f");
    assert_eq!(entry.to_string().parse(), Ok(entry));
    assert!("7.0 x 00".parse::<Acknowledged>().is_err());
}
