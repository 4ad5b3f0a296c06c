//! `UpdateShardCount` as Kinesis does it: by splitting and merging, so that every shard has its parents.
//!
//! The embedded server closes all shards and makes new ones without parents, which tells a consumer nothing of the order
//! in which to read them. Here its own `SplitShard` and `MergeShards` are called until the keyspace is cut evenly, while the
//! stream is `UPDATING` to everybody else. The limits are those of the documentation: ten calls in any 24 hours, to double
//! or half the open shards at most.

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
/// Requests and answers about shards are small.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Between two looks whether the server has finished a split or merge.
const POLL: Duration = Duration::from_millis(5);
const VERSION: &str = "Kinesis_20131202";

/// What is known of the streams' calls.
struct Resharding {
    /// The server itself, past this layer.
    server: TowerToHyperService<Router>,
    clock: ScaledClock,
    streams: Mutex<BTreeMap<String, Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// When `UpdateShardCount` was accepted, in the last 24 hours.
    calls_ms: Vec<i64>,
    /// Whether it is being carried out.
    is_updating: bool,
}

/// A refusal: the error's name in Kinesis, and its message.
type Refusal = (&'static str, String);

/// The app, with an `UpdateShardCount` that keeps lineage.
pub(super) fn with_lineage(app: Router, clock: ScaledClock) -> Router {
    let server = TowerToHyperService::new(app.clone());
    let state = Arc::new(Resharding { server, clock, streams: Mutex::default() });
    app.layer(from_fn_with_state(state, pass))
}

async fn pass(State(resharding): State<Arc<Resharding>>, request: Request, next: Next) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    if !["UpdateShardCount", "SplitShard", "MergeShards", "DescribeStreamSummary", "DescribeStream"]
        .contains(&operation.as_str())
    {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    // What is no JSON is the server's to refuse.
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let stream = stream_of(&asked);
    if operation == "UpdateShardCount" {
        let headers = parts.headers;
        let begun = Arc::clone(&resharding).begin(headers, &stream, &asked).await;
        return begun.map_or_else(refused, |answer| answered(StatusCode::OK, &answer));
    }
    let is_updating = || resharding.streams().get(&stream).is_some_and(|known| known.is_updating);
    let describes = operation.starts_with("Describe");
    if !describes && is_updating() {
        return refused(in_use(&stream));
    }
    if !describes {
        let server =
            Server { resharding: Arc::clone(&resharding), headers: parts.headers.clone(), stream: stream.clone() };
        if let Err(refusal) = server.are_open(&asked).await {
            return refused(refusal);
        }
    }
    // Asked before the server is: what it answers while the last step ends is of a stream that was updating.
    let was_updating = is_updating();
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if describes && was_updating { updating(response).await } else { response }
}

/// A stream's name, where it is named by its ARN too.
pub(super) fn stream_of(asked: &Value) -> String {
    let by_arn = asked["StreamARN"].as_str().and_then(|arn| arn.rsplit_once('/')).map(|(_, name)| name);
    asked["StreamName"].as_str().or(by_arn).unwrap_or_default().to_owned()
}

fn in_use(stream: &str) -> Refusal {
    ("ResourceInUseException", format!("Stream {stream} is not ACTIVE, instead in state UPDATING"))
}

/// A description with the status that the stream has to others.
async fn updating(response: Response) -> Response {
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

fn answered(status: StatusCode, answer: &Value) -> Response {
    let mut response = (status, answer.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    response
}

fn refused((kind, message): Refusal) -> Response {
    answered(StatusCode::BAD_REQUEST, &json!({ "__type": kind, "message": message }))
}

impl Resharding {
    fn streams(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts the call, or refuses it, and carries it out behind the answer.
    async fn begin(
        self: Arc<Self>,
        headers: axum::http::HeaderMap,
        stream: &str,
        asked: &Value,
    ) -> Result<Value, Refusal> {
        let server = Server { resharding: Arc::clone(&self), headers, stream: stream.to_owned() };
        if !server.is_active().await? {
            return Err(in_use(stream));
        }
        let current = server.open_shards().await?.len() as u64;
        let target = asked["TargetShardCount"].as_u64().unwrap_or_default();
        let invalid = |message: String| Err(("InvalidArgumentException", message));
        if target == 0 || target == current {
            return invalid(format!("TargetShardCount {target}: {stream} has {current} open shards"));
        }
        if target > current * 2 || target * 2 < current {
            return invalid(format!("TargetShardCount {target} is over double or under half of {current} open shards"));
        }
        let now_ms = self.clock.now_ms();
        {
            let mut streams = self.streams();
            let known = streams.entry(stream.to_owned()).or_default();
            if known.is_updating {
                return Err(in_use(stream));
            }
            known.calls_ms.retain(|call_ms| now_ms - call_ms < DAY_MS);
            if known.calls_ms.len() >= CALLS_MAX {
                let message = format!("{stream}: more than {CALLS_MAX} calls of UpdateShardCount in 24 hours");
                return Err(("LimitExceededException", message));
            }
            known.calls_ms.push(now_ms);
            known.is_updating = true;
        }
        let answer = json!({ "StreamName": stream, "CurrentShardCount": current, "TargetShardCount": target });
        tokio::spawn(async move {
            if let Err((kind, message)) = server.carry_out(target).await {
                tracing::warn!(stream = server.stream, kind, message, "resharding stopped halfway");
            }
            if let Some(known) = self.streams().get_mut(&server.stream) {
                known.is_updating = false;
            }
        });
        Ok(answer)
    }
}

/// The server behind this layer, asked with the headers of whoever asked here.
struct Server {
    resharding: Arc<Resharding>,
    headers: axum::http::HeaderMap,
    stream: String,
}

impl Server {
    async fn call(&self, operation: &str, mut asked: Value) -> Result<Value, Refusal> {
        let internal = |what: String| ("InternalFailureException", what);
        asked["StreamName"] = self.stream.as_str().into();
        let mut request =
            Request::post("/").body(Body::from(asked.to_string())).map_err(|e| internal(e.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().remove(header::CONTENT_LENGTH);
        let target = HeaderValue::from_str(&format!("{VERSION}.{operation}"));
        request.headers_mut().insert("x-amz-target", target.map_err(|error| internal(error.to_string()))?);
        let Ok(response) = self.resharding.server.call(request).await;
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

    /// The server itself would split a closed shard again, into shards that overlap its children.
    async fn are_open(&self, asked: &Value) -> Result<(), Refusal> {
        let open = self.open_shards().await?;
        let named = ["ShardToSplit", "ShardToMerge", "AdjacentShardToMerge"];
        let mut named = named.iter().filter_map(|name| asked[name].as_str());
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
    async fn carry_out(&self, target: u64) -> Result<(), Refusal> {
        while let Some(step) = next_step(self.open_shards().await?, target) {
            match step {
                Step::Split { shard, at } => {
                    let asked = json!({ "ShardToSplit": shard, "NewStartingHashKey": at.to_string() });
                    self.call("SplitShard", asked).await?;
                }
                Step::Merge { shard, adjacent } => {
                    let asked = json!({ "ShardToMerge": shard, "AdjacentShardToMerge": adjacent });
                    self.call("MergeShards", asked).await?;
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

/// The first hash keys of `count` even shards; Kinesis cuts the keyspace so when it makes a stream.
fn beginnings(count: u64) -> BTreeSet<u128> {
    // 2^128 / count, where 2^128 itself is one more than the type holds.
    let count = u128::from(count.max(1));
    let width = (u128::MAX - (count - 1)) / count;
    (0..count).map(|index| index * width.saturating_add(1)).collect()
}

/// What is next on the way to `target` even shards: first every cut that is missing, then every merge over one that is
/// not wanted.
fn next_step(mut open: Vec<HashKeyRange>, target: u64) -> Option<Step> {
    open.sort_unstable_by_key(|range| range.start);
    let wanted = beginnings(target);
    // The server wants a split to be more than one key into its shard.
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
        let made = match step {
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
        open.extend(made.into_iter().enumerate().map(named));
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
        fn any_keyspace_becomes_even_with_a_step_for_each_cut_that_differs(
            cuts in prop::collection::btree_set(1_000..u128::MAX - 1_000, 0..20),
            target in 1..40_u64,
        ) {
            let mut open = whole(&cuts);
            let wanted = beginnings(target);
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
    fn even_shards_begin_where_kinesis_lets_them_begin() {
        assert_eq!(beginnings(1), BTreeSet::from([0]));
        assert_eq!(beginnings(2), BTreeSet::from([0, 1 << 127]));
        // 2^128 / 3, and twice that.
        let third = 113_427_455_640_312_821_154_458_202_477_256_070_485;
        assert_eq!(beginnings(3), BTreeSet::from([0, third, 2 * third]));
    }
}
