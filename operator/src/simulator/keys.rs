//! How the load lies in the keyspace: most of it evenly, some of it on single keys.

use myaku::stream::shard_map::HashKeyRange;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Keys that are heavy by themselves; all others together spread evenly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keys {
    /// Hash keys, with their share of the load.
    heavy: Vec<(u128, f64)>,
}

impl Keys {
    /// One key with `share` of the load, somewhere.
    pub fn hot(share: f64, seed: u64) -> Self {
        if share <= 0.0 {
            return Self::default();
        }
        Self { heavy: vec![(StdRng::seed_from_u64(seed).random(), share.min(1.0))] }
    }

    /// The heavy keys' shares.
    pub fn heavy(&self) -> impl Iterator<Item = f64> {
        self.heavy.iter().map(|(_, share)| *share)
    }

    /// Whether nothing sticks out.
    pub const fn are_even(&self) -> bool {
        self.heavy.is_empty()
    }

    /// The share of the load that each range gets.
    pub fn shares(&self, ranges: &[HashKeyRange]) -> Vec<f64> {
        let even = 1.0 - self.heavy().sum::<f64>();
        let share = |range: &HashKeyRange| {
            let width = ((range.end - range.start) as f64 + 1.0) / 2_f64.powi(128);
            let inside = self.heavy.iter().filter(|(hash, _)| (range.start..=range.end).contains(hash));
            even * width + inside.map(|(_, share)| share).sum::<f64>()
        };
        ranges.iter().map(share).collect()
    }

    /// The hash keys of `count` records drawn at random.
    pub fn sample(&self, count: usize, rng: &mut StdRng) -> Vec<u128> {
        let mut draw = || {
            let mut ticket: f64 = rng.random();
            for (hash, share) in &self.heavy {
                if ticket < *share {
                    return *hash;
                }
                ticket -= share;
            }
            rng.random()
        };
        (0..count).map(|_| draw()).collect()
    }
}
