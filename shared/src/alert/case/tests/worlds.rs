//! Random worlds: alerts that come again and in any order, invocations that end between sending and noting, sends that fail.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Event {
    /// The alert that an incident begins is delivered, perhaps again.
    Raise(u8),
    /// The alert that an incident is over is delivered, perhaps again, perhaps before the other.
    Clear(u8),
    /// Time passes, in seconds.
    Pass(u16),
    /// An invocation sends what is due. Its sends succeed or fail by these bits, and it may end before it notes what came of them.
    Send { fails: u8, crashes: bool },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0..4_u8).prop_map(Event::Raise),
        (0..4_u8).prop_map(Event::Clear),
        (1..200_u16).prop_map(Event::Pass),
        (any::<u8>(), any::<bool>()).prop_map(|(fails, crashes)| Event::Send { fails: fails & 1, crashes }),
    ];
    prop::collection::vec(event, 0..60)
}

/// The incidents of a rule, in their order.
fn nth(n: u8) -> Incident {
    incident("bed-17", &n.to_string(), Severity::Warning, NOW + i64::from(n))
}

/// What one contact has heard.
#[derive(Debug, Default)]
struct Heard {
    steps: Vec<(Step, String, bool)>,
}

fn send(trial: &mut Trial, heard: &mut BTreeMap<String, Heard>, now_ms: i64, fails: u8, crashes: bool) {
    for (index, Claimed { id, contact, message }) in
        trial.case.claim(now_ms, now_ms + LEASE, false).into_iter().enumerate()
    {
        let is_sent = fails >> (index % 8) & 1 == 0;
        if is_sent {
            let steps = &mut heard.entry(contact.name).or_default().steps;
            steps.push((message.step, message.id, message.is_repetition));
        }
        if !crashes {
            trial.case.finish(&id, if is_sent { Outcome::Sent } else { Outcome::NotNow }, now_ms);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whoever_hears_that_it_begins_hears_that_it_is_over_and_all_else_is_marked(events in events()) {
        let mut trial = Trial::new([contact("nurse", 0), contact("doctor", 3)]);
        let (mut now_ms, mut heard) = (NOW, BTreeMap::new());
        // The incidents of a rule follow one another: one that begins shows that the earlier ones are over.
        let (mut raised, mut over) = ([false; 4], [false; 4]);
        for event in events {
            match event {
                Event::Raise(n) => {
                    trial.raise(&nth(n), now_ms);
                    let n = usize::from(n);
                    if !std::mem::replace(&mut raised[n], true) {
                        (0..n).filter(|n| raised[*n]).for_each(|n| over[n] = true);
                    }
                }
                Event::Clear(n) => {
                    trial.clear(&nth(n), now_ms);
                    over[usize::from(n)] = true;
                }
                Event::Pass(seconds) => now_ms += i64::from(seconds) * 1_000,
                Event::Send { fails, crashes } => send(&mut trial, &mut heard, now_ms, fails, crashes),
            }
            // What is stored can be read.
            let json = serde_json::to_string(&trial.case).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Case>(&json).unwrap(), &trial.case);
        }
        // The rest of the world is well.
        while let Some(due_ms) = trial.case.due_ms() {
            now_ms = now_ms.max(due_ms);
            send(&mut trial, &mut heard, now_ms, 0, false);
        }
        let is_open = (0..4).any(|n| raised[n] && !over[n]);
        if raised.iter().any(|raised| *raised) {
            prop_assert!(heard.contains_key("nurse"), "an alert is announced");
        }
        for (name, Heard { steps }) in heard {
            // A message that comes a second time says so.
            let mut seen = std::collections::BTreeSet::new();
            for (step, id, is_repetition) in &steps {
                prop_assert!(seen.insert(id.clone()) || *is_repetition, "{} heard {} twice, unmarked", name, id);
                prop_assert!(*step != Step::Cleared || seen.len() > 1, "{} heard of the end first", name);
            }
            let ends_well = steps.last().is_some_and(|(step, ..)| (*step == Step::Cleared) != is_open);
            prop_assert!(ends_well, "{} heard {:?} last, and it is open: {}", name, steps, is_open);
        }
    }
}
