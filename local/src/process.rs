//! Child processes: how they are started, and signals to them.
//!
//! No child outlives this process, whatever ends this process. Linux kills a child when the thread that started it ends,
//! if the child asked for that; `setpriv` asks on behalf of any program. So one thread starts all children, and it lasts
//! as long as this process. On other systems, a child outlives a runner that was killed.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{LazyLock, mpsc};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long to wait until a process has stopped.
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);
/// What a child runs before its program: it gives up if its parent ended before it asked to be killed with it. The shell
/// adds its directory to the environment, which the program must not have.
const TIED: &str = r#"[ "$PPID" = "$1" ] || exit 1; shift; unset PWD OLDPWD SHLVL; exec "$@""#;

/// Starts the children.
static STARTER: LazyLock<mpsc::Sender<Box<dyn FnOnce() + Send>>> = LazyLock::new(|| {
    let (starter, jobs) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    std::thread::spawn(move || jobs.into_iter().for_each(|job| job()));
    starter
});

/// Where `setpriv` is, if it can have a process killed with its parent.
static SETPRIV: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let setpriv = find("setpriv")?;
    let mut check = std::process::Command::new(&setpriv);
    let check = check.args(["--pdeathsig", "KILL", "true"]).stderr(Stdio::null()).status();
    check.is_ok_and(|status| status.success()).then_some(setpriv)
});

/// Finds a program on the PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// Starts `program` as a child that ends with this process. `configure` adds arguments and the like.
pub(crate) async fn start(program: PathBuf, configure: impl FnOnce(&mut Command)) -> io::Result<Child> {
    let mut command = match &*SETPRIV {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "/bin/sh", "-c", TIED, "sh"]);
            command.arg(std::process::id().to_string()).arg(program);
            command
        }
        None => Command::new(program),
    };
    configure(command.kill_on_drop(true));
    let (answer, child) = oneshot::channel();
    let runtime = Handle::current();
    let job = move || {
        let _entered = runtime.enter();
        // If the caller has gone, the child is killed here.
        let _ = answer.send(command.spawn());
    };
    let ended = |_| io::Error::other("the thread that starts children has ended");
    STARTER.send(Box::new(job)).map_err(ended)?;
    child.await.map_err(io::Error::other)?
}

/// A signal to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ends the process in order.
    Terminate,
    /// Pauses the process, which cannot refuse.
    Stop,
    /// Resumes a paused process.
    Continue,
}

/// Sends a signal to process `pid`. True if the process exists. Waits until a process that gets `Stop` is paused.
pub(crate) async fn signal(pid: u32, signal: Signal) -> bool {
    let name = match signal {
        Signal::Terminate => "TERM",
        Signal::Stop => "STOP",
        Signal::Continue => "CONT",
    };
    // The standard library can send only SIGKILL. A shell needs neither `unsafe` nor a dependency.
    let sent = Command::new("/bin/sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    let delivered = sent.await.is_ok_and(|status| status.success());
    if delivered && signal == Signal::Stop {
        // The threads stop one after the other, each when the kernel reaches it.
        let _ = tokio::time::timeout(STOP_WAIT_MAX, async {
            while has_running_thread(pid) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
    delivered
}

/// Whether a thread of the process still runs. False on systems without `/proc`, which cannot say.
fn has_running_thread(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .into_iter()
        .any(|thread| std::fs::read_to_string(thread.path().join("stat")).is_ok_and(|stat| !stat.contains(") T ")))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process;

    /// Starts a child, prints its process id, and waits to be killed.
    #[tokio::test]
    #[ignore = "runs as a process of its own"]
    async fn parent_process() {
        let child = start(find("sleep").unwrap(), |command| {
            command.arg("600").process_group(0);
        });
        let child = child.await.unwrap();
        println!("\npid {}", child.id().unwrap());
        std::future::pending::<()>().await;
    }

    fn is_running(pid: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[tokio::test]
    async fn no_child_survives_a_parent_that_is_killed_not_even_a_paused_one() {
        let this = std::env::current_exe().unwrap();
        let mut parent = process::Command::new(this)
            .args(["--exact", "process::tests::parent_process", "--ignored", "--nocapture"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
        let pid = lines.find_map(|line| line.strip_prefix("pid ")?.parse().ok()).unwrap();
        assert!(is_running(pid));
        assert!(signal(pid, Signal::Stop).await);
        parent.kill().unwrap();
        parent.wait().unwrap();
        let gone = async {
            while is_running(pid) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the child has survived its parent");
    }

    #[tokio::test]
    async fn a_child_has_the_environment_and_the_arguments_that_it_was_given_and_no_others() {
        let child = start(find("env").unwrap(), |command| {
            command.env_clear().env("SETTING", "a b").args(["env", "ONE=it's \"1\""]).stdout(Stdio::piped());
        });
        let output = child.await.unwrap().wait_with_output().await.unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "SETTING=a b\nONE=it's \"1\"\n");
    }
}
