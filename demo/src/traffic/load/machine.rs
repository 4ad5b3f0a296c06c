//! Measures how busy this machine is, from `/proc/stat`.

/// The times of all processors since the machine started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    busy: u64,
    all: u64,
}

impl Ticks {
    /// The times now; `None` on a system without `/proc/stat`.
    pub fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// Parses `cpu user nice system idle iowait irq softirq steal …`
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let times: Vec<u64> = line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        let all = times.iter().sum();
        let idle = times.get(3)? + times.get(4)?;
        Some(Self { busy: all - idle, all })
    }

    /// The busy part of the time since `earlier`, from 0 to 1.
    pub fn busy_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all);
        if all == 0 { 0.0 } else { self.busy.saturating_sub(earlier.busy) as f64 / all as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_time_is_not_busy() {
        let earlier = Ticks::parse("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1 2\n").unwrap();
        let later = Ticks::parse("cpu  40 0 20 120 20 0 0 0 0 0\n").unwrap();
        assert!((later.busy_since(earlier) - 0.4).abs() < 1e-9);
        assert!(earlier.busy_since(earlier).abs() < 1e-9);
        assert_eq!(Ticks::parse("intr 1"), None);
    }
}
