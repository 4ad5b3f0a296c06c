//! One environment: a process of the function's binary, its Runtime API, and the end of both.

use super::runtime_api::{Exchange, Invocation, Phase};
use super::{FunctionSpec, InvokeError};
use crate::process::{Signal, signal};
use bytes::Bytes;
use myaku::platform::clock::{Now as _, SystemClock};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Where the answer of an invocation arrives.
type Answered = oneshot::Receiver<Result<Bytes, InvokeError>>;

/// A process that serves one invocation at a time. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Environment {
    pid: u32,
    arn: Arc<str>,
    mailbox: mpsc::Sender<Invocation>,
    phase: watch::Receiver<Phase>,
    kill: Arc<Notify>,
    server: AbortHandle,
    /// Whether it goes on with an invocation that counts as timed out.
    outlives: watch::Sender<bool>,
    /// Held for as long as an invocation lasts. What is left in it is the answer that nobody waited for.
    serving: Mutex<Option<Answered>>,
}

impl Environment {
    /// Starts the process and the Runtime API that it is told of.
    pub(super) async fn start(spec: &FunctionSpec) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let child = spawn(spec, spec.region(), &address)?;
        let pid = child.id().ok_or_else(|| io::Error::other("the process ended at once"))?;
        let (mailbox, inbox) = mpsc::channel(1);
        let exchange = Exchange::new(inbox);
        let phase = exchange.phase();
        let kill = Arc::new(Notify::new());
        let server = tokio::spawn(Exchange::serve(Arc::clone(&exchange), listener)).abort_handle();
        tokio::spawn(supervise(child, Arc::clone(&kill), exchange));
        let (outlives, serving) = (watch::Sender::new(false), Mutex::new(None));
        Ok(Self { pid, arn: spec.arn().into(), mailbox, phase, kill, server, outlives, serving })
    }

    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn is_alive(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Initialising | Phase::Ready)
    }

    /// Whether it has asked for an invocation, and lives.
    pub(super) fn is_ready(&self) -> bool {
        *self.phase.borrow() == Phase::Ready
    }

    /// Whether it goes on with an invocation that counts as timed out: it gets no other.
    pub(super) fn outlives(&self) -> bool {
        *self.outlives.borrow()
    }

    /// Stops the process where it is, and ends its invocation as timed out. Where its late answer will arrive; `None` if
    /// it had answered before.
    pub(super) async fn outlive(&self) -> Option<Answered> {
        self.pause().await;
        self.outlives.send_replace(true);
        self.serving.lock().await.take()
    }

    /// Stops the process where it is.
    pub(super) async fn pause(&self) {
        signal(self.pid, Signal::Stop).await;
    }

    /// Lets a process that was stopped go on, if it is still there.
    pub(super) async fn resume(&self) {
        if self.is_alive() {
            signal(self.pid, Signal::Continue).await;
        }
    }

    /// Waits for the answer that nobody waited for, or for the end of the process.
    pub(super) async fn answer_late(&self, answered: Answered) -> Result<Bytes, InvokeError> {
        tokio::select! {
            biased;
            Ok(answer) = answered => answer,
            () = self.until_exited() => Err(InvokeError::Crashed(self.end())),
        }
    }

    /// Kills the process with SIGKILL. Its end is noticed and reported by the invocation that it serves.
    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Waits until the process asks for an invocation.
    pub(super) async fn ready(&self, limit: Duration) -> Result<(), InvokeError> {
        let mut phase = self.phase.clone();
        let reached = timeout(limit, phase.wait_for(|phase| *phase != Phase::Initialising)).await;
        let failed = |why: &str| {
            self.kill();
            Err(InvokeError::InitFailed(why.to_owned()))
        };
        match reached {
            Ok(Ok(phase)) => match &*phase {
                Phase::Ready | Phase::Initialising => Ok(()),
                Phase::InitFailed(why) | Phase::Exited(why) => failed(why),
            },
            Ok(Err(_)) => failed("its supervisor is gone"),
            Err(_) => failed(&format!("it asked for no invocation within {} s", limit.as_secs())),
        }
    }

    /// Has the process serve one invocation, and kills it when the deadline passes.
    pub(super) async fn invoke(&self, payload: Bytes, limit: Duration) -> Result<Bytes, InvokeError> {
        let mut serving = self.serving.lock().await;
        let (answer, mut answered) = oneshot::channel();
        let invocation = Invocation {
            id: uuid::Uuid::new_v4().to_string(),
            arn: Arc::clone(&self.arn),
            deadline_ms: SystemClock.now_ms() + limit.as_millis() as i64,
            payload,
            answer,
        };
        let ended = || InvokeError::Crashed(self.end());
        self.mailbox.send(invocation).await.map_err(|_| ended())?;
        let mut outlives = self.outlives.subscribe();
        let served = tokio::select! {
            // An answer that is in counts, also when the process ended right behind it or the deadline passed.
            biased;
            Ok(answer) = &mut answered => Some(answer),
            Ok(_) = outlives.wait_for(|outlives| *outlives) => {
                *serving = Some(answered);
                Some(Err(InvokeError::TimedOut))
            }
            () = self.until_exited() => Some(Err(ended())),
            () = tokio::time::sleep(limit) => None,
        };
        if let Some(served) = served {
            return served;
        }
        self.kill();
        self.until_exited().await;
        Err(InvokeError::TimedOut)
    }

    async fn until_exited(&self) {
        let mut phase = self.phase.clone();
        // It cannot be but that somebody sets the phase: who does it ends with the process.
        let _ = phase.wait_for(|phase| matches!(phase, Phase::Exited(_))).await;
    }

    /// Asks the process to end, and kills it if it has not done so after `grace`.
    pub(super) async fn stop(&self, grace: Duration) {
        if self.is_alive() && signal(self.pid, Signal::Terminate).await {
            let _ = timeout(grace, self.until_exited()).await;
        }
        self.kill();
        self.until_exited().await;
    }

    fn end(&self) -> String {
        match &*self.phase.borrow() {
            Phase::Exited(status) => status.clone(),
            _ => "it closed its Runtime API".to_owned(),
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.kill();
        self.server.abort();
    }
}

/// Opens a log to append to; its directory is made.
pub(super) fn open_log(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

fn spawn(spec: &FunctionSpec, region: &str, runtime_api: &str) -> io::Result<Child> {
    let log = open_log(&spec.log)?;
    Command::new(&spec.binary)
        .env_clear()
        .envs([
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_REGION", region),
            ("AWS_DEFAULT_REGION", region),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("LANG", "en_US.UTF-8"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("TZ", ":UTC"),
        ])
        .envs(&spec.environment)
        // Lambda's reserved variables: no setting of the function's overrides them.
        .envs([
            ("_HANDLER", "bootstrap"),
            ("AWS_LAMBDA_FUNCTION_NAME", spec.name.as_str()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", spec.name)),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &spec.memory_mb.to_string()),
            ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A group of its own: Ctrl-C in the terminal goes to the runner, which ends its functions in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

async fn supervise(mut child: Child, kill: Arc<Notify>, exchange: Arc<Exchange>) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.notified() => {
            // An error means that it has ended already.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    exchange.exited(status.map_or_else(|error| error.to_string(), |status| status.to_string()));
}
