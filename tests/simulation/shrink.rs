//! Shrinks a failing run: leaves out steps and faults for as long as the same invariant breaks.

use crate::driver::{self, Outcome};
use crate::faults::Site;
use crate::invariants::Invariant;
use crate::plan::{Plan, Step};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most runs for shrinking.
const RUNS_MAX: usize = 1_500;

/// A failing run after shrinking.
pub(crate) struct Shrunk {
    pub(crate) plan: Plan,
    pub(crate) faults: BTreeSet<Site>,
}

impl Shrunk {
    /// Shrinks `plan`, which breaks `invariant` with the faults of `outcome`.
    pub(crate) fn of(plan: &Plan, outcome: &Outcome, invariant: Invariant) -> Self {
        let mut runs = 0;
        let mut shrunk = Self { plan: plan.clone(), faults: outcome.fired.clone() };
        loop {
            let size = (shrunk.plan.steps.len(), shrunk.faults.len());
            let steps = smaller(&shrunk.plan.steps, |steps| {
                let plan = Plan { steps: steps.to_vec(), ..shrunk.plan.clone() };
                breaks(&plan, &shrunk.faults, invariant, &mut runs)
            });
            shrunk.plan.steps = steps;
            let sites: Vec<Site> = shrunk.faults.iter().copied().collect();
            let sites =
                smaller(&sites, |sites| breaks(&shrunk.plan, &sites.iter().copied().collect(), invariant, &mut runs));
            shrunk.faults = sites.into_iter().collect();
            if (shrunk.plan.steps.len(), shrunk.faults.len()) == size || runs >= RUNS_MAX {
                return shrunk;
            }
        }
    }

    /// Runs it, with its trace.
    pub(crate) fn run(&self) -> Outcome {
        driver::run(&self.plan, Some(Arc::new(self.faults.clone())), true)
    }
}

fn breaks(plan: &Plan, faults: &BTreeSet<Site>, invariant: Invariant, runs: &mut usize) -> bool {
    *runs += 1;
    let outcome = || driver::run(plan, Some(Arc::new(faults.clone())), false);
    *runs <= RUNS_MAX && outcome().violation.is_some_and(|violation| violation.invariant == invariant)
}

/// Leaves out of `all` whatever `still` does not need, in smaller and smaller pieces.
fn smaller<T: Clone>(all: &[T], mut still: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut kept = all.to_vec();
    let mut piece = kept.len().div_ceil(2);
    while piece > 0 {
        let mut begin = 0;
        while begin < kept.len() {
            let end = kept.len().min(begin + piece);
            let without = [&kept[..begin], &kept[end..]].concat();
            if still(&without) {
                kept = without;
            } else {
                begin = end;
            }
        }
        piece /= 2;
    }
    kept
}

/// The steps of a plan, one a line.
pub(crate) fn steps(plan: &Plan) -> String {
    plan.steps.iter().map(Step::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_are_not_needed_are_left_out() {
        let all: Vec<u32> = (0..50).collect();
        assert_eq!(smaller(&all, |some| some.contains(&7) && some.contains(&41)), [7, 41]);
        assert_eq!(smaller(&all, |_| true), Vec::<u32>::new());
    }
}
