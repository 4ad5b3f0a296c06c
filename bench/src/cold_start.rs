//! Cold starts: from the start of a function's process to its first answer, beside a Rust function that does nothing, and
//! the same in Python and Node.
//!
//! [`measure`] is all there is to call. It serves Lambda's Runtime API on a free port, starts each program in turn, as often
//! as asked, hands it one event, and takes the time until the answer is in. The environment is that of Lambda: clients are
//! made as they are there, and the event, a batch without records, sends nothing to AWS, so that no network is measured.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const EVENT: &str = r#"{"Records":[]}"#;
/// What Lambda gives every function, and what the template gives some.
const ENVIRONMENT: [(&str, &str); 20] = [
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
    // Nobody listens there, and nobody is to be asked.
    ("REDIS_URL", "redis://127.0.0.1:1"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("HOME", "/nonexistent"),
];

/// A program to be started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// What it is called in the report.
    pub(crate) name: String,
    /// The command and its arguments.
    pub(crate) command: Vec<String>,
}

/// Starts each of `programs` in turn, `rounds` times after one that is not counted. Answers of each the milliseconds to its
/// first answer, ascending.
pub(crate) fn measure(programs: &[Program], rounds: usize) -> Result<BTreeMap<String, Vec<f64>>, Box<dyn Error>> {
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for round in 0..=rounds {
        for program in programs {
            let took = start(program)?;
            if round > 0 {
                times.entry(program.name.clone()).or_default().push(took.as_secs_f64() * 1e3);
            }
        }
    }
    for times in times.values_mut() {
        times.sort_unstable_by(f64::total_cmp);
    }
    Ok(times)
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
fn start(program: &Program) -> Result<Duration, Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (answers, answered) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answers = answers.clone();
            std::thread::spawn(move || serve(&connection, &answers));
        }
    });
    let (name, arguments) = program.command.split_first().ok_or("a program without a command")?;
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(ENVIRONMENT).env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let _process = Started(command.spawn()?);
    match answered.recv_timeout(PATIENCE) {
        Ok((path, _)) if path.ends_with("/error") => Err(format!("{}: it answered with an error", program.name).into()),
        Ok((_, at)) => Ok(at - started),
        Err(_) => Err(format!("{}: it did not answer", program.name).into()),
    }
}

/// Serves one connection of the runtime's: the first event is at hand, and there is no second one.
fn serve(connection: &TcpStream, answers: &Sender<(String, Instant)>) -> Option<()> {
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
                 lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700\r\ncontent-length: {}\r\n\r\n{EVENT}",
                EVENT.len()
            )
        } else if path.ends_with("/extension/register") {
            "HTTP/1.1 200 OK\r\nlambda-extension-identifier: 1\r\ncontent-length: 2\r\n\r\n{}".to_owned()
        } else if path.ends_with("/event/next") {
            std::thread::park();
            return None;
        } else {
            answers.send((path, Instant::now())).ok()?;
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned()
        };
        (&mut &*connection).write_all(answer.as_bytes()).ok()?;
    }
}
