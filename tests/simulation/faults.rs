//! Decides what goes wrong, and where: for each call only by the seed and the call's own site.
//!
//! So leaving out a fault moves no other one, and a schedule of faults can be shrunk.

use crate::plan::{Function, Plan, Service};
use myaku::platform::errors::Remedy;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A place where something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Site {
    /// An invocation as a whole.
    Invocation(Function, u32),
    /// A call of a port, by its number within its invocation.
    Call(Function, u32, u32),
    /// A read of a stream by a mapping, by its number.
    Read(u32, u32),
    /// A put to the on-failure destination, by its number.
    Destination(u32),
}

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It takes this many milliseconds.
    Slow(u64),
    /// It has no effect.
    Refused(Remedy),
    /// It has its effect, and its answer is lost.
    AnswerLost,
    /// It fails, and has its effect this many milliseconds later.
    Late(u64),
    /// It takes this many milliseconds to fail, and has its effect nevertheless.
    TimedOut(u64),
    /// Only the items whose bits are set have their effect.
    Partial(u64),
    CrashBefore,
    CrashAfter,
}

/// What goes wrong with one invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "they can happen together")]
pub(crate) struct Fate {
    /// It is refused before it begins.
    pub(crate) throttled: bool,
    /// It continues after its time-out.
    pub(crate) zombie: bool,
    /// It answers, and the answer is lost.
    pub(crate) answer_lost: bool,
    /// It gets a new environment, although others are idle.
    pub(crate) cold: bool,
}

/// The schedule of faults of one run.
#[derive(Clone)]
pub(crate) struct Faults {
    seed: u64,
    trouble: u32,
    zombies: u32,
    /// If this is set, only faults at these sites happen.
    allowed: Option<Arc<BTreeSet<Site>>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calm: bool,
    fired: BTreeSet<Site>,
    outages: BTreeMap<Service, i64>,
}

impl Faults {
    pub(crate) fn new(plan: &Plan, allowed: Option<Arc<BTreeSet<Site>>>) -> Self {
        Self { seed: plan.seed, trouble: plan.trouble, zombies: plan.zombies, allowed, state: Arc::default() }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn calm_down(&self) {
        let mut state = self.state();
        state.calm = true;
        state.outages.clear();
    }

    /// From now until `until_ms` a service refuses every call.
    pub(crate) fn outage(&self, service: Service, until_ms: i64) {
        self.state().outages.insert(service, until_ms);
    }

    /// The sites where something went wrong so far.
    pub(crate) fn fired(&self) -> BTreeSet<Site> {
        self.state().fired.clone()
    }

    /// What goes wrong with a call of a service.
    pub(crate) fn of_call(&self, site: Site, service: Service, now_ms: i64) -> Fault {
        if self.state().outages.get(&service).is_some_and(|until| now_ms < *until) {
            return Fault::Refused(Remedy::Retry);
        }
        let Some(mut rng) = self.strikes(site) else { return Fault::None };
        match rng.random_range(0..100) {
            0..25 => Fault::Slow(rng.random_range(1..3_000)),
            25..30 => Fault::Slow(rng.random_range(3_000..20_000)),
            30..38 => Fault::Refused(Remedy::Retry),
            38..44 => Fault::Refused(Remedy::SlowDown),
            44..48 => Fault::Refused(Remedy::GiveUp),
            48..62 => Fault::AnswerLost,
            62..70 => Fault::Late(rng.random_range(1..30_000)),
            70..75 => Fault::TimedOut(rng.random_range(1_000..30_000)),
            75..86 => Fault::Partial(rng.random()),
            86..93 => Fault::CrashBefore,
            _ => Fault::CrashAfter,
        }
    }

    /// What goes wrong with an invocation.
    pub(crate) fn of_invocation(&self, site: Site) -> Fate {
        let mut fate = Fate { throttled: false, zombie: false, answer_lost: false, cold: false };
        if let Some(mut rng) = self.strikes(site) {
            let roll: u32 = rng.random_range(0..3);
            (fate.throttled, fate.answer_lost, fate.cold) = (roll == 0, roll == 1, roll == 2);
        }
        // Not a fault by itself: it decides what happens after a time-out.
        fate.zombie = self.rng(site).random_ratio(self.zombies, 100);
        fate
    }

    /// How long a call takes without a fault: most end before anything else happens. A zombie's environment was frozen,
    /// and continues at some later time.
    pub(crate) fn latency_ms(&self, site: Site, zombie: bool) -> u64 {
        let random = self.mixed(site).rotate_left(32);
        match random % 4 {
            _ if zombie => random % 20_000,
            0 => random / 4 % 30,
            _ => 0,
        }
    }

    /// Whether a read or a put of the event source mapping fails.
    pub(crate) fn fails(&self, site: Site) -> bool {
        self.strikes(site).is_some()
    }

    /// Whether a call reaches the old primary while there are two.
    pub(crate) fn reaches_old_primary(&self, site: Site) -> bool {
        self.mixed(site) >> 17 & 1 == 1
    }

    /// The most records that a read returns.
    pub(crate) fn read_limit(&self, site: Site) -> usize {
        self.rng(site).random_range(1..30)
    }

    /// Whether something goes wrong at a site; returns the randomness that decides what.
    fn strikes(&self, site: Site) -> Option<StdRng> {
        if self.trouble == 0 {
            return None;
        }
        let mut state = self.state();
        if state.calm || self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&site)) {
            return None;
        }
        let mut rng = self.rng(site);
        if rng.random_range(0..1_000) >= self.trouble {
            return None;
        }
        state.fired.insert(site);
        Some(rng)
    }

    /// The site's own source of randomness.
    fn rng(&self, site: Site) -> StdRng {
        StdRng::seed_from_u64(self.mixed(site))
    }

    fn mixed(&self, site: Site) -> u64 {
        let (kind, a, b) = match site {
            Site::Invocation(function, number) => (function as u64, u64::from(number), 0),
            Site::Call(function, number, call) => (4 + function as u64, u64::from(number), u64::from(call)),
            Site::Read(mapping, number) => (8, u64::from(mapping), u64::from(number)),
            Site::Destination(number) => (9, u64::from(number), 0),
        };
        mix(mix(mix(self.seed ^ kind) ^ a) ^ b)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Spreads neighbouring numbers, with the mix of `SplitMix`. <https://doi.org/10.1145/2714064.2660195>
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
