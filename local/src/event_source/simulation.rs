//! Simulated time: futures on one thread whose clock jumps to the next moment at which something happens.
//!
//! Hours pass in milliseconds, and a seed repeats a run: among the tasks that could go on, the seed chooses who does.
//! What waits on tokio's clock runs inside a runtime whose clock is paused: there the runtime turns the time.

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

/// A clock and the tasks that live by it. Clones are the same simulation.
#[derive(Clone)]
pub struct Simulation(Arc<Mutex<State>>);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

struct State {
    now_ms: i64,
    /// Who waits until when; the number tells apart those who wait for the same moment.
    sleepers: BTreeMap<(i64, u64), Waker>,
    /// Tasks that are not being polled, each with its flag. An aborted or finished task is gone from here.
    tasks: BTreeMap<u64, (Option<Task>, Arc<Flag>)>,
    next: u64,
    random: StdRng,
    outside: Outside,
}

/// Who polls the simulation, if it runs inside a runtime.
type Outside = Arc<Mutex<Option<Waker>>>;

/// Set when a task may go on.
struct Flag {
    ready: AtomicBool,
    outside: Outside,
}

impl Flag {
    fn new(outside: &Outside) -> Arc<Self> {
        Arc::new(Self { ready: AtomicBool::new(true), outside: Arc::clone(outside) })
    }

    fn is_set(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    fn take(&self) -> bool {
        self.ready.swap(false, Ordering::SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.ready.store(true, Ordering::SeqCst);
        if let Some(outside) = &*self.outside.lock().unwrap_or_else(PoisonError::into_inner) {
            outside.wake_by_ref();
        }
    }
}

/// A task of a simulation.
#[derive(Clone, Copy, Debug)]
pub struct TaskId(u64);

impl Simulation {
    /// A simulation whose clock starts at `start_ms`, in milliseconds since the epoch.
    pub fn new(start_ms: i64, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let (sleepers, tasks, outside) = (BTreeMap::new(), BTreeMap::new(), Outside::default());
        Self(Arc::new(Mutex::new(State { now_ms: start_ms, sleepers, tasks, next: 0, random, outside })))
    }

    /// Adds a task, which goes on as long as [`Simulation::run`] does.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> TaskId {
        let mut state = self.state();
        let id = state.number();
        let flag = Flag::new(&state.outside);
        state.tasks.insert(id, (Some(Box::pin(task)), Arc::clone(&flag)));
        drop(state);
        flag.wake();
        TaskId(id)
    }

    /// Drops a task where it stands, as a crash does.
    pub fn abort(&self, task: TaskId) {
        let aborted = self.state().tasks.remove(&task.0);
        // Dropped without the lock: what the task holds may take it.
        drop(aborted);
    }

    /// Drops all tasks where they stand: those that hold the simulation itself would keep it for ever.
    pub fn abort_all(&self) {
        let aborted = std::mem::take(&mut self.state().tasks);
        drop(aborted);
    }

    /// Whether a task has ended, or was aborted.
    pub fn is_finished(&self, task: TaskId) -> bool {
        !self.state().tasks.contains_key(&task.0)
    }

    /// Runs `main` to its end, and the tasks beside it.
    ///
    /// # Panics
    /// When nothing is left that could ever wake `main`.
    pub fn run<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        let flag = Flag::new(&Outside::default());
        loop {
            if let Poll::Ready(result) = self.poll_all(main.as_mut(), &flag) {
                return result;
            }
            assert!(self.advance(), "nobody can go on: the simulation is at a deadlock");
        }
    }

    /// The same on the clock of the runtime that polls this: for what waits on tokio's. Where that clock is paused, time
    /// jumps as in [`Simulation::run`], and nobody may wait on the simulation's own.
    pub async fn run_inside<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        let outside = Arc::clone(&self.state().outside);
        let flag = Flag::new(&outside);
        let polled = std::future::poll_fn(|context| {
            *outside.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            self.poll_all(main.as_mut(), &flag)
        });
        // Tokio's budget is for each task of the runtime, and this is only one.
        tokio::task::coop::unconstrained(polled).await
    }

    /// Polls `main` and the tasks until none of them can go on.
    fn poll_all<T>(&self, mut main: Pin<&mut impl Future<Output = T>>, flag: &Arc<Flag>) -> Poll<T> {
        let waker = Waker::from(Arc::clone(flag));
        loop {
            if flag.take()
                && let Poll::Ready(result) = main.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return Poll::Ready(result);
            }
            if !self.poll_one() && !flag.is_set() {
                return Poll::Pending;
            }
        }
    }

    /// Polls one of the tasks that may go on, chosen by the seed; false if there is none.
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
        flag.take();
        let polled = task.as_mut().poll(&mut Context::from_waker(&Waker::from(flag)));
        let mut state = self.state();
        if polled.is_ready() {
            state.tasks.remove(&id);
        } else if let Some((slot, _)) = state.tasks.get_mut(&id) {
            *slot = Some(task);
            return true;
        }
        drop(state);
        // Finished, or aborted by itself while it was polled.
        drop(task);
        true
    }

    /// Turns the clock to the next moment for which somebody waits; false if nobody does.
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
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Now for Simulation {
    fn now_ms(&self) -> i64 {
        self.state().now_ms
    }
}

impl Clock for Simulation {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        // A clock of milliseconds must not come back before the time is over.
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
        let number = *self.number.get_or_insert_with(|| state.number());
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
    fn time_jumps_to_the_next_sleeper_and_an_aborted_task_does_nothing_more() {
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
    fn inside_a_runtime_the_runtimes_clock_is_turned() {
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
    fn waiting_for_nothing_is_a_deadlock_and_not_a_hang() {
        Simulation::new(0, 0).run(std::future::pending::<()>());
    }
}
