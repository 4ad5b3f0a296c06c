//! The read API over what Myaku knows, and the page that shows it.
//!
//! A reader never learns which store answered: present values come from the states in Redis, by the functions that write the rows;
//! while Redis is down, and for what no state has, from the rows in DynamoDB. A token's facilities decide what exists: what it may
//! not see is 404. Nothing is written, but that someone has taken notice of an alert.

mod alerts;
mod answer;
mod config;
mod devices;
mod facilities;
mod history;
mod page;
mod present;
mod query;
mod route;
mod trial;
mod view;

pub use answer::{Answer, FieldProblem, Problem, Status};
pub use config::Config;
pub use route::Route;

use myaku::alert::incidents::ReadIncidents;
use myaku::alert::incidents::dynamodb::DynamoDbIncidents;
use myaku::device::presence::store::Presences;
use myaku::device::presence::store::dynamodb::DynamoDbPresences;
use myaku::device::registry::{Directory, DynamoDb, MasterData, Registry};
use myaku::http::{Facilities, Reader, ReaderClaims, ReaderError, Request, Response};
use myaku::keyed::progress::ProgressStore;
use myaku::keyed::progress::dynamodb::DynamoDbProgress;
use myaku::keyed::states::States;
use myaku::keyed::states::redis::RedisStates;
use myaku::platform::aws;
use myaku::platform::clock::{Now, SystemClock};
use myaku::platform::deadline::Deadline;
use myaku::platform::errors::RemoteError;
use myaku::platform::redis::{Connection, Patience};
use myaku::platform::telemetry::{Metric, count};
use myaku::results::dynamodb::DynamoDbResults;
use myaku::results::{ReadIntervals, ResultsReader};
use myaku::window::DeviceState;
use myaku::window::tumbling::{MetricTimelines, WindowResult};
use query::Query;
use serde_json::json;
use std::time::Duration;

/// The description of the API (OpenAPI 3.0), as the function serves it.
pub const DOCUMENT: &str = include_str!("../openapi.json");

/// The ports that the function works with. A type without values: it names the others.
pub trait Ports: Send + Sync {
    /// Devices and profiles, and the devices of a facility.
    type MasterData: MasterData + Directory;
    /// Connections.
    type Presences: Presences;
    /// Incidents.
    type Incidents: ReadIncidents;
    /// The rows of the moving average.
    type Results: ResultsReader;
    /// The rows of windows of time.
    type Intervals: ReadIntervals<WindowResult>;
    /// How far the stateful functions are.
    type Progress: ProgressStore;
    /// The states of the moving average.
    type States: States<State = DeviceState>;
    /// The states of windows of time.
    type Timelines: States<State = MetricTimelines>;
    /// The wall clock.
    type Clock: Now;
}

/// What the function works with, made once.
pub struct Context<P: Ports> {
    /// Devices and their profiles.
    pub registry: Registry<P::MasterData, P::Clock>,
    /// Connections.
    pub presences: P::Presences,
    /// Incidents.
    pub incidents: P::Incidents,
    /// The rows of the moving average.
    pub results: P::Results,
    /// The rows of windows of time.
    pub intervals: P::Intervals,
    /// How far the stateful functions are.
    pub progress: P::Progress,
    /// The states of the moving average.
    pub states: P::States,
    /// The states of windows of time.
    pub timelines: P::Timelines,
    /// How long Redis is waited for, and when it is not asked.
    pub patience: Patience,
    /// The stream that the stateful functions read.
    pub readings_stream: String,
    /// Which claims of a token identify a reader.
    pub claims: ReaderClaims,
    /// The wall clock.
    pub clock: P::Clock,
}

/// The ports of the deployed function.
pub struct Deployed;

impl Ports for Deployed {
    type MasterData = DynamoDb;
    type Presences = DynamoDbPresences;
    type Incidents = DynamoDbIncidents;
    type Results = DynamoDbResults;
    type Intervals = DynamoDbResults;
    type Progress = DynamoDbProgress;
    type States = RedisStates<DeviceState>;
    type Timelines = RedisStates<MetricTimelines>;
    type Clock = SystemClock;
}

/// Connects to what `config` names. Nothing is requested yet: a service that is down fails requests, not the start.
///
/// # Errors
/// A setting of Redis is invalid.
pub async fn connect(config: Config) -> Result<Context<Deployed>, RemoteError> {
    let sdk = aws::config().await;
    let redis = Connection::connect(&config.redis, &sdk).await?;
    let results = DynamoDbResults::new(&sdk, &config.results_table);
    // How long things are kept matters only to what is written, and nothing of that is written here.
    let kept = Duration::ZERO;
    Ok(Context {
        registry: Registry::new(DynamoDb::new(&sdk, &config.registry.table), SystemClock, config.registry.ttl),
        presences: DynamoDbPresences::new(&sdk, &config.presence_table, kept),
        incidents: DynamoDbIncidents::new(&sdk, &config.presence_table, kept),
        results: results.clone(),
        intervals: results,
        progress: DynamoDbProgress::new(&sdk, &config.progress_table),
        states: RedisStates::new(redis.clone(), kept),
        timelines: RedisStates::new(redis, kept),
        patience: Patience::new("query-api"),
        readings_stream: config.readings_stream,
        claims: config.claims,
        clock: SystemClock,
    })
}

/// Answers one request. Lambda ends the invocation at `deadline_ms`, in milliseconds since the epoch.
pub async fn handle<P: Ports>(context: &Context<P>, request: &Request, deadline_ms: i64) -> Response {
    let method = request.request_context.http.method.as_str();
    let answer = async {
        let route = Route::of(method, request.path());
        let route = route.ok_or_else(|| {
            Problem::new(Status::NotFound, "the API has no such route; /v1/openapi.json lists its routes")
        })?;
        // In a box, because each route has a future of its own.
        Box::pin(answer(context, request, route)).await
    };
    let answer = Deadline::at(deadline_ms).limit(&context.clock, answer).await;
    let result = answer.unwrap_or_else(|| {
        Err(Problem::new(Status::ServiceUnavailable, "the stores did not answer in time: try again"))
    });
    if let Err(problem) = &result {
        let is_callers = (400..500).contains(&(problem.status() as u16));
        count(if is_callers { Metric::Rejected } else { Metric::Unavailable }, 1);
    }
    answer::response(request, result)
}

async fn answer<P: Ports>(context: &Context<P>, request: &Request, route: Route) -> Result<Answer, Problem> {
    let query = request.raw_query_string.as_str();
    let reader = || reader(context, request);
    match route {
        // These are the same for everyone.
        Route::Page => Ok(page::index()),
        Route::Asset(name) => page::asset(&name),
        Route::Document => Ok(Answer::of("application/json", DOCUMENT.as_bytes())),
        Route::Me => me(&reader()?, query),
        Route::Facilities => facilities::list(context, &reader()?, query).await,
        Route::Devices => devices::list(context, &reader()?, query).await,
        Route::Device(id) => devices::one(context, &reader()?, &id, query).await,
        Route::History(id) => history::read(context, &reader()?, &id, query).await,
        Route::Alerts => alerts::list(context, &reader()?, query).await,
        Route::Acknowledge(id) => alerts::acknowledge(context, &reader()?, &id, query).await,
        Route::Try => trial::run(context, &reader()?, request).await,
    }
}

/// Who asks, as the API's authorizer found out.
fn reader<P: Ports>(context: &Context<P>, request: &Request) -> Result<Reader, Problem> {
    context.claims.reader(request.request_context.authorizer.as_ref()).map_err(|error| {
        let status = match error {
            ReaderError::Unauthenticated => Status::Unauthorized,
            _ => Status::Forbidden,
        };
        Problem::new(status, error.to_string())
    })
}

fn me(reader: &Reader, query: &str) -> Result<Answer, Problem> {
    Query::parse(query, &[])?;
    let facilities = match &reader.facilities {
        Facilities::All => None,
        Facilities::Some(names) => Some(names),
    };
    Answer::json(&json!({"subject": reader.id, "role": reader.role.name(), "facilities": facilities}))
}

#[cfg(test)]
mod tests;
