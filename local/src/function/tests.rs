//! Tests functions as real processes. Each starts this test binary again, as a runtime that obeys its payload.

mod serving;

use super::asynchronous::Asynchronous;
use super::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// How long a test waits for anything, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// The time-out of a function that a test lets time out. Its other invocations must end within this time.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A function whose binary is a script that starts [`runtime_process`] in this test binary.
pub(crate) struct Fixture {
    pub(crate) function: Function,
    directory: tempfile::TempDir,
}

/// Writes an executable that starts [`runtime_process`] in this test binary.
pub(crate) fn write_binary(path: &Path) {
    write_runtime(path, "function::tests::runtime_process");
}

/// Writes an executable that starts an ignored test of this binary as a runtime.
fn write_runtime(path: &Path, test: &str) {
    let this = std::env::current_exe().unwrap();
    let script = format!("#!/bin/sh\nexec '{}' --exact {test} --ignored --nocapture\n", this.display());
    // Another process writes the file. If this process wrote it, a child that another thread starts meanwhile would
    // inherit the open file for a moment, and an executable that is open for writing cannot be executed.
    let source = path.with_extension("sh");
    std::fs::write(&source, script).unwrap();
    let installed = std::process::Command::new("install").args(["-m", "755"]).args([&source, path]).status().unwrap();
    assert!(installed.success());
}

pub(crate) fn function(configure: impl FnOnce(&mut FunctionSpec)) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let binary = directory.path().join("bootstrap");
    write_binary(&binary);
    let mut spec = FunctionSpec {
        name: "fake".to_owned(),
        binary,
        environment: BTreeMap::from([("SETTING".to_owned(), "of the template".to_owned())]),
        timeout: Duration::from_secs(20),
        memory_mb: 256,
        concurrency: 2,
        log: directory.path().join("logs/fake.log"),
        asynchronous: Asynchronous::default(),
    };
    configure(&mut spec);
    Fixture { function: Function::start(spec).unwrap(), directory }
}

impl Fixture {
    async fn invoke(&self, payload: Value) -> Result<Value, InvokeError> {
        let response = self.function.invoke(Bytes::from(payload.to_string())).await?;
        Ok(serde_json::from_slice(&response).unwrap())
    }

    async fn pid(&self) -> u64 {
        self.invoke(json!({"do": "describe"})).await.unwrap()["pid"].as_u64().unwrap()
    }
}

fn is_running(pid: u64) -> bool {
    // A zombie (in the kernel's sense) is dead: its parent only has not read its status yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits until a killed process is dead, which may take a moment on a busy machine.
async fn until_dead(pid: u64) {
    let dead = async {
        while is_running(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dead).await.expect("the process is killed");
}

#[tokio::test]
async fn an_environment_is_used_again_and_sees_only_its_settings_and_lambdas_variables() {
    let fixture = function(|_| ());
    let first = fixture.invoke(json!({"do": "describe"})).await.unwrap();
    let second = fixture.invoke(json!({"do": "describe"})).await.unwrap();
    assert_eq!(first["pid"], second["pid"]);
    assert_ne!(first["headers"]["lambda-runtime-aws-request-id"], second["headers"]["lambda-runtime-aws-request-id"]);
    let environment = &first["environment"];
    assert_eq!(environment["SETTING"], "of the template");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_NAME"], "fake");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "256");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_VERSION"], "$LATEST");
    assert!(environment["CARGO_MANIFEST_DIR"].is_null(), "the parent's environment leaked");
    let arn = first["headers"]["lambda-runtime-invoked-function-arn"].as_str().unwrap();
    assert_eq!(arn, "arn:aws:lambda:us-east-1:000000000000:function:fake");
    let deadline_ms: i64 = first["headers"]["lambda-runtime-deadline-ms"].as_str().unwrap().parse().unwrap();
    assert!(deadline_ms > first["now_ms"].as_i64().unwrap());
    let stats = fixture.function.stats();
    assert_eq!((stats.invocations, stats.cold_starts, stats.errors), (2, 1, 0));
    fixture.function.stop().await;
}

#[tokio::test]
async fn a_function_error_is_returned_and_keeps_the_environment() {
    let fixture = function(|_| ());
    let pid = fixture.pid().await;
    let error = fixture.invoke(json!({"do": "fail"})).await.unwrap_err();
    let (error_type, message) = ("Test.Asked".to_owned(), "requested by the test".to_owned());
    assert_eq!(error, InvokeError::FunctionError { error_type, message });
    assert_eq!(fixture.pid().await, pid);
}

#[tokio::test]
async fn a_process_that_exits_fails_its_invocation_and_the_next_invocation_starts_another_process() {
    let fixture = function(|_| ());
    let pid = fixture.pid().await;
    let error = fixture.invoke(json!({"do": "exit"})).await.unwrap_err();
    assert_eq!(error, InvokeError::Crashed("exit status: 7".to_owned()));
    assert_ne!(fixture.pid().await, pid);
    let stats = fixture.function.stats();
    assert_eq!((stats.crashes, stats.cold_starts), (1, 2));
}

#[tokio::test]
async fn an_environment_is_killed_at_its_deadline() {
    let fixture = function(|spec| spec.timeout = TIMEOUT);
    let pid = fixture.pid().await;
    assert_eq!(fixture.invoke(json!({"do": "hang"})).await.unwrap_err(), InvokeError::TimedOut);
    assert_ne!(fixture.pid().await, pid);
    until_dead(pid).await;
    assert_eq!(fixture.function.stats().timeouts, 1);
}

#[tokio::test]
async fn concurrent_invocations_have_processes_of_their_own_and_those_beyond_the_concurrency_are_throttled() {
    let fixture = function(|_| ());
    let meet = fixture.directory.path().join("meet").display().to_string();
    // Each waits until both have started: the test ends only if they run at the same time.
    let wait = || fixture.invoke(json!({"do": "meet", "directory": meet, "number": 2}));
    let third = async {
        while fixture.function.0.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        fixture.invoke(json!({"do": "describe"})).await
    };
    let (one, two, three) = tokio::join!(wait(), wait(), third);
    assert_ne!(one.unwrap()["pid"], two.unwrap()["pid"]);
    assert_eq!(three.unwrap_err(), InvokeError::Throttled);
    let stats = fixture.function.stats();
    assert_eq!((stats.throttles, stats.invocations, stats.cold_starts), (1, 2, 2));
}

#[tokio::test]
async fn requests_and_responses_over_six_megabytes_are_refused() {
    let fixture = function(|_| ());
    let bytes = REQUEST_BYTES_MAX + 1;
    let error = fixture.function.invoke(Bytes::from(vec![b' '; bytes])).await.unwrap_err();
    assert_eq!(error, InvokeError::PayloadTooLarge { bytes });
    let most = fixture.invoke(json!({"do": "respond", "bytes": RESPONSE_BYTES_MAX})).await.unwrap();
    assert_eq!(most.as_str().unwrap().len(), RESPONSE_BYTES_MAX - 2);
    let error = fixture.invoke(json!({"do": "respond", "bytes": RESPONSE_BYTES_MAX + 1})).await.unwrap_err();
    assert!(
        matches!(&error, InvokeError::FunctionError { error_type, .. } if error_type == "Function.ResponseSizeTooLarge"),
        "{error}"
    );
}

#[tokio::test]
async fn an_init_error_and_an_exit_during_init_are_init_failures() {
    for (init, expected) in [("error", "Test.Init: no settings"), ("exit", "exit status: 9")] {
        let fixture = function(|spec| _ = spec.environment.insert("INIT".to_owned(), init.to_owned()));
        let error = fixture.invoke(json!({"do": "describe"})).await.unwrap_err();
        assert_eq!(error, InvokeError::InitFailed(expected.to_owned()));
    }
}

#[tokio::test]
async fn kill_one_kills_a_busy_environment_first_and_otherwise_an_idle_one() {
    let fixture = function(|_| ());
    assert_eq!(fixture.function.kill_one(), None);
    let idle = fixture.pid().await;
    let function = fixture.function.clone();
    let busy = tokio::spawn(async move { function.invoke(Bytes::from_static(br#"{"do":"hang"}"#)).await });
    while fixture.function.0.pool().busy.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.function.kill_one().map(u64::from), Some(idle));
    assert!(matches!(busy.await.unwrap(), Err(InvokeError::Crashed(why)) if why.contains("signal: 9")));
    let replaced = fixture.pid().await;
    assert_eq!(fixture.function.kill_one().map(u64::from), Some(replaced));
    assert_ne!(fixture.pid().await, replaced);
}

/// Waits until an invocation has reached its process.
async fn until_under_way(function: &Function) {
    while !function.0.pool().busy.iter().any(|environment| environment.is_ready()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_paused_environment_is_killed_at_its_deadline_and_continues_if_it_is_resumed_before() {
    let fixture = function(|spec| spec.timeout = TIMEOUT);
    assert!(fixture.function.pause_one().await.is_none());
    let pid = fixture.pid().await;
    let paused = fixture.function.pause_one().await.unwrap();
    assert_eq!(u64::from(paused.pid()), pid);
    assert_eq!(fixture.invoke(json!({"do": "describe"})).await.unwrap_err(), InvokeError::TimedOut);
    assert!(!paused.resume().await);

    let fixture = function(|_| ());
    let pid = fixture.pid().await;
    let paused = fixture.function.pause_one().await.unwrap();
    let (invoked, resumed) = tokio::join!(fixture.invoke(json!({"do": "describe"})), paused.resume());
    assert!(resumed);
    assert_eq!(invoked.unwrap()["pid"], pid);
}

#[tokio::test]
async fn a_zombie_has_timed_out_for_its_caller_and_finishes_its_invocation_and_no_other() {
    let fixture = function(|_| ());
    let pid = fixture.pid().await;
    let meet = fixture.directory.path().join("meet");
    let payload = Bytes::from(json!({"do": "meet", "directory": meet, "number": 3}).to_string());
    let invoked = {
        let (function, payload) = (fixture.function.clone(), payload.clone());
        tokio::spawn(async move { function.invoke(payload).await })
    };
    until_under_way(&fixture.function).await;
    let zombie = fixture.function.outlive_one().await.unwrap();
    assert_eq!(u64::from(zombie.pid()), pid);
    assert_eq!(invoked.await.unwrap(), Err(InvokeError::TimedOut));
    assert!(fixture.function.outlive_one().await.is_none());
    // The retry has a process of its own. Each waits for the other, so both end only if the zombie continues.
    std::fs::create_dir_all(&meet).unwrap();
    std::fs::write(meet.join("caller"), "").unwrap();
    let (late, retried) = tokio::join!(zombie.finish(), fixture.function.invoke(payload));
    let of = |answer: Bytes| serde_json::from_slice::<Value>(&answer).unwrap()["pid"].as_u64().unwrap();
    assert_eq!(of(late.unwrap()), pid);
    assert_ne!(of(retried.unwrap()), pid);
    assert_ne!(fixture.pid().await, pid);
    until_dead(pid).await;
    assert_eq!(fixture.function.stats().timeouts, 1);
}

#[tokio::test]
async fn stopping_ends_all_processes_and_refuses_further_invocations() {
    let fixture = function(|_| ());
    let pid = fixture.pid().await;
    assert!(is_running(pid));
    fixture.function.stop().await;
    assert!(!is_running(pid));
    assert_eq!(fixture.invoke(json!({"do": "describe"})).await.unwrap_err(), InvokeError::Stopped);
}

#[tokio::test]
async fn an_invocation_runs_to_its_end_even_if_its_caller_goes_away() {
    let fixture = function(|_| ());
    let pid = fixture.pid().await;
    let meet = fixture.directory.path().join("meet");
    let payload = json!({"do": "meet", "directory": meet, "number": 2}).to_string();
    let abandoned = tokio::time::timeout(Duration::from_millis(1), fixture.function.invoke(payload.into())).await;
    assert!(abandoned.is_err());
    while std::fs::read_dir(&meet).map_or(0, Iterator::count) == 0 {
        tokio::task::yield_now().await;
    }
    std::fs::write(meet.join("caller"), "").unwrap();
    while fixture.function.stats().invocations < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.pid().await, pid);
    assert_eq!(fixture.function.stats().errors, 0);
}

#[tokio::test]
async fn asynchronous_invocations_beyond_the_concurrency_wait_and_all_succeed() {
    let fixture = function(|_| ());
    for _ in 0..6 {
        fixture.function.invoke_async(Bytes::from_static(br#"{"do":"describe"}"#)).unwrap();
    }
    assert_eq!(fixture.function.asynchronous_pending(), 6);
    fixture.function.asynchronous_done().await;
    let stats = fixture.function.stats();
    assert_eq!((stats.invocations, stats.throttles, stats.errors), (6, 0, 0));
}

#[tokio::test]
async fn an_asynchronous_invocation_is_refused_over_one_mebibyte_and_after_the_stop() {
    let fixture = function(|_| ());
    let bytes = asynchronous::PAYLOAD_BYTES_MAX + 1;
    let refused = fixture.function.invoke_async(Bytes::from(vec![b' '; bytes])).unwrap_err();
    assert_eq!(refused, QueueError::PayloadTooLarge { bytes });
    fixture.function.invoke_async(Bytes::from_static(br#"{"do":"fail"}"#)).unwrap();
    fixture.function.stop().await;
    // Stopping the function drops the event that waits for its retry.
    fixture.function.asynchronous_done().await;
    assert_eq!(fixture.function.invoke_async(Bytes::new()).unwrap_err(), QueueError::Stopped);
}

#[test]
fn starting_a_function_without_a_binary_fails_and_names_the_binary() {
    let spec = FunctionSpec {
        name: "absent".to_owned(),
        binary: "/nonexistent/bootstrap".into(),
        environment: BTreeMap::new(),
        timeout: Duration::from_secs(3),
        memory_mb: 128,
        concurrency: 1,
        log: "/nonexistent/log".into(),
        asynchronous: Asynchronous::default(),
    };
    let error = Function::start(spec).unwrap_err();
    assert_eq!(error.to_string(), "function absent has no binary at /nonexistent/bootstrap: build it first");
}

/// Not a test, but the process of the fake function. It does nothing unless its environment names a Runtime API.
#[test]
#[ignore = "the runtime that the other tests start"]
fn runtime_process() {
    let Ok(api) = std::env::var("AWS_LAMBDA_RUNTIME_API") else { return };
    match std::env::var("INIT").as_deref() {
        Ok("exit") => std::process::exit(9),
        Ok("error") => {
            let report = json!({"errorType": "Test.Init", "errorMessage": "no settings"}).to_string();
            call(&api, "POST", "init/error", report.as_bytes());
            std::thread::sleep(Duration::from_mins(1));
        }
        _ => {}
    }
    loop {
        let (headers, payload) = call(&api, "GET", "invocation/next", b"");
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        let id = headers["lambda-runtime-aws-request-id"].as_str().unwrap().to_owned();
        if let Ok(notes) = std::env::var("NOTES") {
            // Renamed when it is complete, so that a reader never sees a part of it.
            let unfinished = format!("{notes}/.{id}");
            std::fs::write(&unfinished, payload.to_string()).unwrap();
            std::fs::rename(&unfinished, format!("{notes}/{id}.json")).unwrap();
        }
        // The command of an HTTP request is in its body.
        let command =
            payload["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or(payload.clone());
        let (path, body) = match command["do"].as_str().unwrap_or_default() {
            "answer" => ("response", command["answer"].to_string()),
            "echo" => ("response", payload.to_string()),
            "fail" => {
                ("error", json!({"errorType": "Test.Asked", "errorMessage": "requested by the test"}).to_string())
            }
            "exit" => std::process::exit(7),
            "hang" => loop {
                std::thread::sleep(Duration::from_mins(1));
            },
            "respond" => ("response", format!("\"{}\"", "x".repeat(payload["bytes"].as_u64().unwrap() as usize - 2))),
            "meet" => {
                let directory = PathBuf::from(payload["directory"].as_str().unwrap());
                std::fs::create_dir_all(&directory).unwrap();
                std::fs::write(directory.join(&id), "").unwrap();
                while (std::fs::read_dir(&directory).unwrap().count() as u64) < payload["number"].as_u64().unwrap() {
                    std::thread::yield_now();
                }
                ("response", json!({"pid": std::process::id()}).to_string())
            }
            _ => {
                let environment: BTreeMap<String, String> = std::env::vars().collect();
                let now_ms = myaku::platform::clock::Now::now_ms(&myaku::platform::clock::SystemClock);
                let pid = std::process::id();
                (
                    "response",
                    json!({"pid": pid, "environment": environment, "headers": headers, "now_ms": now_ms}).to_string(),
                )
            }
        };
        call(&api, "POST", &format!("invocation/{id}/{path}"), body.as_bytes());
    }
}

/// Sends one HTTP/1.1 request on a connection of its own. Returns the headers and the body of the response.
fn call(api: &str, method: &str, path: &str, body: &[u8]) -> (serde_json::Map<String, Value>, Vec<u8>) {
    let mut connection = TcpStream::connect(api).unwrap();
    let length = body.len();
    let head = format!(
        "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {api}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    // A server that refuses a body for its size may close the connection before it has read the whole body.
    let _ = connection.write_all(body);
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Default::default() };
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), Value::from(value))).collect();
    (headers, answer.split_off(end + 4))
}
