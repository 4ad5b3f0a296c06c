//! The arguments that say which template to bring up, with what, and where to keep its files.

use super::running_stack::RunningStack;
use anyhow::{Context as _, Result, bail};
use myaku_demo::Progress;
use myaku_demo::burst;
use myaku_local::stack::{self, Ports, Stack};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Parameters with shorter times than in the template, in seconds, because on one machine a person waits for the
/// result: for how long the archiver fills a batch, for how long a disconnected device may reconnect, how often a
/// device's row is written, and for how long an alert must be over.
const SHORT_TIMES: [(&str, &str); 4] = [
    ("ArchiveWindowSeconds", "5"),
    ("DisconnectGraceSeconds", "5"),
    ("ResultsSeconds", "0"),
    ("ClearAfterSeconds", "5"),
];

/// Arguments that `myaku demo` and `myaku local` share.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StackOptions {
    /// The template to bring up.
    #[arg(long, default_value = "template.yaml", value_name = "FILE")]
    template: PathBuf,
    /// A parameter of the template. Can be given several times.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// The directory with the functions' binaries; that of this program if not given.
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// The port of a server on 127.0.0.1: kinesis, dynamodb, s3, sns, cloudwatch, iot, secrets, mqtt, redis, http or issuer. A server
    /// without one gets a free port. Can be given several times.
    #[arg(long = "port", value_name = "SERVER=PORT", value_parser = port)]
    ports: Vec<(Server, u16)>,
    /// The directory for the servers' data, the functions' logs and the note about the running stack. What an earlier
    /// stack left there is removed first. One stack can run in it at a time.
    #[arg(long, default_value = ".local", value_name = "DIR")]
    directory: PathBuf,
    /// How many minutes pass in one minute for metrics, alarms, schedules and cool-downs. At 60, half an hour takes
    /// half a minute.
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = time_scale)]
    time_scale: f64,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "a parameter must be NAME=VALUE".to_owned())
}

fn time_scale(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0);
    factor.ok_or_else(|| "the factor must be a number greater than 0, such as 60".to_owned())
}

/// Selects the port of one server.
type Server = fn(&mut Ports) -> &mut u16;

fn port(text: &str) -> Result<(Server, u16), String> {
    let (server, port) = text.split_once('=').ok_or_else(|| "a port must be SERVER=PORT".to_owned())?;
    let server: Server = match server {
        "kinesis" => |ports| &mut ports.kinesis,
        "dynamodb" => |ports| &mut ports.dynamodb,
        "s3" => |ports| &mut ports.s3,
        "sns" => |ports| &mut ports.sns,
        "cloudwatch" => |ports| &mut ports.cloudwatch,
        "iot" => |ports| &mut ports.iot,
        "secrets" => |ports| &mut ports.secrets,
        "mqtt" => |ports| &mut ports.mqtt,
        "redis" => |ports| &mut ports.redis,
        "http" => |ports| &mut ports.http,
        "issuer" => |ports| &mut ports.issuer,
        other => {
            return Err(format!(
                "unknown server {other:?}; \
                 choose from kinesis, dynamodb, s3, sns, cloudwatch, iot, secrets, mqtt, redis, http, issuer"
            ));
        }
    };
    let port = port.parse().ok().filter(|port| *port > 0);
    Ok((server, port.ok_or_else(|| "the port must be 1 to 65535".to_owned())?))
}

impl StackOptions {
    /// Returns the options for the burst of the demo, which runs on a stack of its own.
    pub(super) fn for_burst(&self) -> Self {
        let parameters = burst::PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            parameters: parameters.into_iter().chain(self.parameters.iter().cloned()).collect(),
            ports: Vec::new(),
            directory: self.directory.join("burst"),
            time_scale: burst::TIME_SCALE,
            ..self.clone()
        }
    }

    /// Brings the template up.
    pub(super) async fn up(&self, progress: &impl Progress) -> Result<Stack> {
        progress.stage(&format!("bringing up {}", self.template.display()));
        let binaries = match &self.binaries {
            Some(binaries) => binaries.clone(),
            None => std::env::current_exe()
                .context("cannot locate this executable; pass --binaries")?
                .parent()
                .map(PathBuf::from)
                .unwrap_or_default(),
        };
        if !self.template.is_file() {
            bail!(
                "cannot find the template {}; run this at the root of the repository, or pass --template",
                self.template.display()
            );
        }
        // The user's own parameters come last, so that they override the others.
        let parameters = SHORT_TIMES
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .chain(self.parameters.iter().cloned())
            .collect::<BTreeMap<_, _>>();
        let mut ports = Ports::default();
        for (server, port) in &self.ports {
            *server(&mut ports) = *port;
        }
        let (template, directory) = (self.template.clone(), self.directory.clone());
        let (time_scale, timeout_max) = (self.time_scale, None);
        let options = stack::Options { template, parameters, binaries, directory, ports, time_scale, timeout_max };
        Stack::up(options).await.with_context(|| format!("cannot bring up {}", self.template.display()))
    }

    /// Notes where `stack` listens, so that other commands find it.
    pub(super) fn note(&self, stack: &Stack) -> Result<()> {
        RunningStack::of(stack)?.write(&self.directory)
    }

    /// Deletes the note, because the stack stops.
    pub(super) fn forget(&self) {
        // The note may be missing.
        let _ = std::fs::remove_file(RunningStack::file(&self.directory));
    }

    /// Returns where to look after a run: what there is, and the command that shows it.
    pub(super) fn where_next(&self, stack: &Stack, stays: bool) -> Result<Vec<(String, String)>> {
        let directory = self.directory.display();
        let bucket = |id| Ok::<_, anyhow::Error>(format!("{directory}/s3/{}", stack.physical_id(id)?));
        let (lake, letters) = (bucket("LakeBucket")?, bucket("DeadLetterBucket")?);
        let mut next = vec![
            ("the lake, line by line".to_owned(), format!("find {lake} -name '*.zst' | xargs zstdcat | head -3")),
            ("the dead letters, by reason".to_owned(), format!("ls {letters}/dead-letters")),
            ("the logs of the functions".to_owned(), format!("ls {directory}/logs")),
        ];
        if stays {
            next.push((
                "the present results of a device (with the exports below)".to_owned(),
                "myaku results band-0000 --watch".to_owned(),
            ));
            next.push((
                "the lake (with the same exports)".to_owned(),
                "myaku query \"SELECT kind, count(*) FROM messages GROUP BY kind\"".to_owned(),
            ));
            next.push(("the devices".to_owned(), "myaku device list".to_owned()));
        } else {
            next.push((
                "the same, kept running so that you can look around".to_owned(),
                "myaku demo --stay".to_owned(),
            ));
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_gets_the_port_that_the_user_names() {
        let mut ports = Ports::default();
        for text in ["mqtt=1883", "redis=6379"] {
            let (server, number) = port(text).unwrap();
            *server(&mut ports) = number;
        }
        assert_eq!(ports, Ports { mqtt: 1883, redis: 6379, ..Ports::default() });
    }

    #[test]
    fn a_time_scale_is_a_number_greater_than_0() {
        assert_eq!(time_scale("0.5"), Ok(0.5));
        for bad in ["0", "-1", "nan", "inf", "fast", ""] {
            assert!(time_scale(bad).unwrap_err().contains("greater than 0"), "{bad}");
        }
    }

    #[test]
    fn an_impossible_port_is_refused() {
        assert_eq!(port("mqtt=0").unwrap_err(), "the port must be 1 to 65535");
        assert_eq!(port("mqtt=70000").unwrap_err(), "the port must be 1 to 65535");
        assert!(port("ftp=21").unwrap_err().contains("unknown server \"ftp\""));
        assert!(port("1883").is_err());
    }
}
