//! A Redis or Valkey server as a child process. It forgets what it has not saved when it is killed, and nothing when it is
//! stopped.

use super::port::Port;
use crate::process::{Signal, signal};
use anyhow::{Context as _, bail};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// What to look for on the PATH, the better known first.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// Until a new server answers, with room for a machine that compiles at the same time.
const START_UP: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
const PING: Duration = Duration::from_millis(500);
/// Until a server has written what it holds and ended.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// The file in which it leaves that.
const DUMP: &str = "dump.rdb";

/// A server process; it is killed when dropped.
pub struct RedisServer {
    port: Port,
    child: Mutex<Option<Child>>,
    /// Where a server that is stopped leaves what it holds.
    directory: TempDir,
}

/// Starts a server on `port`, or on a free one for 0. The error says what to install if no server is.
pub async fn start(port: u16) -> anyhow::Result<RedisServer> {
    let port = Port::hold(port)?;
    let directory = tempfile::tempdir().context("no directory for Redis")?;
    let child = spawn(port.address(), directory.path(), &PROGRAMS).await?;
    Ok(RedisServer { port, child: Mutex::new(Some(child)), directory })
}

impl RedisServer {
    /// The URL, `redis://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("redis://{}", self.port.address())
    }

    /// Kills the process at once, as a machine that fails would: connections are refused, and all it held is gone, but for
    /// what a [`save`](Self::save) has kept.
    pub async fn kill(&self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.lock().await.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Ends the process in order: connections are refused, and a [`restart`](Self::restart) brings back what it held.
    pub async fn stop(&self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.lock().await.take() {
            TcpStream::connect(self.port.address()).await?.write_all(b"SHUTDOWN SAVE\r\n").await?;
            tokio::time::timeout(SHUTDOWN, child.wait()).await.context("Redis does not end")??;
        }
        Ok(())
    }

    /// Keeps what the server holds now. After a [`kill`](Self::kill) it comes back with this, as a replica that was behind
    /// its primary does.
    pub async fn save(&self) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(self.port.address()).await?;
        stream.write_all(b"SAVE\r\n").await?;
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await?;
        anyhow::ensure!(&answer == b"+OK", "Redis cannot save");
        Ok(())
    }

    /// Stops the process where it is: it takes connections, and answers nothing. Which process that is.
    pub async fn pause(&self) -> Option<u32> {
        self.signal(Signal::Stop).await
    }

    /// Lets a process that was [paused](Self::pause) go on: it does all that it was asked meanwhile.
    pub async fn resume(&self) -> Option<u32> {
        self.signal(Signal::Continue).await
    }

    async fn signal(&self, what: Signal) -> Option<u32> {
        let pid = self.child.lock().await.as_ref()?.id()?;
        signal(pid, what).await.then_some(pid)
    }

    /// Starts a server on the same port: with what a [`stop`](Self::stop) or [`save`](Self::save) left, and else empty.
    pub async fn restart(&self) -> anyhow::Result<()> {
        let mut child = self.child.lock().await;
        if child.is_none() {
            *child = Some(spawn(self.port.address(), self.directory.path(), &PROGRAMS).await?);
            // What it has read is not to come back again after the next kill.
            let _ = std::fs::remove_file(self.directory.path().join(DUMP));
        }
        Ok(())
    }
}

async fn spawn(address: SocketAddr, directory: &Path, programs: &[&str]) -> anyhow::Result<Child> {
    for program in programs {
        let child = Command::new(program)
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--dbfilename", DUMP])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        match child {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{program} does not start")),
            Ok(mut child) => {
                wait_until_ready(&mut child, address).await.with_context(|| format!("{program} did not come up"))?;
                return Ok(child);
            }
        }
    }
    bail!(
        "neither {} is installed; on Debian or Ubuntu type: sudo apt-get install redis-server",
        programs.join(" nor ")
    )
}

async fn wait_until_ready(child: &mut Child, address: SocketAddr) -> anyhow::Result<()> {
    let ready = async {
        loop {
            if let Some(status) = child.try_wait()? {
                bail!("it ended with {status}; port {} may be taken", address.port());
            }
            // Somebody else may have the port, and say nothing.
            if let Ok(Ok(())) = tokio::time::timeout(PING, ping(address)).await {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(START_UP, ready).await.context("no answer in time")?
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
    async fn a_stopped_server_comes_back_with_what_it_held_and_after_a_kill_without() {
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
    async fn a_killed_server_comes_back_once_with_what_it_had_saved_and_a_paused_one_goes_on_with_all() {
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
    async fn a_missing_program_says_what_to_type() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let error = spawn(address, Path::new("/"), &["no-such-redis", "no-such-valkey"]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "neither no-such-redis nor no-such-valkey is installed; \
             on Debian or Ubuntu type: sudo apt-get install redis-server"
        );
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        assert!(start(taken.local_addr().unwrap().port()).await.is_err());
    }
}
