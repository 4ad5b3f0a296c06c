//! One environment: a process of the function's binary, its Runtime API, and the end of both.

use super::runtime_api::{Exchange, Invocation, Phase};
use super::{FunctionSpec, InvokeError};
use bytes::Bytes;
use myaku::clock::{Now as _, SystemClock};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// A process that serves one invocation at a time. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Environment {
    pid: u32,
    arn: Arc<str>,
    mailbox: mpsc::Sender<Invocation>,
    phase: watch::Receiver<Phase>,
    kill: Arc<Notify>,
    server: AbortHandle,
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
        Ok(Self { pid, arn: spec.arn().into(), mailbox, phase, kill, server })
    }

    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn is_alive(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Initialising | Phase::Ready)
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
        let (answer, answered) = oneshot::channel();
        let invocation = Invocation {
            id: uuid::Uuid::new_v4().to_string(),
            arn: Arc::clone(&self.arn),
            deadline_ms: SystemClock.now_ms() + limit.as_millis() as i64,
            payload,
            answer,
        };
        let ended = || InvokeError::Crashed(self.end());
        self.mailbox.send(invocation).await.map_err(|_| ended())?;
        let mut phase = self.phase.clone();
        tokio::select! {
            // An answer that is in counts, also when the process ended right behind it or the deadline passed.
            biased;
            Ok(answer) = answered => answer,
            _ = phase.wait_for(|phase| matches!(phase, Phase::Exited(_))) => Err(ended()),
            () = tokio::time::sleep(limit) => {
                self.kill();
                Err(InvokeError::TimedOut)
            }
        }
    }

    /// Asks the process to end, and kills it if it has not done so after `grace`.
    pub(super) async fn stop(&self, grace: Duration) {
        let mut phase = self.phase.clone();
        // The standard library sends SIGKILL only; a shell is everywhere, and saves `unsafe` and a dependency.
        let asked = Command::new("/bin/sh")
            .args(["-c", "kill -TERM \"$1\"", "sh", &self.pid.to_string()])
            .stderr(Stdio::null())
            .status();
        if self.is_alive() && asked.await.is_ok_and(|status| status.success()) {
            let _ = timeout(grace, phase.wait_for(|phase| matches!(phase, Phase::Exited(_)))).await;
        }
        self.kill();
        let _ = phase.wait_for(|phase| matches!(phase, Phase::Exited(_))).await;
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
