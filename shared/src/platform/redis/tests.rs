//! Tests with a server that is down, and with a real server.

use super::*;
use crate::device::presence::watch;
use crate::device::presence::watch::redis::RedisWatch;
use crate::keyed::Kept;
use crate::keyed::fence::{Fence, Fences};
use crate::keyed::states::conformance::{self, Counted};
use crate::keyed::states::redis::RedisStates;
use crate::keyed::states::{Commit, Committed, SlotCommit, SlotDevices, States as _, Version};
use crate::stream::batch::Position;
use crate::stream::slot::Slot;
use aws_config::BehaviorVersion;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn sdk() -> SdkConfig {
    SdkConfig::builder().behavior_version(BehaviorVersion::v2026_01_12()).build()
}

async fn connect(url: &str) -> Connection {
    Connection::connect(&Settings::node(url).unwrap(), &sdk()).await.unwrap()
}

#[tokio::test]
async fn a_server_that_is_down_fails_the_call_and_not_the_start() {
    let connection = connect("redis://127.0.0.1:1").await;
    let error = connection.get_many(&["key".to_owned()]).await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Retry);
    assert_eq!(error.operation, "connect to Redis");
}

#[tokio::test]
async fn a_caller_need_not_set_up_tls() {
    let connection = connect("rediss://127.0.0.1:1").await;
    assert_eq!(connection.ping().await.unwrap_err().remedy, Remedy::Retry);
}

/// A server on a free port. Dropping it ends the process.
struct Server {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
    options: &'static [&'static str],
}

impl Server {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(options: &'static [&'static str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        Self { child: spawn(port, directory.path(), options), port, directory, options }
    }

    fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(self.port, self.directory.path(), self.options);
    }

    async fn connection(&self) -> Connection {
        let connection = connect(&format!("redis://127.0.0.1:{}", self.port)).await;
        until_up(&connection).await;
        connection
    }
}

/// A port that no process listens on. It is below 32768, where the ports of outgoing connections begin, so that none of
/// them takes it while the server restarts. The same holds for the port 10,000 above it, which a cluster's nodes use
/// among themselves.
fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| rand::random_range(12_000..22_000));
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

fn spawn(port: u16, directory: &Path, options: &[&str]) -> Child {
    let start = |program| {
        Command::new(program)
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()])
            .args(options)
            .current_dir(directory)
            .stdout(Stdio::null())
            .spawn()
    };
    start("redis-server")
        .or_else(|_| start("valkey-server"))
        .expect("install redis-server or valkey-server: `make test` does")
}

async fn until_up(connection: &Connection) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while let Err(error) = connection.ping().await {
        assert!(std::time::Instant::now() < deadline, "the server did not start: {error}");
        tokio::task::yield_now().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn state_in_a_real_server_keeps_the_contract() {
    let mut server = Server::start();
    let connection = server.connection().await;
    let states = RedisStates::new(connection.clone(), Duration::from_mins(10));
    conformance::suite(&states, "real").await;

    let broken = [("broken", b"neither a state nor long".as_slice()), ("short", b"x"), ("empty", b"")];
    for (device, bytes) in broken {
        let entry = (RedisStates::<Counted>::key(device), bytes.to_vec());
        connection.set_many(&[entry], Duration::from_mins(1)).await.unwrap();
        conformance::corrupted(&states, device).await;
    }

    // A list where a string should be has no readable value, and a commit replaces it.
    let mut push = redis::cmd("RPUSH");
    push.arg(RedisStates::<Counted>::key("list")).arg(1);
    connection.all("RPUSH", vec![push]).await.unwrap();
    let (slot, new, kept, none) = (Slot::of("list"), Version::default(), Kept::default(), Fences::new());
    let fence = Fence { position: Position::ZERO, lost_until: None };
    let commit = Commit { device_id: "list", replaces: &new, kept: Some(&kept) };
    let fence = Some(("shard", fence));
    let commit = SlotCommit { slot, fences: &none, fence, forgotten: Vec::new(), states: vec![commit] };
    assert_eq!(states.commit("readings", &[commit]).await.unwrap(), [Committed::Done]);
    let devices = vec!["list"];
    let loaded = states.load("readings", &[SlotDevices { slot, devices }]).await.unwrap().remove(0);
    assert_eq!(loaded.states[0].kept, Some(kept));

    let seconds = async |key: &str| {
        let mut ttl = redis::cmd("TTL");
        ttl.arg(key);
        let answer = connection.all("TTL", vec![ttl]).await.unwrap().remove(0);
        i64::from_redis_value(answer).unwrap()
    };
    let of_state = seconds(&RedisStates::<Counted>::key("list")).await;
    assert!((590..=600).contains(&of_state), "the state of a silent device expires: {of_state}");
    let of_fences = format!("myaku:counted-fences:{{{:02x}}}:readings", slot.0);
    assert_eq!(seconds(&of_fences).await, -1, "fences do not expire: one that is missing shows a loss");

    // The restart deletes scripts and data. A connected client reconnects, and sends the script's code again.
    server.restart();
    until_up(&connection).await;
    conformance::suite(&states, "real").await;
}

#[tokio::test]
async fn a_watch_in_a_real_server_keeps_the_contract() {
    let server = Server::start();
    watch::conformance::suite(&RedisWatch::new(server.connection().await), "real").await;
}

#[tokio::test]
async fn values_expire_after_their_time_and_are_read_in_the_order_of_the_keys() {
    let server = Server::start();
    let connection = server.connection().await;
    let keys: Vec<String> = (0..300).map(|n| format!("key-{n}")).collect();
    let entries: Vec<_> = keys[..200].iter().map(|key| (key.clone(), vec![0, 255, b'\n'])).collect();
    connection.set_many(&entries, Duration::from_mins(1)).await.unwrap();
    let values = connection.get_many(&keys).await.unwrap();
    assert_eq!(values.iter().filter(|value| **value == Some(vec![0, 255, b'\n'])).count(), 200);
    assert!(values[200..].iter().all(Option::is_none));
    connection.delete_many(&keys[..199]).await.unwrap();
    assert_eq!(connection.get_many(&keys).await.unwrap().iter().flatten().count(), 1);
    assert_eq!(connection.get_many(&[]).await.unwrap(), Vec::<Option<Vec<u8>>>::new());

    connection.set_many(&[("soon".to_owned(), vec![1])], Duration::from_millis(1)).await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while connection.get_many(&["soon".to_owned()]).await.unwrap() != [None] {
        assert!(std::time::Instant::now() < deadline);
    }
}

#[tokio::test]
async fn a_connection_that_broke_unnoticed_is_replaced_within_the_call() {
    let mut server = Server::start();
    let connection = server.connection().await;
    server.restart();
    let other = server.connection().await;
    other.ping().await.unwrap();
    connection.ping().await.expect("the first call on a broken connection opens another");
}

#[tokio::test]
async fn a_cluster_keeps_the_same_contract() {
    let server = Server::start_with(&["--cluster-enabled", "yes"]);
    let node = server.connection().await;
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("ADDSLOTSRANGE").arg(0).arg(16_383);
    node.all("CLUSTER", vec![slots]).await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while let Err(error) = node.get_many(&["any".to_owned()]).await {
        assert!(std::time::Instant::now() < deadline, "the cluster did not form: {error}");
        tokio::task::yield_now().await;
    }

    let url = format!("redis://127.0.0.1:{}", server.port);
    let settings = Settings { cluster: true, ..Settings::node(&url).unwrap() };
    let connection = Connection::connect(&settings, &sdk()).await.unwrap();
    conformance::suite(&RedisStates::new(connection.clone(), Duration::from_mins(10)), "cluster").await;
    watch::conformance::suite(&RedisWatch::new(connection.clone()), "cluster").await;
    let entries: Vec<_> = (0..600).map(|n: u32| (format!("key-{n}"), n.to_le_bytes().to_vec())).collect();
    connection.set_many(&entries, Duration::from_mins(1)).await.unwrap();
    let keys: Vec<_> = entries.iter().map(|(key, _)| key.clone()).collect();
    let values: Vec<_> = connection.get_many(&keys).await.unwrap().into_iter().flatten().collect();
    assert!(values.iter().eq(entries.iter().map(|(_, value)| value)), "values of many slots, in the order of the keys");
}
