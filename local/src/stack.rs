//! Brings a template up on this machine: its servers, resources, functions, mappings and rules.
//!
//! ```no_run
//! use myaku_local::stack::{Options, Ports, Stack};
//! use std::collections::BTreeMap;
//!
//! # async fn example() -> anyhow::Result<()> {
//! let stack = Stack::up(Options {
//!     template: "template.yaml".into(),
//!     parameters: BTreeMap::new(),
//!     binaries: "target/lambda".into(),
//!     directory: "target/local".into(),
//!     ports: Ports::default(),
//!     time_scale: 1.0,
//!     timeout_max: None,
//! })
//! .await?;
//! println!("MQTT broker: {}", stack.endpoints().mqtt);
//! stack.down().await;
//! # Ok(())
//! # }
//! ```

mod directory;
mod events;
mod functions;
mod http_api;
mod mappings;
mod monitoring;
mod resources;
mod schedules;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod tests;
mod topics;

pub use directory::runner;
pub use mappings::MappingStatus;

use crate::clock::TokioClock;
use crate::function::Function;
use crate::http_api::HttpApi;
use crate::iot::{Engine, Rule, Targets};
use crate::servers::{
    AwsEndpoints, Server, cloudwatch, dynamodb, iot_data, issuer, kinesis, mqtt, redis, s3, secrets, sns,
};
use crate::template::{Names, Resolved, Template};
use anyhow::{Context as _, Result};
use aws_config::SdkConfig;
use cloudwatch::Monitoring;
use directory::Directory;
use myaku::platform::clock::{Now as _, ScaledClock, SystemClock};
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The stack's name.
const STACK: &str = "myaku";
/// The template's parameter for an existing Redis server: the URL of the embedded server.
const REDIS_PARAMETER: &str = "RedisUrl";
/// The template's parameters for the issuer and the audience of tokens: the local issuer, and this stack's API.
const ISSUER_PARAMETER: &str = "JwtIssuer";
const AUDIENCE_PARAMETER: &str = "JwtAudience";
/// How many streams a message passes through, one after the other.
const STREAMS_IN_SERIES: usize = 2;
/// The length of the random suffix that makes names unique.
const SUFFIX_LEN: usize = 8;

/// What to bring up, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The template's file.
    pub template: PathBuf,
    /// Values of the template's parameters. The other parameters have their defaults.
    pub parameters: BTreeMap<String, String>,
    /// The directory of the functions' binaries.
    pub binaries: PathBuf,
    /// The directory for buckets and logs. Those of an earlier stack are removed; of anything else there, nothing is.
    pub directory: PathBuf,
    /// The ports on which the servers listen.
    pub ports: Ports,
    /// How many minutes pass in a real one, for metrics, alarms, schedules, retries and cool-downs. Rates, and waits for
    /// records, do not change.
    pub time_scale: f64,
    /// The longest time-out of a function, even if the template allows more. Shorter time-outs make tests faster.
    pub timeout_max: Option<Duration>,
}

/// The servers' ports on the loopback address. 0 means any free port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Kinesis.
    pub kinesis: u16,
    /// DynamoDB.
    pub dynamodb: u16,
    /// S3.
    pub s3: u16,
    /// The MQTT broker.
    pub mqtt: u16,
    /// Redis or Valkey.
    pub redis: u16,
    /// SNS.
    pub sns: u16,
    /// CloudWatch.
    pub cloudwatch: u16,
    /// AWS IoT's data plane over HTTP.
    pub iot: u16,
    /// Secrets Manager.
    pub secrets: u16,
    /// The HTTP API.
    pub http: u16,
    /// The issuer of tokens for the HTTP API.
    pub issuer: u16,
}

/// The embedded servers, for tests that stop a server and start it again.
pub struct Servers {
    /// Kinesis.
    pub kinesis: kinesis::Kinesis,
    /// DynamoDB.
    pub dynamodb: Server,
    /// S3.
    pub s3: Server,
    /// SNS.
    pub sns: sns::Sns,
    /// CloudWatch.
    pub cloudwatch: cloudwatch::CloudWatch,
    /// AWS IoT's data plane over HTTP.
    pub iot: Server,
    /// Secrets Manager.
    pub secrets: Server,
    /// Redis or Valkey.
    pub redis: redis::RedisServer,
}

/// The addresses on which a stack listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The AWS services.
    pub aws: AwsEndpoints,
    /// The MQTT broker.
    pub mqtt: SocketAddr,
    /// The URL of Redis.
    pub redis: String,
    /// The base URL of the HTTP API, if the template has one.
    pub http: Option<String>,
    /// The base URL of the issuer of tokens, if the template has a parameter for it.
    pub issuer: Option<String>,
}

/// A running stack.
pub struct Stack {
    servers: Servers,
    mqtt: mqtt::Mqtt,
    resolved: Resolved,
    functions: BTreeMap<String, Function>,
    mappings: Vec<mappings::RunningMapping>,
    engine: Engine,
    issuer: Option<issuer::Issuer>,
    http_api: Option<HttpApi>,
    schedules: JoinSet<()>,
    monitoring_tasks: monitoring::Tasks,
    clock: ScaledClock,
    _directory: Directory,
}

impl Stack {
    /// Brings a template up. An error names the resource that caused it.
    pub async fn up(options: Options) -> Result<Self> {
        let Options { template, parameters, binaries, directory, ports, time_scale, timeout_max } = options;
        let taken = Directory::take(&directory)?;
        let directory = taken.path.clone();
        // For retries, event ages and schedules.
        let clock = TokioClock::start().at_rate(time_scale);
        let monitoring = Arc::new(Monitoring::new(ScaledClock::from_now(time_scale)));
        let (kinesis, dynamodb, s3, sns, cloudwatch, secrets, redis, mqtt) = tokio::try_join!(
            async { kinesis::start_monitored(ports.kinesis, Arc::clone(&monitoring)).await.context("Kinesis") },
            async { dynamodb::start(ports.dynamodb).await.context("DynamoDB") },
            async { s3::start(ports.s3, &directory.join(directory::BUCKETS)).await.context("S3") },
            async { sns::start(ports.sns, clock).await.context("SNS") },
            async { cloudwatch::start(ports.cloudwatch, Arc::clone(&monitoring)).await.context("CloudWatch") },
            async { secrets::start(ports.secrets).await.context("Secrets Manager") },
            async { redis::start(ports.redis).await.context("Redis") },
            async { mqtt::start(ports.mqtt).await.context("MQTT") },
        )?;
        let iot = iot_data::start(ports.iot, mqtt.publisher(), mqtt.shadows()).await.context("AWS IoT")?;
        let servers = Servers { kinesis, dynamodb, s3, sns, cloudwatch, iot, secrets, redis };
        let template = Template::load(&template)?;
        let mut values = BTreeMap::from([(REDIS_PARAMETER.to_owned(), servers.redis.endpoint())]);
        let issuer = if template.declares(ISSUER_PARAMETER) {
            Some(issuer::start(ports.issuer).await.context("the issuer of tokens")?)
        } else {
            None
        };
        if let Some(issuer) = &issuer {
            values.insert(ISSUER_PARAMETER.to_owned(), issuer.server().endpoint());
            values.insert(AUDIENCE_PARAMETER.to_owned(), STACK.to_owned());
        }
        values.extend(parameters);
        let resolved = template.resolve(&values, &Names::new(STACK, random_suffix()))?;
        let endpoints = servers.aws();
        let config = endpoints.sdk_config();
        events::check(&resolved)?;
        resources::create(&resolved, &config).await?;
        let topics = servers.sns.topics();
        topics::create(&resolved, topics)?;
        let times = functions::Times { queues: clock, functions: monitoring.clock(), timeout_max };
        let functions = functions::start(&resolved, &endpoints, &binaries, &directory, times)?;
        topics.connect(functions.values().cloned());
        topics::subscribe(&resolved, topics)?;
        let mappings = mappings::start(&resolved, &functions, &config)?;
        monitoring::put_alarms(&resolved, &monitoring)?;
        let monitoring_tasks = monitoring::start(&monitoring, &functions, &mappings, topics);
        let engine = Engine::start(rules(&resolved)?, targets(&resolved, &functions, config)?, mqtt.tap()?);
        let http_api = http_api::start(&resolved, &functions, issuer.as_ref(), ports.http, &directory).await?;
        let schedules = schedules::start(&resolved, &functions, clock)?;
        Ok(Self {
            servers,
            mqtt,
            resolved,
            functions,
            mappings,
            engine,
            issuer,
            http_api,
            schedules,
            monitoring_tasks,
            clock: times.functions,
            _directory: taken,
        })
    }

    /// The addresses on which the stack listens.
    pub fn endpoints(&self) -> Endpoints {
        let mqtt = SocketAddr::from((Ipv4Addr::LOCALHOST, self.mqtt.port()));
        let http = self.http_api.as_ref().map(|api| api.server().endpoint());
        let issuer = self.issuer.as_ref().map(|issuer| issuer.server().endpoint());
        Endpoints { aws: self.servers.aws(), mqtt, redis: self.servers.redis.endpoint(), http, issuer }
    }

    /// The embedded servers.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// The physical id of a resource of the template.
    pub fn physical_id(&self, logical_id: &str) -> Result<String> {
        let resource = self.resolved.resources.get(logical_id);
        Ok(resource.with_context(|| format!("the template has no resource {logical_id}"))?.physical_id.clone())
    }

    /// The streams, tables, buckets and topics: their logical ids and physical ids.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = self.resolved.resources.iter().filter(|(_, resource)| resources::is_named(&resource.kind));
        named.map(|(id, resource)| (id.as_str(), resource.physical_id.as_str()))
    }

    /// The functions, by their logical ids.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &Function)> {
        self.functions.iter().map(|(id, function)| (id.as_str(), function))
    }

    /// A function, by its logical id.
    pub fn function(&self, logical_id: &str) -> Result<Function> {
        self.functions.get(logical_id).cloned().with_context(|| format!("the template has no function {logical_id}"))
    }

    /// The issuer of tokens for the HTTP API; `None` if the template has no parameter for it.
    pub fn issuer(&self) -> Option<&issuer::Issuer> {
        self.issuer.as_ref()
    }

    /// The routes of the HTTP API, such as `POST /v1/messages`.
    pub fn routes(&self) -> Vec<String> {
        self.http_api.as_ref().map_or_else(Vec::new, |api| api.routes().to_vec())
    }

    /// The value of a parameter of the template.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.resolved.parameters.get(name).map(String::as_str)
    }

    /// The configuration for SDK clients of these servers.
    pub fn sdk_config(&self) -> SdkConfig {
        self.servers.aws().sdk_config()
    }

    /// The clock of alarms, schedules and cool-downs. With a time scale, it runs faster than the machine's clock.
    pub const fn clock(&self) -> ScaledClock {
        self.clock
    }

    /// The status of each event source mapping.
    pub fn mapping_status(&self) -> Vec<MappingStatus> {
        self.mappings.iter().map(mappings::RunningMapping::status).collect()
    }

    /// Asynchronous invocations of all functions that have neither succeeded nor been discarded.
    pub fn asynchronous_pending(&self) -> usize {
        self.functions.values().map(Function::asynchronous_pending).sum()
    }

    /// Waits until everything that was on the streams at `since_ms` (milliseconds since the epoch) is processed. This
    /// includes the records that consumers put on another stream, and asynchronous invocations.
    pub async fn caught_up(&self, since_ms: i64) {
        let mut since_ms = since_ms;
        // When the first stream's consumers have caught up, all their records are on the second stream.
        for _ in 0..STREAMS_IN_SERIES {
            self.asynchronous_done().await;
            for mapping in &self.mappings {
                mapping.handle().caught_up(since_ms).await;
            }
            since_ms = SystemClock.now_ms();
        }
        self.asynchronous_done().await;
    }

    async fn asynchronous_done(&self) {
        for function in self.functions.values() {
            function.asynchronous_done().await;
        }
    }

    /// Whether the rules have no pending message. A rule tries a message again for a while if the stream refuses it.
    pub fn rules_are_idle(&self) -> bool {
        self.engine.is_idle()
    }

    /// Messages that were dropped because the rules were too slow. They are lost, like messages that AWS IoT throttles.
    pub fn messages_dropped(&self) -> u64 {
        self.mqtt.dropped()
    }

    /// Stops everything, in the reverse order of its start. The buckets' files and the logs stay.
    pub async fn down(self) {
        drop((self.schedules, self.monitoring_tasks));
        if let Some(api) = &self.http_api {
            api.server().stop().await;
        }
        // After the broker is stopped no more messages arrive. The rules finish those that they have.
        self.mqtt.stop().await;
        self.engine.finish().await;
        for mapping in self.mappings {
            mapping.stop().await;
        }
        for function in self.functions.values() {
            function.stop().await;
        }
        self.servers.secrets.stop().await;
        self.servers.iot.stop().await;
        self.servers.cloudwatch.server().stop().await;
        self.servers.sns.server().stop().await;
        self.servers.s3.stop().await;
        self.servers.dynamodb.stop().await;
        self.servers.kinesis.server().stop().await;
        // Fails if the server has already ended, which is fine here.
        let _ = self.servers.redis.kill().await;
    }
}

impl Servers {
    fn aws(&self) -> AwsEndpoints {
        AwsEndpoints::from([
            ("kinesis", self.kinesis.endpoint()),
            ("dynamodb", self.dynamodb.endpoint()),
            ("s3", self.s3.endpoint()),
            ("sns", self.sns.endpoint()),
            ("cloudwatch", self.cloudwatch.endpoint()),
            ("iot data plane", self.iot.endpoint()),
            ("secrets manager", self.secrets.endpoint()),
        ])
    }
}

fn random_suffix() -> String {
    let mut random = rand::rng();
    (0..SUFFIX_LEN).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect()
}

fn rules(resolved: &Resolved) -> Result<Vec<Rule>> {
    let rules = resolved.of_kind("AWS::IoT::TopicRule").map(|(id, resource)| {
        Rule::from_properties(&resource.physical_id, &resource.properties).with_context(|| id.to_owned())
    });
    rules.filter_map(Result::transpose).collect()
}

fn targets(resolved: &Resolved, functions: &BTreeMap<String, Function>, config: SdkConfig) -> Result<Targets> {
    let by_arn = functions.iter().map(|(id, function)| Ok((resolved.arn(id)?, function.clone())));
    Ok(Targets::new(config, by_arn.collect::<Result<_>>()?))
}
