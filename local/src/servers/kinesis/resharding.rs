//! `UpdateShardCount` as Kinesis does it: by splits and merges, so that every shard has its parents.
//!
//! The embedded server closes all shards and creates new ones without parents, so a consumer cannot know the order in
//! which to read them. This layer calls the server's `SplitShard` and `MergeShards` instead, until the keyspace is
//! even. Meanwhile clients see the stream as `UPDATING`. The limits are the documented ones: ten calls in any 24 hours,
//! each to at most double and at least half of the open shards.

use super::request::{operation, stream_name};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use myaku::platform::clock::{Now as _, ScaledClock};
use myaku::stream::shard_map::HashKeyRange;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// "Scale more than ten times per rolling 24-hour period per stream" is what `UpdateShardCount` refuses.
const CALLS_MAX: usize = 10;
const DAY_MS: i64 = 86_400_000;
/// The largest request or answer about shards, which are small.
const BODY_BYTES_MAX: usize = 8 << 20;
/// How often to check whether the server has finished a split or merge.
const POLL: Duration = Duration::from_millis(5);
const VERSION: &str = "Kinesis_20131202";

/// The state of this layer.
struct Resharding {
    /// The server that this layer stands in front of.
    server: TowerToHyperService<Router>,
    clock: ScaledClock,
    streams: Mutex<BTreeMap<String, StreamCalls>>,
}

#[derive(Debug, Default)]
struct StreamCalls {
    /// When `UpdateShardCount` was accepted in the last 24 hours, in milliseconds since the epoch.
    accepted_ms: Vec<i64>,
    /// Whether an update is under way.
    is_updating: bool,
}

/// A refusal: the error's name in Kinesis, and its message.
type Refusal = (&'static str, String);

/// The app, with an `UpdateShardCount` that keeps lineage.
pub(super) fn with_lineage(app: Router, clock: ScaledClock) -> Router {
    let server = TowerToHyperService::new(app.clone());
    let state = Arc::new(Resharding { server, clock, streams: Mutex::default() });
    app.layer(from_fn_with_state(state, handle))
}

async fn handle(State(resharding): State<Arc<Resharding>>, request: Request, next: Next) -> Response {
    let operation = operation(&request).to_owned();
    if !["UpdateShardCount", "SplitShard", "MergeShards", "DescribeStreamSummary", "DescribeStream"]
        .contains(&operation.as_str())
    {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    // The server itself refuses a body that is not JSON.
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let stream = stream_name(&json).to_owned();
    if operation == "UpdateShardCount" {
        let answer = Arc::clone(&resharding).update_shard_count(parts.headers, &stream, &json).await;
        return answer.map_or_else(refusal_response, |answer| response(StatusCode::OK, &answer));
    }
    let is_updating = || resharding.streams().get(&stream).is_some_and(|calls| calls.is_updating);
    let describes = operation.starts_with("Describe");
    if !describes && is_updating() {
        return refusal_response(in_use(&stream));
    }
    if !describes {
        let server =
            Server { resharding: Arc::clone(&resharding), headers: parts.headers.clone(), stream: stream.clone() };
        if let Err(refusal) = server.check_open(&json).await {
            return refusal_response(refusal);
        }
    }
    // Read this before the server answers: an answer during the last step describes a stream that was updating.
    let was_updating = is_updating();
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if describes && was_updating { with_status_updating(response).await } else { response }
}

fn in_use(stream: &str) -> Refusal {
    ("ResourceInUseException", format!("Stream {stream} is not ACTIVE, instead in state UPDATING"))
}

/// A description of a stream, with the status `UPDATING`.
async fn with_status_updating(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::BAD_GATEWAY.into_response() };
    let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else {
        return Response::from_parts(parts, Body::from(body));
    };
    for description in ["StreamDescriptionSummary", "StreamDescription"] {
        if let Some(status) = answer.get_mut(description).and_then(|it| it.get_mut("StreamStatus")) {
            *status = "UPDATING".into();
        }
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(answer.to_string()))
}

fn response(status: StatusCode, answer: &Value) -> Response {
    let mut response = (status, answer.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    response
}

fn refusal_response((kind, message): Refusal) -> Response {
    response(StatusCode::BAD_REQUEST, &json!({ "__type": kind, "message": message }))
}

impl Resharding {
    fn streams(&self) -> MutexGuard<'_, BTreeMap<String, StreamCalls>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts or refuses a call. An accepted update runs in the background, after the answer.
    async fn update_shard_count(
        self: Arc<Self>,
        headers: axum::http::HeaderMap,
        stream: &str,
        request: &Value,
    ) -> Result<Value, Refusal> {
        let server = Server { resharding: Arc::clone(&self), headers, stream: stream.to_owned() };
        if !server.is_active().await? {
            return Err(in_use(stream));
        }
        let current = server.open_shards().await?.len() as u64;
        let target = request["TargetShardCount"].as_u64().unwrap_or_default();
        let invalid = |message: String| Err(("InvalidArgumentException", message));
        if target == 0 || target == current {
            return invalid(format!(
                "TargetShardCount {target} is zero, or the current count: {stream} has {current} open shards"
            ));
        }
        if target > current * 2 || target * 2 < current {
            return invalid(format!(
                "TargetShardCount {target} is more than double or less than half of {current} open shards"
            ));
        }
        let now_ms = self.clock.now_ms();
        {
            let mut streams = self.streams();
            let calls = streams.entry(stream.to_owned()).or_default();
            if calls.is_updating {
                return Err(in_use(stream));
            }
            calls.accepted_ms.retain(|at_ms| now_ms - at_ms < DAY_MS);
            if calls.accepted_ms.len() >= CALLS_MAX {
                let message = format!("{stream}: more than {CALLS_MAX} calls of UpdateShardCount in 24 hours");
                return Err(("LimitExceededException", message));
            }
            calls.accepted_ms.push(now_ms);
            calls.is_updating = true;
        }
        let answer = json!({ "StreamName": stream, "CurrentShardCount": current, "TargetShardCount": target });
        tokio::spawn(async move {
            if let Err((kind, message)) = server.reshard(target).await {
                tracing::warn!(stream = server.stream, kind, message, "UpdateShardCount stopped halfway");
            }
            if let Some(calls) = self.streams().get_mut(&server.stream) {
                calls.is_updating = false;
            }
        });
        Ok(answer)
    }
}

/// The server that this layer stands in front of, called with the headers of the client's request.
struct Server {
    resharding: Arc<Resharding>,
    headers: axum::http::HeaderMap,
    stream: String,
}

impl Server {
    async fn call(&self, operation: &str, mut request: Value) -> Result<Value, Refusal> {
        let internal = |problem: String| ("InternalFailureException", problem);
        request["StreamName"] = self.stream.as_str().into();
        let mut call = Request::post("/").body(Body::from(request.to_string())).map_err(|e| internal(e.to_string()))?;
        *call.headers_mut() = self.headers.clone();
        call.headers_mut().remove(header::CONTENT_LENGTH);
        let target = HeaderValue::from_str(&format!("{VERSION}.{operation}"));
        call.headers_mut().insert("x-amz-target", target.map_err(|error| internal(error.to_string()))?);
        let Ok(response) = self.resharding.server.call(call).await;
        let status = response.status();
        let body: Bytes =
            to_bytes(response.into_body(), BODY_BYTES_MAX).await.map_err(|error| internal(error.to_string()))?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or_default().to_owned();
        Err((
            if answer["__type"] == "ResourceNotFoundException" {
                "ResourceNotFoundException"
            } else {
                "InvalidArgumentException"
            },
            message,
        ))
    }

    async fn is_active(&self) -> Result<bool, Refusal> {
        let summary = self.call("DescribeStreamSummary", json!({})).await?;
        Ok(summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")
    }

    /// Refuses a split or merge of a closed shard. The server would split it again, into shards that overlap its
    /// children.
    async fn check_open(&self, request: &Value) -> Result<(), Refusal> {
        let open = self.open_shards().await?;
        let named = ["ShardToSplit", "ShardToMerge", "AdjacentShardToMerge"];
        let mut named = named.iter().filter_map(|name| request[name].as_str());
        match named.find(|shard| open.iter().all(|range| range.shard != *shard)) {
            Some(shard) => Err(("InvalidArgumentException", format!("{shard} of {} is not open", self.stream))),
            None => Ok(()),
        }
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, Refusal> {
        let shards = self.call("ListShards", json!({})).await?;
        let open = shards["Shards"].as_array().into_iter().flatten().filter_map(|shard| {
            let key = |name: &str| shard["HashKeyRange"][name].as_str()?.parse().ok();
            let is_open = shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none_or(Value::is_null);
            let range = HashKeyRange {
                shard: shard["ShardId"].as_str()?.to_owned(),
                start: key("StartingHashKey")?,
                end: key("EndingHashKey")?,
            };
            is_open.then_some(range)
        });
        Ok(open.collect())
    }

    /// Splits and merges until the stream has `target` even shards.
    async fn reshard(&self, target: u64) -> Result<(), Refusal> {
        while let Some(step) = next_step(self.open_shards().await?, target) {
            match step {
                Step::Split { shard, at } => {
                    let request = json!({ "ShardToSplit": shard, "NewStartingHashKey": at.to_string() });
                    self.call("SplitShard", request).await?;
                }
                Step::Merge { shard, adjacent } => {
                    let request = json!({ "ShardToMerge": shard, "AdjacentShardToMerge": adjacent });
                    self.call("MergeShards", request).await?;
                }
            }
            while !self.is_active().await? {
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }
}

/// One split or merge.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Split { shard: String, at: u128 },
    Merge { shard: String, adjacent: String },
}

/// The first hash key of each of `count` even shards, which is how Kinesis divides the keyspace of a new stream.
fn even_starts(count: u64) -> BTreeSet<u128> {
    // 2^128 / count, computed without 2^128, which is one more than the type holds.
    let count = u128::from(count.max(1));
    let width = (u128::MAX - (count - 1)) / count;
    (0..count).map(|index| index * width.saturating_add(1)).collect()
}

/// The next step towards `target` even shards: first a split at each missing boundary, then a merge over each boundary
/// that is not wanted.
fn next_step(mut open: Vec<HashKeyRange>, target: u64) -> Option<Step> {
    open.sort_unstable_by_key(|range| range.start);
    let wanted = even_starts(target);
    // The server requires a split to be more than one key after the shard's start.
    let missing = open.iter().find_map(|range| {
        let at = wanted.range(range.start.saturating_add(2)..range.end).next()?;
        Some(Step::Split { shard: range.shard.clone(), at: *at })
    });
    missing.or_else(|| {
        let unwanted = open.windows(2).find(|pair| !wanted.contains(&pair[1].start))?;
        Some(Step::Merge { shard: unwanted[0].shard.clone(), adjacent: unwanted[1].shard.clone() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apply(mut open: Vec<HashKeyRange>, step: Step, n: usize) -> Vec<HashKeyRange> {
        let mut take = |shard: &str| {
            let at = open.iter().position(|range| range.shard == shard).unwrap();
            open.remove(at)
        };
        let parts = match step {
            Step::Split { shard, at } => {
                let HashKeyRange { start, end, .. } = take(&shard);
                vec![(start, at - 1), (at, end)]
            }
            Step::Merge { shard, adjacent } => {
                let (left, right) = (take(&shard), take(&adjacent));
                assert_eq!(left.end + 1, right.start);
                vec![(left.start, right.end)]
            }
        };
        let named = |(index, (start, end))| HashKeyRange { shard: format!("{n}-{index}"), start, end };
        open.extend(parts.into_iter().enumerate().map(named));
        open
    }

    fn whole(cuts: &BTreeSet<u128>) -> Vec<HashKeyRange> {
        let starts: Vec<u128> = std::iter::once(0).chain(cuts.iter().copied()).collect();
        let ends = starts.iter().skip(1).map(|start| start - 1).chain([u128::MAX]);
        let ranges = starts.iter().zip(ends).enumerate();
        ranges.map(|(index, (start, end))| HashKeyRange { shard: index.to_string(), start: *start, end }).collect()
    }

    proptest! {
        #[test]
        fn any_keyspace_becomes_even_in_one_step_for_each_boundary_that_differs(
            cuts in prop::collection::btree_set(1_000..u128::MAX - 1_000, 0..20),
            target in 1..40_u64,
        ) {
            let mut open = whole(&cuts);
            let wanted = even_starts(target);
            let inner = wanted.iter().copied().filter(|at| *at > 0).collect::<BTreeSet<_>>();
            let differing = inner.symmetric_difference(&cuts).count();
            let mut steps = 0;
            while let Some(step) = next_step(open.clone(), target) {
                open = apply(open, step, steps);
                steps += 1;
                prop_assert!(steps <= differing);
            }
            open.sort_unstable_by_key(|range| range.start);
            prop_assert_eq!(open.iter().map(|range| range.start).collect::<BTreeSet<_>>(), wanted);
            prop_assert_eq!(open.last().map(|range| range.end), Some(u128::MAX));
        }
    }

    #[test]
    fn even_shards_start_where_kinesis_starts_them() {
        assert_eq!(even_starts(1), BTreeSet::from([0]));
        assert_eq!(even_starts(2), BTreeSet::from([0, 1 << 127]));
        // 2^128 / 3, and twice as much.
        let third = 113_427_455_640_312_821_154_458_202_477_256_070_485;
        assert_eq!(even_starts(3), BTreeSet::from([0, third, 2 * third]));
    }
}
