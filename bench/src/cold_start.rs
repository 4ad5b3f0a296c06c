//! Cold starts: from the start of a function's process to its first answer, compared with a Rust function that does
//! nothing and with the same function in Python and Node.
//!
//! Each program runs with Lambda's Runtime API on a free port and receives one event. The time ends when its answer
//! arrives. The environment is Lambda's. The event needs no call to AWS, so no network is measured. All programs create
//! their clients at the first call, so that time is not included.
//!
//! Rust programs are started from copies, because a deployed program is a copy too. The file that a linker has just
//! written is in memory page by page, and the kernel takes a tenth longer to map it.

use crate::programs::Program;
use crate::row::{Bar, Case, Measured, Spread, Unit};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Starts of each program in a round. A start takes milliseconds on the wall clock, which includes other work of the
/// machine.
const STARTS: usize = 3;
/// The time limit of a start.
const START_MAX: Duration = Duration::from_secs(30);
/// The environment that Lambda gives to every function, and the template to some.
const ENVIRONMENT: [(&str, &str); 28] = [
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_SESSION_TOKEN", "token"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_DEFAULT_REGION", "eu-west-1"),
    ("AWS_LAMBDA_FUNCTION_NAME", "function"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
    ("LAKE_BUCKET", "lake"),
    ("DEAD_LETTER_BUCKET", "dead-letters"),
    ("HEADS_TABLE", "heads"),
    ("REGISTRY_TABLE", "registry"),
    ("RESULTS_TABLE", "results"),
    ("PROGRESS_TABLE", "progress"),
    ("NOTES_TABLE", "notes"),
    ("READINGS_STREAM", "readings"),
    ("INGEST_STREAM", "ingest"),
    ("STREAM", "ingest"),
    ("LEDGER_TABLE", "ledger"),
    ("ALARM_TOPIC", "arn:aws:sns:eu-west-1:123456789012:alarms"),
    ("ALARM_PREFIX", "ingest"),
    ("PRESENCE_TABLE", "presence"),
    ("ALERT_TOPIC", "arn:aws:sns:eu-west-1:123456789012:alerts"),
    // No server listens on this port, and no function connects to it before its first use.
    ("REDIS_URL", "redis://127.0.0.1:1"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("HOME", "/nonexistent"),
];

/// The function that Python and Node are compared with.
const ARCHIVER: Program = Program::Function("archiver");
/// A batch without records, for the functions that Kinesis invokes.
const NO_RECORDS: &str = r#"{"Records":[]}"#;
/// Each function, with an event that needs no service, and how the function answers it.
const FUNCTIONS: [(&str, &str, Answer); 7] = [
    ("archiver", NO_RECORDS, Answer::Response),
    ("transform", NO_RECORDS, Answer::Response),
    ("moving-average", NO_RECORDS, Answer::Response),
    // A batch with a header and no messages.
    (
        "iot-ingest",
        r#"{"deliveryId":"1","gateway":"hub-3","facility":"home-3","clientId":"hub-3","receivedAt":1795218892020,"payload":"W3sic2VxdWVuY2UiOjF9XQ=="}"#,
        Answer::Response,
    ),
    (
        "http-ingest",
        r#"{"rawPath":"/openapi.json","requestContext":{"stage":"$default","http":{"method":"GET"}}}"#,
        Answer::Response,
    ),
    // Every valid event needs the table, so this one is not valid.
    ("iot-presence", "{}", Answer::Error),
    // A notification that does not name an alarm.
    ("reshard-autoscaler", r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"hello"}}]}"#, Answer::Response),
];
/// Where a start spends more time than that of the empty function.
const LIMIT: &str = "Three quarters of the time beyond that of the empty function are spent in the kernel: 160 more page faults, at 2 to 3 µs each on this machine. Ninety of them copy pages of the SDKs' tables, in which the loader relocates 23,000 addresses in 70 µs; the others map the used parts of a program that is five times as large. The functions' own code takes a tenth. Linked to a fixed address, the same program took 1.2 times as long as the empty function; it is not deployed so, because its addresses would no longer be random. Without the SDK's sources of credentials other than the environment it took 0.03 less, but then it could not run with a profile. The engine for regular expressions in the runtime's logger took 0.1, and was removed. Clients are created at their first call.";
/// How the processor's caches affect the comparison with large programs.
const PEER_LIMIT: &str = "When it runs alternately with a program as large as the peer, our function finds the processor's caches empty and takes 2.6 ms; alternately with a Rust program, it takes 1.6 ms. Python with boto3 took 157 to 260 ms on this machine, with the same versions in two installations; against the slower one the bar is met.";

/// How an invocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Response,
    Error,
}

/// A program and its arguments.
type CommandLine = Vec<PathBuf>;

/// Compares the functions with one that does nothing and, if they are installed in `directory`, with Python and Node.
pub(crate) fn cases(directory: &Path) -> Vec<Case> {
    let peers = directory.join("peers");
    let mut cases: Vec<_> = FUNCTIONS
        .map(|(name, event, answer)| {
            let directory = directory.to_owned();
            let programs = move || {
                let nothing = (vec![copy_of(Program::Nothing, &directory)?], Answer::Response);
                Ok([(vec![copy_of(Program::Function(name), &directory)?], answer), nothing])
            };
            case(name, (name, event), ("that of a Rust function that does nothing", 1.3, LIMIT), programs)
                .starting([Program::Function(name), Program::Nothing])
        })
        .into();
    if peers.join(".installed").exists() {
        let python = vec![peers.join("python/bin/python"), peers.join("cold_start.py")];
        let node = vec![PathBuf::from("node"), peers.join("cold_start.mjs")];
        for (name, of, program, bar) in [
            ("python", "that of Python with boto3", python, 1.0 / 80.0),
            ("node", "that of Node with the AWS SDK", node, 1.0 / 40.0),
        ] {
            let directory = directory.to_owned();
            let programs = move || {
                let programs = [vec![copy_of(ARCHIVER, &directory)?], program];
                Ok(programs.map(|program| (program, Answer::Response)))
            };
            let case = case(name, ("archiver", NO_RECORDS), (of, bar, PEER_LIMIT), programs);
            cases.push(case.starting([ARCHIVER]));
        }
    }
    cases
}

fn case(
    name: &str,
    (function, event): (&str, &'static str),
    (other, bar, limit): (&str, f64, &'static str),
    programs: impl FnOnce() -> Result<[(CommandLine, Answer); 2]> + 'static,
) -> Case {
    let words = (format!("cold start of {function}, exec to first response"), format!("time ÷ {other}"));
    Case::new(format!("cold-start/{name}"), words, (Unit::Times, Bar::AtMost(bar)), limit, move |rounds| {
        let programs = programs()?;
        let both = || -> Result<[f64; 2]> {
            let [ours, other] = programs.each_ref().map(|(program, answer)| start(program, event, *answer));
            Ok([ours?, other?].map(|took| took.as_secs_f64() * 1e3))
        };
        // The first starts read the files into the page cache.
        both()?;
        let pairs = (0..rounds * STARTS).map(|_| both()).collect::<Result<Vec<_>>>()?;
        let [ours, other] = [0, 1].map(|which| Spread::of(pairs.iter().map(|pair| pair[which]).collect()).median);
        let value = Spread::of(pairs.iter().map(|[ours, other]| ours / other).collect());
        Ok(Measured { value, detail: format!("{ours:.1} ms against {other:.1} ms on the wall clock") })
    })
}

/// Copies a program into `directory`.
fn copy_of(program: Program, directory: &Path) -> Result<PathBuf> {
    let copy = directory.join("cold-start").join(program.name());
    fs::create_dir_all(copy.parent().context("the copy has no directory")?)?;
    fs::copy(program.file()?, &copy)?;
    Ok(copy)
}

/// A process that ends when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program, and returns the time until its first answer.
fn start(program: &[PathBuf], event: &'static str, expected: Answer) -> Result<Duration> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (answers, answered) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answers = answers.clone();
            std::thread::spawn(move || serve(&connection, event, &answers));
        }
    });
    let (name, arguments) = program.split_first().context("the command line is empty")?;
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(ENVIRONMENT).env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let _process = Process(command.spawn().with_context(|| format!("cannot start {}", name.display()))?);
    match answered.recv_timeout(START_MAX) {
        Ok((answer, at)) => {
            ensure!(answer == expected, "{} answers with {answer:?}, not {expected:?}", name.display());
            Ok(at - started)
        }
        Err(_) => bail!("{} does not answer within {START_MAX:?}", name.display()),
    }
}

/// Serves one connection of the runtime: it has the first event at once, and never a second one.
fn serve(connection: &TcpStream, event: &str, answers: &Sender<(Answer, Instant)>) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(connection);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        let answer = if path.ends_with("/invocation/next") {
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlambda-runtime-aws-request-id: 1\r\n\
                 lambda-runtime-deadline-ms: 4102444800000\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:123456789012:function:function\r\n\
                 lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700\r\ncontent-length: {}\r\n\r\n{event}",
                event.len()
            )
        } else if path.ends_with("/extension/register") {
            "HTTP/1.1 200 OK\r\nlambda-extension-identifier: 1\r\ncontent-length: 2\r\n\r\n{}".to_owned()
        } else if path.ends_with("/event/next") {
            std::thread::park();
            return None;
        } else {
            let answer = if path.ends_with("/response") { Answer::Response } else { Answer::Error };
            answers.send((answer, Instant::now())).ok()?;
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned()
        };
        (&mut &*connection).write_all(answer.as_bytes()).ok()?;
    }
}
