//! The MD5 of many messages at once (RFC 1321).
//!
//! A digest is a chain: each step waits for the one before, so most of the processor is idle. The digests of different
//! messages are independent. So eight messages share vector registers, one lane each; when a message ends, the next one
//! takes its lane. Every x86-64 and arm64 processor has vectors of 128 bits, so nothing has to be detected.

use super::DIGEST_LEN;
use md5::{Digest as _, Md5};
use std::cmp::Reverse;
use wide::u32x4;

/// How many vectors are processed side by side, so that one works while the other waits. Three are hardly faster, and
/// leave more lanes idle.
const GROUPS: usize = 2;
/// How many messages are digested at once.
const LANES: usize = 4 * GROUPS;
const BLOCK_LEN: usize = 64;
/// Bytes of the message's length at the end of its last block.
const LENGTH_LEN: usize = 8;

type Block = [u8; BLOCK_LEN];
/// One word of each lane.
type Word = [u32x4; GROUPS];
/// The words A, B, C and D of each lane.
type State = [Word; 4];

/// RFC 1321, 3.3.
const START: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];
/// RFC 1321, 3.4: by how many bits the four steps of each round rotate.
const ROTATIONS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
/// RFC 1321, 3.4: the whole part of 2³² times the sine of each step's number.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xD76A_A478, 0xE8C7_B756, 0x2420_70DB, 0xC1BD_CEEE, 0xF57C_0FAF, 0x4787_C62A, 0xA830_4613, 0xFD46_9501,
    0x6980_98D8, 0x8B44_F7AF, 0xFFFF_5BB1, 0x895C_D7BE, 0x6B90_1122, 0xFD98_7193, 0xA679_438E, 0x49B4_0821,
    0xF61E_2562, 0xC040_B340, 0x265E_5A51, 0xE9B6_C7AA, 0xD62F_105D, 0x0244_1453, 0xD8A1_E681, 0xE7D3_FBC8,
    0x21E1_CDE6, 0xC337_07D6, 0xF4D5_0D87, 0x455A_14ED, 0xA9E3_E905, 0xFCEF_A3F8, 0x676F_02D9, 0x8D2A_4C8A,
    0xFFFA_3942, 0x8771_F681, 0x6D9D_6122, 0xFDE5_380C, 0xA4BE_EA44, 0x4BDE_CFA9, 0xF6BB_4B60, 0xBEBF_BC70,
    0x289B_7EC6, 0xEAA1_27FA, 0xD4EF_3085, 0x0488_1D05, 0xD9D4_D039, 0xE6DB_99E5, 0x1FA2_7CF8, 0xC4AC_5665,
    0xF429_2244, 0x432A_FF97, 0xAB94_23A7, 0xFC93_A039, 0x655B_59C3, 0x8F0C_CC92, 0xFFEF_F47D, 0x8584_5DD1,
    0x6FA8_7E4F, 0xFE2C_E6E0, 0xA301_4314, 0x4E08_11A1, 0xF753_7E82, 0xBD3A_F235, 0x2AD7_D2BB, 0xEB86_D391,
];

/// The digest of each of `messages`, in their order.
pub(crate) fn md5_all(messages: &[&[u8]]) -> Vec<[u8; DIGEST_LEN]> {
    if let [only] = messages {
        return vec![Md5::digest(only).into()];
    }
    let mut digests = vec![[0; DIGEST_LEN]; messages.len()];
    // The longest first: a long message at the end would leave the other lanes idle.
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_unstable_by_key(|&index| Reverse(messages[index].len() / BLOCK_LEN));
    let mut waiting = order.into_iter().map(|index| Lane::of(index, messages[index]));
    let mut state = State::default();
    let mut lanes: [Option<Lane<'_>>; LANES] = std::array::from_fn(|lane| {
        reset_lane(&mut state, lane);
        waiting.next()
    });
    while let Some(busy) = lanes.iter().flatten().next() {
        // An idle lane digests a busy lane's blocks, to no effect.
        let busy = busy.blocks();
        let runs = lanes.each_ref().map(|lane| lane.as_ref().map_or(busy, Lane::blocks));
        let count = runs.iter().fold(usize::MAX, |least, run| least.min(run.len()));
        digest_blocks(&mut state, &runs.map(|run| &run[..count]));
        for (number, lane) in lanes.iter_mut().enumerate() {
            if let Some(message) = lane.as_mut().and_then(|lane| lane.advance(count)) {
                digests[message] = read_digest(&state, number);
                *lane = waiting.next();
                reset_lane(&mut state, number);
            }
        }
    }
    digests
}

/// A message that is being digested.
struct Lane<'a> {
    /// Its index in the list of messages.
    message: usize,
    /// Its remaining whole blocks.
    body: &'a [Block],
    /// The rest after the whole blocks, padded. It fills the last block, or both.
    tail: [Block; 2],
    /// The next block of the tail.
    tail_at: usize,
}

impl<'a> Lane<'a> {
    fn of(index: usize, message: &'a [u8]) -> Self {
        let (body, rest) = message.as_chunks();
        let tail_at = usize::from(rest.len() + 1 + LENGTH_LEN <= BLOCK_LEN);
        let mut tail = [[0; BLOCK_LEN]; 2];
        let padded = tail[tail_at..].as_flattened_mut();
        padded[..rest.len()].copy_from_slice(rest);
        padded[rest.len()] = 0x80;
        let bits = (message.len() as u64).wrapping_mul(8);
        tail[1][BLOCK_LEN - LENGTH_LEN..].copy_from_slice(&bits.to_le_bytes());
        Self { message: index, body, tail, tail_at }
    }

    /// The message's next blocks, at least one.
    fn blocks(&self) -> &[Block] {
        if self.body.is_empty() { &self.tail[self.tail_at..] } else { self.body }
    }

    /// Moves on by `count` of the [`blocks`](Self::blocks). Returns the message's index at its end.
    fn advance(&mut self, count: usize) -> Option<usize> {
        if self.body.is_empty() {
            self.tail_at += count;
        } else {
            self.body = &self.body[count..];
        }
        (self.tail_at == self.tail.len()).then_some(self.message)
    }
}

fn reset_lane(state: &mut State, lane: usize) {
    for (word, value) in state.iter_mut().zip(START) {
        word[lane / 4].as_mut_array()[lane % 4] = value;
    }
}

fn read_digest(state: &State, lane: usize) -> [u8; DIGEST_LEN] {
    let mut digest = [0; DIGEST_LEN];
    for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word[lane / 4].as_array()[lane % 4].to_le_bytes();
    }
    digest
}

/// Digests the blocks of all lanes, the same number from each.
fn digest_blocks(state: &mut State, runs: &[&[Block]; LANES]) {
    for at in 0..runs[0].len() {
        let words = words(&runs.map(|run| &run[at]));
        let mut next = *state;
        round(&mut next, &words, 0, |step| step, |b, c, d| d ^ (b & (c ^ d)));
        round(&mut next, &words, 1, |step| 5 * step + 1, |b, c, d| c ^ (d & (b ^ c)));
        round(&mut next, &words, 2, |step| 3 * step + 5, |b, c, d| b ^ c ^ d);
        round(&mut next, &words, 3, |step| 7 * step, |b, c, d| c ^ (b | !d));
        for (before, after) in state.iter_mut().flatten().zip(next.iter().flatten()) {
            *before += *after;
        }
    }
}

/// The sixteen words of a block, each for all lanes: transposes rows of blocks into columns of words.
#[inline]
fn words(blocks: &[&Block; LANES]) -> [Word; 16] {
    let mut words = [Word::default(); 16];
    for (group, blocks) in blocks.as_chunks::<4>().0.iter().enumerate() {
        for quarter in 0..4 {
            let row = |block: &Block| {
                let bytes = &block.as_chunks::<4>().0[4 * quarter..];
                u32x4::new(std::array::from_fn(|word| u32::from_le_bytes(bytes[word])))
            };
            for (word, column) in u32x4::transpose(blocks.map(row)).into_iter().enumerate() {
                words[4 * quarter + word][group] = column;
            }
        }
    }
    words
}

/// One round of sixteen steps. `word` says which word a step takes, and `mix` what it makes of B, C and D.
#[inline]
fn round(
    state: &mut State,
    words: &[Word; 16],
    number: usize,
    word: impl Fn(usize) -> usize + Copy,
    mix: impl Fn(u32x4, u32x4, u32x4) -> u32x4 + Copy,
) {
    // Not a loop: with known numbers, all indices and rotations are constants.
    four_steps(state, words, [number, 0], word, mix);
    four_steps(state, words, [number, 4], word, mix);
    four_steps(state, words, [number, 8], word, mix);
    four_steps(state, words, [number, 12], word, mix);
}

/// Four steps, after which each of A to D is in its place again.
#[allow(clippy::inline_always, reason = "indices and rotations are constants only if it is inlined: twice the speed")]
#[inline(always)]
fn four_steps(
    [a, b, c, d]: &mut State,
    words: &[Word; 16],
    [round, first]: [usize; 2],
    word: impl Fn(usize) -> usize,
    mix: impl Fn(u32x4, u32x4, u32x4) -> u32x4,
) {
    let take_step = |a: &mut Word, b: Word, c: Word, d: Word, step: usize| {
        let word = words[word(first + step) % 16];
        let sine = u32x4::splat(SINES[16 * round + first + step]);
        let bits = ROTATIONS[round][step];
        for group in 0..GROUPS {
            let sum = a[group] + word[group] + sine + mix(b[group], c[group], d[group]);
            a[group] = b[group] + (sum << bits | sum >> (32 - bits));
        }
    };
    take_step(a, *b, *c, *d, 0);
    take_step(d, *a, *b, *c, 1);
    take_step(c, *d, *a, *b, 2);
    take_step(b, *c, *d, *a, 3);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_by_one(messages: &[Vec<u8>]) -> Vec<[u8; DIGEST_LEN]> {
        messages.iter().map(|message| Md5::digest(message).into()).collect()
    }

    fn at_once(messages: &[Vec<u8>]) -> Vec<[u8; DIGEST_LEN]> {
        md5_all(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn messages_of_every_length_around_the_borders_of_blocks_have_the_same_digests_as_alone() {
        let messages: Vec<Vec<u8>> =
            (0..=300).map(|length| (0..length).map(|byte: u32| byte.wrapping_mul(151) as u8).collect()).collect();
        assert_eq!(at_once(&messages), one_by_one(&messages));
        for pair in messages.windows(2) {
            assert_eq!(at_once(pair), one_by_one(pair));
        }
    }

    #[test]
    fn a_long_message_among_short_ones_is_digested_and_so_is_an_empty_list() {
        assert!(at_once(&[]).is_empty());
        let mut messages = vec![vec![7; 3]; 20];
        messages[13] = vec![9; 100_000];
        assert_eq!(at_once(&messages), one_by_one(&messages));
    }

    proptest! {
        #[test]
        fn messages_of_mixed_lengths_have_the_same_digests_as_alone(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40),
        ) {
            prop_assert_eq!(at_once(&messages), one_by_one(&messages));
        }
    }
}
