//! Every target on its seeds, and on these spoilt: what libFuzzer does for hours, for a moment, on any toolchain.

use super::{TARGETS, Target};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Spoilt inputs of each target.
const SPOILT: u64 = 400;

/// An input like those of `seeds`.
fn spoilt(seeds: &[Vec<u8>], words: &[&str], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = seeds.choose(rng).cloned().unwrap_or_default();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=bytes.len());
        let end = rng.random_range(at..=bytes.len().min(at + 16));
        match rng.random_range(0..6) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, rng.random()),
            3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
            4 => drop(bytes.splice(at..end, words.choose(rng).unwrap_or(&"0").bytes())),
            _ => {
                let other = seeds.choose(rng).map_or(&[][..], Vec::as_slice);
                let from = rng.random_range(0..=other.len());
                bytes.splice(at..end, other[from..].iter().take(40).copied());
            }
        }
    }
    bytes
}

/// The first of `inputs` for which something does not hold.
fn broken(target: &Target, inputs: impl IntoIterator<Item = Vec<u8>>) -> Option<String> {
    let fails = |bytes: &Vec<u8>| std::panic::catch_unwind(|| (target.check)(bytes)).is_err();
    let bytes = inputs.into_iter().find(fails)?;
    Some(format!("{} does not hold for b\"{}\"", target.name, bytes.escape_ascii()))
}

#[test]
fn every_target_holds_for_its_seeds_whole_and_spoilt() {
    let broken: Vec<_> = TARGETS
        .iter()
        .filter_map(|target| {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            let random = |seed| StdRng::seed_from_u64(seed);
            let spoilt = (0..SPOILT).map(|seed| spoilt(&seeds, target.words, &mut random(seed)));
            broken(target, seeds.iter().cloned().chain(spoilt))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_target_has_a_program_of_its_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    let names: BTreeSet<String> = TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<_>>(), names);
}
