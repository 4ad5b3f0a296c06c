//! A Redis or Valkey server as a child process.
//!
//! A kill loses all data that the server has not saved. A stop loses nothing. A server that ends by itself is started
//! again, and has lost what it had not saved.

use super::port::Port;
use super::supervision::Restarts;
use crate::process::{self, Signal, signal};
use anyhow::{Context as _, bail};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// The programs to look for on the PATH, in this order.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// How long a new server may take to answer, with room for a machine that compiles at the same time.
const START_UP: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
const PING: Duration = Duration::from_millis(500);
/// How often to look whether the server still runs.
const CHECK: Duration = Duration::from_millis(200);
/// How long a server may take to write its data and end.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// The file for the data.
const DUMP: &str = "dump.rdb";

/// A server process. It is killed when dropped.
pub struct RedisServer {
    port: Port,
    /// `None` after a [`kill`](Self::kill) or a [`stop`](Self::stop).
    child: Arc<Mutex<Option<Child>>>,
    /// Where a server saves its data.
    directory: TempDir,
    supervisor: JoinHandle<()>,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

/// Starts a server on `port` (0 for a free one). If no server is installed, the error says how to install one.
pub async fn start(port: u16) -> anyhow::Result<RedisServer> {
    let port = Port::hold(port)?;
    let directory = tempfile::tempdir().context("cannot create a temporary directory for Redis")?;
    let child = spawn(port.address(), directory.path(), &PROGRAMS).await?;
    let child = Arc::new(Mutex::new(Some(child)));
    let supervisor = tokio::spawn(supervise(Arc::clone(&child), port.address(), directory.path().to_owned()));
    Ok(RedisServer { port, child, directory, supervisor })
}

/// Starts the server again whenever it has ended by itself.
async fn supervise(child: Arc<Mutex<Option<Child>>>, address: SocketAddr, directory: PathBuf) {
    let mut restarts = Restarts::new(format!("Redis on {address}"));
    loop {
        tokio::time::sleep(CHECK).await;
        let ended = child.lock().await.as_mut().and_then(|child| child.try_wait().transpose());
        let Some(status) = ended else { continue };
        restarts.pause(&status.map_or_else(|error| error.to_string(), |status| status.to_string())).await;
        let mut child = child.lock().await;
        // It may have been killed or restarted meanwhile.
        if child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None))) {
            match spawn(address, &directory, &PROGRAMS).await {
                Ok(restarted) => *child = Some(restarted),
                Err(error) => tracing::error!(error = format!("{error:#}"), "cannot start Redis again"),
            }
        }
    }
}

impl RedisServer {
    /// The URL, `redis://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("redis://{}", self.port.address())
    }

    /// Kills the process at once, as the failure of a machine does: connections are refused, and all data is lost
    /// except what the last [`save`](Self::save) wrote.
    pub async fn kill(&self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.lock().await.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Ends the process in order: connections are refused, and a [`restart`](Self::restart) brings the data back.
    pub async fn stop(&self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.lock().await.take() {
            TcpStream::connect(self.port.address()).await?.write_all(b"SHUTDOWN SAVE\r\n").await?;
            tokio::time::timeout(SHUTDOWN, child.wait())
                .await
                .with_context(|| format!("Redis did not end within {} s after SHUTDOWN SAVE", SHUTDOWN.as_secs()))??;
        }
        Ok(())
    }

    /// Saves the current data. After a [`kill`](Self::kill) the server comes back with it, like a replica that lagged
    /// behind its primary.
    pub async fn save(&self) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(self.port.address()).await?;
        stream.write_all(b"SAVE\r\n").await?;
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await?;
        anyhow::ensure!(&answer == b"+OK", "Redis did not save its data: SAVE failed");
        Ok(())
    }

    /// Pauses the process: it accepts connections and answers nothing. Returns its process id; none if it does not run.
    pub async fn pause(&self) -> Option<u32> {
        self.signal(Signal::Stop).await
    }

    /// Resumes a [paused](Self::pause) process, which then performs what it was asked in the meantime.
    pub async fn resume(&self) -> Option<u32> {
        self.signal(Signal::Continue).await
    }

    async fn signal(&self, kind: Signal) -> Option<u32> {
        let pid = self.child.lock().await.as_ref()?.id()?;
        signal(pid, kind).await.then_some(pid)
    }

    /// Starts a server on the same port, with the data that a [`stop`](Self::stop) or [`save`](Self::save) wrote; empty
    /// without one.
    pub async fn restart(&self) -> anyhow::Result<()> {
        let mut child = self.child.lock().await;
        if child.is_none() {
            *child = Some(spawn(self.port.address(), self.directory.path(), &PROGRAMS).await?);
            // The next kill must not bring the same data back.
            let _ = std::fs::remove_file(self.directory.path().join(DUMP));
        }
        Ok(())
    }
}

async fn spawn(address: SocketAddr, directory: &Path, programs: &[&str]) -> anyhow::Result<Child> {
    let Some((name, program)) = programs.iter().find_map(|name| Some((name, process::find(name)?))) else {
        bail!(
            "neither {} is installed; on Debian or Ubuntu type: sudo apt-get install redis-server",
            programs.join(" nor ")
        );
    };
    let child = process::start(program, |command| {
        command
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--dbfilename", DUMP])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    });
    let mut child = child.await.with_context(|| format!("cannot start {name}"))?;
    wait_until_ready(&mut child, address).await.with_context(|| format!("{name} did not start"))?;
    Ok(child)
}

async fn wait_until_ready(child: &mut Child, address: SocketAddr) -> anyhow::Result<()> {
    let ready = async {
        loop {
            if let Some(status) = child.try_wait()? {
                bail!("it ended with {status}; is port {} in use?", address.port());
            }
            // Another program may have the port, and answer nothing.
            if let Ok(Ok(())) = tokio::time::timeout(PING, ping(address)).await {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(START_UP, ready).await.with_context(|| format!("no answer within {} s", START_UP.as_secs()))?
}

async fn ping(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    if &answer == b"+PONG" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn data_survives_a_stop_and_not_a_kill() {
        let valkey = start(0).await.unwrap();
        let client = redis::Client::open(valkey.endpoint()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let () = redis::cmd("SET").arg("key").arg("value").query_async(&mut connection).await.unwrap();
        for expected in [Some("value".to_owned()), None] {
            if expected.is_some() { valkey.stop().await } else { valkey.kill().await }.unwrap();
            assert!(client.get_multiplexed_async_connection().await.is_err());
            valkey.restart().await.unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let value: Option<String> = redis::cmd("GET").arg("key").query_async(&mut connection).await.unwrap();
            assert_eq!(value, expected);
        }
    }

    #[tokio::test]
    async fn a_killed_server_comes_back_once_with_its_saved_data_and_a_resumed_one_with_all() {
        let valkey = start(0).await.unwrap();
        let client = redis::Client::open(valkey.endpoint()).unwrap();
        let set = |value: u32| {
            let client = client.clone();
            async move {
                let mut connection = client.get_multiplexed_async_connection().await?;
                redis::cmd("SET").arg("key").arg(value).query_async::<()>(&mut connection).await
            }
        };
        let get = || async {
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            redis::cmd("GET").arg("key").query_async::<Option<u32>>(&mut connection).await.unwrap()
        };
        set(1).await.unwrap();
        valkey.save().await.unwrap();
        set(2).await.unwrap();
        assert!(valkey.pause().await.is_some());
        let third = tokio::spawn(set(3));
        assert!(valkey.resume().await.is_some());
        third.await.unwrap().unwrap();
        assert_eq!(get().await, Some(3));
        for expected in [Some(1), None] {
            valkey.kill().await.unwrap();
            assert!(valkey.pause().await.is_none());
            valkey.restart().await.unwrap();
            assert_eq!(get().await, expected);
        }
    }

    #[tokio::test]
    async fn a_server_that_ends_by_itself_is_started_again_and_a_killed_one_is_not() {
        let valkey = start(0).await.unwrap();
        let client = redis::Client::open(valkey.endpoint()).unwrap();
        let pid = valkey.child.lock().await.as_ref().unwrap().id().unwrap();
        assert!(signal(pid, Signal::Terminate).await);
        let again = async {
            loop {
                let id = valkey.child.lock().await.as_ref().and_then(Child::id);
                if id.is_some_and(|id| id != pid) && client.get_multiplexed_async_connection().await.is_ok() {
                    return;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(START_UP, again).await.expect("it was not started again");
        valkey.kill().await.unwrap();
        tokio::time::sleep(CHECK * 3).await;
        assert!(client.get_multiplexed_async_connection().await.is_err());
    }

    #[tokio::test]
    async fn the_error_for_a_missing_program_says_how_to_install_it() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let error = spawn(address, Path::new("/"), &["no-such-redis", "no-such-valkey"]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "neither no-such-redis nor no-such-valkey is installed; \
             on Debian or Ubuntu type: sudo apt-get install redis-server"
        );
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        assert!(start(listener.local_addr().unwrap().port()).await.is_err());
    }
}
