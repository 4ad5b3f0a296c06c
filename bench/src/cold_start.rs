//! Cold starts: from the start of a function's process to its first answer, beside a Rust function that does nothing, and
//! the same in Python and Node.
//!
//! A program is started with Lambda's Runtime API on a free port, is handed one event, and the time counts until its answer is
//! in. The environment is that of Lambda, and the event one that is answered without a call to AWS, so that no network is
//! measured. Clients are made at their first call: what that takes is not in it, here nor there.
//!
//! Rust programs are started as copies, as what is deployed is one: what a linker leaves is in memory page by page, and takes
//! the kernel a tenth longer to map.

use crate::row::{Bar, Case, Measured, Spread, Unit};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Starts of each in what is one round elsewhere: they take milliseconds, and the clock has what else the machine does.
const STARTS: usize = 3;
/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// What Lambda gives every function, and what the template gives some.
const ENVIRONMENT: [(&str, &str); 26] = [
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
    ("READINGS_STREAM", "readings"),
    ("INGEST_STREAM", "ingest"),
    ("STREAM", "ingest"),
    ("LEDGER_TABLE", "ledger"),
    ("ALARM_TOPIC", "arn:aws:sns:eu-west-1:123456789012:alarms"),
    ("ALARM_PREFIX", "ingest"),
    ("PRESENCE_TABLE", "presence"),
    ("ALERT_TOPIC", "arn:aws:sns:eu-west-1:123456789012:alerts"),
    // Nobody listens there, and nobody is to be asked.
    ("REDIS_URL", "redis://127.0.0.1:1"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("HOME", "/nonexistent"),
];

/// A batch without records, for the functions that Kinesis invokes.
const NO_RECORDS: &str = r#"{"Records":[]}"#;
/// Each function, with an event that it needs no service for, and how it answers that.
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
    // Whatever it takes needs its table: this is no event of its.
    ("iot-presence", "{}", Answer::Error),
    // A notification that tells of no alarm.
    ("reshard-autoscaler", r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"hello"}}]}"#, Answer::Response),
];
/// What the functions do at a start that a function which does nothing does not.
const LIMIT: &str = "Three quarters of what a start takes beyond nothing's are the kernel's: 160 page faults more, at 2 to 3 µs each on this machine. Ninety of them copy the pages of the SDKs' tables, in which the loader relocates 23,000 addresses, in 70 µs; the others map a program five times as large where it is touched. The functions' own code is a tenth. Linked to a fixed address, the same program took 1.2 times what nothing takes, and gave up that its addresses are random: it is not deployed so. Without the SDK's other sources of credentials than the environment it took 0.03 less, and nobody could run it with a profile. The engine for regular expressions in the runtime's logger took 0.1, and is gone. Clients are made when they are first called.";
/// What the caches have to do with it.
const PEER_LIMIT: &str = "In turn with a program as large as the peer, ours finds the processor's caches empty: 2.6 ms, where it takes 1.6 in turn with a Rust program. Python with boto3 took 157 to 260 ms on this machine, with the same versions in two installations; beside the slower one the bar is met.";

/// How an invocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Response,
    Error,
}

/// A program and its arguments.
type Program = Vec<PathBuf>;

/// The functions beside one that does nothing and, where they are installed in `directory`, beside Python and Node.
pub(crate) fn cases(directory: &Path) -> Vec<Case> {
    let peers = directory.join("peers");
    let mut cases: Vec<_> = FUNCTIONS
        .map(|(name, event, answer)| {
            let directory = directory.to_owned();
            let programs = move || {
                let nothing = (vec![copy_of("examples/nothing", &directory)?], Answer::Response);
                Ok([(vec![copy_of(name, &directory)?], answer), nothing])
            };
            case(name, (name, event), ("that of a Rust function that does nothing", 1.3, LIMIT), programs)
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
                let programs = [vec![copy_of("archiver", &directory)?], program];
                Ok(programs.map(|program| (program, Answer::Response)))
            };
            cases.push(case(name, ("archiver", NO_RECORDS), (of, bar, PEER_LIMIT), programs));
        }
    }
    cases
}

fn case(
    name: &str,
    (function, event): (&str, &'static str),
    (beside, bar, limit): (&str, f64, &'static str),
    programs: impl FnOnce() -> Result<[(Program, Answer); 2]> + 'static,
) -> Case {
    let words = (format!("cold start of {function}, exec to first response"), format!("time ÷ {beside}"));
    Case::new(format!("cold-start/{name}"), words, (Unit::Times, Bar::AtMost(bar)), limit, move |rounds| {
        let programs = programs()?;
        let both = || -> Result<[f64; 2]> {
            let [ours, other] = programs.each_ref().map(|(program, answer)| start(program, event, *answer));
            Ok([ours?, other?].map(|took| took.as_secs_f64() * 1e3))
        };
        // What is on the disk is in memory from then on.
        both()?;
        let pairs = (0..rounds * STARTS).map(|_| both()).collect::<Result<Vec<_>>>()?;
        let [ours, other] = [0, 1].map(|which| Spread::of(pairs.iter().map(|pair| pair[which]).collect()).median);
        let value = Spread::of(pairs.iter().map(|[ours, other]| ours / other).collect());
        Ok(Measured { value, detail: format!("{ours:.1} ms beside {other:.1} ms on the clock") })
    })
}

/// A copy in `directory` of a program that was built with this one.
fn copy_of(name: &str, directory: &Path) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    let copy = directory.join("cold-start").join(name);
    fs::create_dir_all(copy.parent().context("it has no directory")?)?;
    fs::copy(&program, &copy).with_context(|| format!("there is no {}: `make bench` makes it", program.display()))?;
    Ok(copy)
}

/// A process that ends with its owner.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One start, to the first answer.
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
    let (name, arguments) = program.split_first().context("a program without a command")?;
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(ENVIRONMENT).env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let _process = Started(command.spawn().with_context(|| format!("{} cannot be started", name.display()))?);
    match answered.recv_timeout(PATIENCE) {
        Ok((answer, at)) => {
            ensure!(answer == expected, "{} answers with its {answer:?}", name.display());
            Ok(at - started)
        }
        Err(_) => bail!("{} does not answer", name.display()),
    }
}

/// Serves one connection of the runtime's: the first event is at hand, and there is no second one.
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
