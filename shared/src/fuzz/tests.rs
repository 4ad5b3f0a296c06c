//! Runs every target with its seeds and with damaged seeds. libFuzzer does the same for hours; this takes a moment, and
//! works with any toolchain.

use super::{TARGETS, Target};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The number of damaged inputs for each target.
const DAMAGED: u64 = 400;

/// Takes one of `seeds` and damages it.
fn damage(seeds: &[Vec<u8>], words: &[&str], rng: &mut StdRng) -> Vec<u8> {
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

/// Finds the first of `inputs` for which the target fails.
fn find_failure(target: &Target, inputs: impl IntoIterator<Item = Vec<u8>>) -> Option<String> {
    let fails = |bytes: &Vec<u8>| std::panic::catch_unwind(|| (target.check)(bytes)).is_err();
    let bytes = inputs.into_iter().find(fails)?;
    Some(format!("target {} fails for b\"{}\"", target.name, bytes.escape_ascii()))
}

#[test]
fn every_target_passes_for_its_seeds_and_for_damaged_seeds() {
    let failures: Vec<_> = TARGETS
        .iter()
        .filter_map(|target| {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            let random = |seed| StdRng::seed_from_u64(seed);
            let damaged = (0..DAMAGED).map(|seed| damage(&seeds, target.words, &mut random(seed)));
            find_failure(target, seeds.iter().cloned().chain(damaged))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_target_has_a_program_with_its_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    let names: BTreeSet<String> = TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<_>>(), names);
}
