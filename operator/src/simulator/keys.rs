//! How the load is spread over the keyspace: most of it evenly, some of it on single keys.

use myaku::stream::shard_map::HashKeyRange;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Single keys with a share of the load; all other keys together are spread evenly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keys {
    /// The hash keys of hot keys, with their share of the load.
    hot: Vec<(u128, f64)>,
}

impl Keys {
    /// Returns one key with `share` of the load, at a random place.
    pub fn one_hot(share: f64, seed: u64) -> Self {
        if share <= 0.0 {
            return Self::default();
        }
        Self { hot: vec![(StdRng::seed_from_u64(seed).random(), share.min(1.0))] }
    }

    /// Returns the share of each hot key.
    pub fn hot_shares(&self) -> impl Iterator<Item = f64> {
        self.hot.iter().map(|(_, share)| *share)
    }

    /// Whether no key is hot.
    pub const fn are_even(&self) -> bool {
        self.hot.is_empty()
    }

    /// Returns the share of the load that falls into each range.
    pub fn shares(&self, ranges: &[HashKeyRange]) -> Vec<f64> {
        let even = 1.0 - self.hot_shares().sum::<f64>();
        let share = |range: &HashKeyRange| {
            let width = ((range.end - range.start) as f64 + 1.0) / 2_f64.powi(128);
            let inside = self.hot.iter().filter(|(hash, _)| (range.start..=range.end).contains(hash));
            even * width + inside.map(|(_, share)| share).sum::<f64>()
        };
        ranges.iter().map(share).collect()
    }

    /// Draws the hash keys of `count` records at random.
    pub fn sample(&self, count: usize, rng: &mut StdRng) -> Vec<u128> {
        let mut draw = || {
            let mut ticket: f64 = rng.random();
            for (hash, share) in &self.hot {
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
