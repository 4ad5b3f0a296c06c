//! Simulates time: runs futures on one thread, with a clock that jumps to the next moment at which something happens.
//!
//! Hours pass in milliseconds, and a seed repeats a run: the seed chooses which of the ready tasks runs next. Code that
//! waits on tokio's clock runs inside a runtime whose clock is paused. There the runtime advances the time.

use crate::clock::Clock;
use myaku::platform::clock::Now;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A clock and the tasks that wait on it. Clones share the same simulation.
///
/// ```
/// use myaku::platform::clock::Now as _;
/// use myaku_local::clock::Clock as _;
/// use myaku_local::event_source::Simulation;
/// use std::time::Duration;
///
/// let simulation = Simulation::new(0, 1);
/// simulation.run(simulation.sleep(Duration::from_secs(3_600)));
/// assert_eq!(simulation.now_ms(), 3_600_000);
/// ```
#[derive(Clone)]
pub struct Simulation(Arc<Mutex<State>>);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

struct State {
    now_ms: i64,
    /// Sleepers by the time at which they wake. The number distinguishes those that wake at the same time.
    sleepers: BTreeMap<(i64, u64), Waker>,
    /// All tasks, each with its flag. A task is `None` while it is polled. Finished and aborted tasks are removed.
    tasks: BTreeMap<u64, (Option<Task>, Arc<ReadyFlag>)>,
    last_number: u64,
    random: StdRng,
    outer: OuterWaker,
}

/// The waker of the runtime that polls the simulation, if it runs inside a runtime.
type OuterWaker = Arc<Mutex<Option<Waker>>>;

/// Set when a task is ready to be polled.
struct ReadyFlag {
    ready: AtomicBool,
    outer: OuterWaker,
}

impl ReadyFlag {
    fn new(outer: &OuterWaker) -> Arc<Self> {
        Arc::new(Self { ready: AtomicBool::new(true), outer: Arc::clone(outer) })
    }

    fn is_set(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    fn clear(&self) -> bool {
        self.ready.swap(false, Ordering::SeqCst)
    }
}

impl Wake for ReadyFlag {
    fn wake(self: Arc<Self>) {
        self.ready.store(true, Ordering::SeqCst);
        if let Some(outer) = &*self.outer.lock().unwrap_or_else(PoisonError::into_inner) {
            outer.wake_by_ref();
        }
    }
}

/// Identifies a task of a simulation.
#[derive(Clone, Copy, Debug)]
pub struct TaskId(u64);

impl Simulation {
    /// A simulation whose clock starts at `start_ms`, in milliseconds since the epoch.
    pub fn new(start_ms: i64, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let (sleepers, tasks, outer) = (BTreeMap::new(), BTreeMap::new(), OuterWaker::default());
        Self(Arc::new(Mutex::new(State { now_ms: start_ms, sleepers, tasks, last_number: 0, random, outer })))
    }

    /// Adds a task, which runs as long as [`Simulation::run`] does.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> TaskId {
        let mut state = self.state();
        let id = state.next_number();
        let flag = ReadyFlag::new(&state.outer);
        state.tasks.insert(id, (Some(Box::pin(task)), Arc::clone(&flag)));
        drop(state);
        flag.wake();
        TaskId(id)
    }

    /// Drops a task in the middle of its work, as a crash does.
    pub fn abort(&self, task: TaskId) {
        let aborted = self.state().tasks.remove(&task.0);
        // Dropped without the lock, because dropping the task's values may take the lock.
        drop(aborted);
    }

    /// Drops all tasks in the middle of their work. A task that holds a clone of the simulation would otherwise keep it
    /// in memory for ever.
    pub fn abort_all(&self) {
        let aborted = std::mem::take(&mut self.state().tasks);
        drop(aborted);
    }

    /// Whether a task has ended, or was aborted.
    pub fn is_finished(&self, task: TaskId) -> bool {
        !self.state().tasks.contains_key(&task.0)
    }

    /// Runs `main` to its end, together with the tasks.
    ///
    /// # Panics
    /// When nothing can ever wake `main` again.
    pub fn run<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        let flag = ReadyFlag::new(&OuterWaker::default());
        loop {
            if let Poll::Ready(result) = self.poll_all(main.as_mut(), &flag) {
                return result;
            }
            assert!(self.advance(), "deadlock: no task of the simulation is ready, and none waits for the clock");
        }
    }

    /// Like [`Simulation::run`], but on the clock of the surrounding tokio runtime, for code that waits on that clock.
    /// If the runtime's clock is paused, time jumps as in [`Simulation::run`]. No task may wait on the simulation's own
    /// clock.
    pub async fn run_inside<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        let outer = Arc::clone(&self.state().outer);
        let flag = ReadyFlag::new(&outer);
        let polled = std::future::poll_fn(|context| {
            *outer.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            self.poll_all(main.as_mut(), &flag)
        });
        // The runtime gives each of its tasks a budget, but this one task polls all tasks of the simulation.
        tokio::task::coop::unconstrained(polled).await
    }

    /// Polls `main` and the tasks until none of them is ready.
    fn poll_all<T>(&self, mut main: Pin<&mut impl Future<Output = T>>, flag: &Arc<ReadyFlag>) -> Poll<T> {
        let waker = Waker::from(Arc::clone(flag));
        loop {
            if flag.clear()
                && let Poll::Ready(result) = main.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return Poll::Ready(result);
            }
            if !self.poll_one() && !flag.is_set() {
                return Poll::Pending;
            }
        }
    }

    /// Polls one ready task, which the seed chooses. Returns false if no task is ready.
    fn poll_one(&self) -> bool {
        let (id, mut task, flag) = {
            let mut state = self.state();
            let ready = state.tasks.iter().filter(|(_, (_, flag))| flag.is_set());
            let ready: Vec<_> = ready.map(|(id, _)| *id).collect();
            if ready.is_empty() {
                return false;
            }
            let id = ready[state.random.random_range(0..ready.len())];
            let Some((task, flag)) = state.tasks.get_mut(&id) else { return false };
            let Some(task) = task.take() else { return false };
            (id, task, Arc::clone(flag))
        };
        flag.clear();
        let polled = task.as_mut().poll(&mut Context::from_waker(&Waker::from(flag)));
        let mut state = self.state();
        if polled.is_ready() {
            state.tasks.remove(&id);
        } else if let Some((slot, _)) = state.tasks.get_mut(&id) {
            *slot = Some(task);
            return true;
        }
        drop(state);
        // The task is finished, or it aborted itself while it was polled.
        drop(task);
        true
    }

    /// Advances the clock to the next moment for which a task waits. Returns false if none waits.
    fn advance(&self) -> bool {
        let mut state = self.state();
        let Some(((due_ms, _), waker)) = state.sleepers.pop_first() else { return false };
        state.now_ms = state.now_ms.max(due_ms);
        drop(state);
        waker.wake();
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

impl Now for Simulation {
    fn now_ms(&self) -> i64 {
        self.state().now_ms
    }
}

impl Clock for Simulation {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        // Rounded up: a clock of milliseconds must not wake a task before its time is over.
        let wait_ms = duration.as_nanos().div_ceil(1_000_000) as i64;
        Sleep { simulation: self.clone(), due_ms: self.now_ms().saturating_add(wait_ms), number: None }
    }
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Simulation").field("now_ms", &state.now_ms).field("tasks", &state.tasks.len()).finish()
    }
}

struct Sleep {
    simulation: Simulation,
    due_ms: i64,
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let simulation = self.simulation.clone();
        let mut state = simulation.state();
        if state.now_ms >= self.due_ms {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| state.next_number());
        state.sleepers.insert((self.due_ms, number), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.simulation.state().sleepers.remove(&(self.due_ms, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_jumps_to_the_next_sleeper_and_an_aborted_task_never_runs_again() {
        let simulation = Simulation::new(1_000, 7);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let sleeper = |hours: u64| {
            let (simulation, woken) = (simulation.clone(), Arc::clone(&woken));
            async move {
                simulation.sleep(Duration::from_hours(hours)).await;
                woken.lock().unwrap().push((hours, simulation.now_ms()));
            }
        };
        let (three, _one, two) =
            (simulation.spawn(sleeper(3)), simulation.spawn(sleeper(1)), simulation.spawn(sleeper(2)));
        simulation.run(async {
            simulation.sleep(Duration::from_mins(90)).await;
            simulation.abort(two);
            simulation.sleep(Duration::from_hours(9)).await;
        });
        assert_eq!(*woken.lock().unwrap(), [(1, 3_601_000), (3, 10_801_000)]);
        assert!(simulation.is_finished(three));
    }

    #[test]
    fn inside_a_runtime_time_passes_on_the_runtimes_clock() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let simulation = Simulation::new(0, 7);
        let took = runtime.block_on(simulation.run_inside(async {
            let started = tokio::time::Instant::now();
            let sleeper = simulation.spawn(async { tokio::time::sleep(Duration::from_hours(2)).await });
            while !simulation.is_finished(sleeper) {
                tokio::time::sleep(Duration::from_mins(1)).await;
            }
            started.elapsed()
        }));
        // In the minute in which both are due, either may come first.
        assert!((120..=121).contains(&(took.as_secs() / 60)), "{took:?}");
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_task_that_nothing_can_wake_is_a_deadlock_and_not_a_hang() {
        Simulation::new(0, 0).run(std::future::pending::<()>());
    }
}
