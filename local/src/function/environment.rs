//! Runs one environment: starts a process of the function's binary with its Runtime API, and ends both.

use super::invoke::InvokeError;
use super::runtime_api::{Exchange, Invocation, Phase};
use super::spec::FunctionSpec;
use crate::process::{self, Signal, signal};
use bytes::Bytes;
use myaku::platform::clock::{Now as _, SystemClock};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Receives the answer of an invocation.
pub(super) type AnswerReceiver = oneshot::Receiver<Result<Bytes, InvokeError>>;

/// A process that serves one invocation at a time. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Environment {
    pid: u32,
    arn: Arc<str>,
    mailbox: mpsc::Sender<Invocation>,
    phase: watch::Receiver<Phase>,
    kill: Arc<Notify>,
    server: AbortHandle,
    /// True if the process continues an invocation that counts as timed out.
    outlives: watch::Sender<bool>,
    /// Locked while an invocation lasts. Then holds the receiver of an answer that comes after the time-out.
    serving: Mutex<Option<AnswerReceiver>>,
}

impl Environment {
    /// Starts the Runtime API, and the process with its address.
    pub(super) async fn start(spec: &FunctionSpec) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let child = spawn(spec, spec.region(), &address).await?;
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

    /// Whether the process has requested an invocation, and is alive.
    pub(super) fn is_ready(&self) -> bool {
        *self.phase.borrow() == Phase::Ready
    }

    /// Whether the process continues an invocation that counts as timed out. Such a process gets no other invocation.
    pub(super) fn outlives(&self) -> bool {
        *self.outlives.borrow()
    }

    /// Pauses the process, and ends its invocation as timed out. Returns the receiver of the late answer; `None` if the
    /// process has already answered.
    pub(super) async fn outlive(&self) -> Option<AnswerReceiver> {
        self.pause().await;
        self.outlives.send_replace(true);
        self.serving.lock().await.take()
    }

    /// Pauses the process with SIGSTOP.
    pub(super) async fn pause(&self) {
        signal(self.pid, Signal::Stop).await;
    }

    /// Resumes a paused process, if it is still alive.
    pub(super) async fn resume(&self) {
        if self.is_alive() {
            signal(self.pid, Signal::Continue).await;
        }
    }

    /// Waits for an answer after the time-out, or for the end of the process.
    pub(super) async fn late_answer(&self, receiver: AnswerReceiver) -> Result<Bytes, InvokeError> {
        tokio::select! {
            biased;
            Ok(answer) = receiver => answer,
            () = self.until_exited() => Err(InvokeError::Crashed(self.exit_status())),
        }
    }

    /// Kills the process with SIGKILL. The invocation that it serves detects and reports its end.
    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Waits until the process requests an invocation.
    pub(super) async fn until_ready(&self, limit: Duration) -> Result<(), InvokeError> {
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
            Ok(Err(_)) => failed("the task that supervises the process has ended"),
            Err(_) => failed(&format!("the process did not request an invocation within {} s", limit.as_secs())),
        }
    }

    /// Passes one invocation to the process, and kills the process when the deadline passes.
    pub(super) async fn invoke(&self, payload: Bytes, limit: Duration) -> Result<Bytes, InvokeError> {
        let mut serving = self.serving.lock().await;
        let (answer, mut receiver) = oneshot::channel();
        let invocation = Invocation {
            id: uuid::Uuid::new_v4().to_string(),
            arn: Arc::clone(&self.arn),
            deadline_ms: SystemClock.now_ms() + limit.as_millis() as i64,
            payload,
            answer,
        };
        let crashed = || InvokeError::Crashed(self.exit_status());
        self.mailbox.send(invocation).await.map_err(|_| crashed())?;
        let mut outlives = self.outlives.subscribe();
        let result = tokio::select! {
            // An answer that has arrived counts, even if the process ended right after it or the deadline has passed.
            biased;
            Ok(answer) = &mut receiver => Some(answer),
            Ok(_) = outlives.wait_for(|outlives| *outlives) => {
                *serving = Some(receiver);
                Some(Err(InvokeError::TimedOut))
            }
            () = self.until_exited() => Some(Err(crashed())),
            () = tokio::time::sleep(limit) => None,
        };
        if let Some(result) = result {
            return result;
        }
        self.kill();
        self.until_exited().await;
        Err(InvokeError::TimedOut)
    }

    async fn until_exited(&self) {
        let mut phase = self.phase.clone();
        // Cannot fail: the task that supervises the process owns the sender, and sets the phase before it ends.
        let _ = phase.wait_for(|phase| matches!(phase, Phase::Exited(_))).await;
    }

    /// Asks the process to end with SIGTERM, and kills it if it is still alive after `grace`.
    pub(super) async fn stop(&self, grace: Duration) {
        if self.is_alive() && signal(self.pid, Signal::Terminate).await {
            let _ = timeout(grace, self.until_exited()).await;
        }
        self.kill();
        self.until_exited().await;
    }

    fn exit_status(&self) -> String {
        match &*self.phase.borrow() {
            Phase::Exited(status) => status.clone(),
            _ => "its Runtime API is closed".to_owned(),
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.kill();
        self.server.abort();
    }
}

/// Opens a log to append to, and creates its directory if necessary.
pub(super) fn open_log(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

async fn spawn(spec: &FunctionSpec, region: &str, runtime_api: &str) -> io::Result<Child> {
    let (log, errors) = (open_log(&spec.log)?, open_log(&spec.log)?);
    process::start(spec.binary.clone(), |command| {
        command
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
            // Lambda's reserved variables. The function's settings cannot override them.
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
            .stdout(log)
            .stderr(errors)
            // A process group of its own, so that Ctrl-C in the terminal reaches only the runner, which stops its functions
            // in order.
            .process_group(0);
    })
    .await
}

async fn supervise(mut child: Child, kill: Arc<Notify>, exchange: Arc<Exchange>) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.notified() => {
            // Fails only if the process has already ended.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    exchange.set_exited(status.map_or_else(|error| error.to_string(), |status| status.to_string()));
}
