//! Commands on sorted sets. A score is a whole number of at most 53 bits, which Redis holds exactly.

use super::{Connection, remote_error};
use crate::platform::errors::RemoteError;
use redis::{FromRedisValue, Value};

/// How many members one command carries.
const MEMBERS_MAX: usize = 1_000;

/// A member of a sorted set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its score.
    pub score: i64,
}

impl Connection {
    /// Adds members to sets, or raises their scores. A member that has a higher score already keeps it.
    pub async fn raise_scores(&self, sets: &[(String, Vec<Member>)]) -> Result<(), RemoteError> {
        let parts = sets.iter().flat_map(|(key, members)| members.chunks(MEMBERS_MAX).map(move |part| (key, part)));
        let commands = parts.map(|(key, part)| {
            let mut command = redis::cmd("ZADD");
            command.arg(key).arg("GT");
            for member in part {
                command.arg(member.score).arg(&member.name);
            }
            command
        });
        self.all("ZADD", commands.collect()).await.map(drop)
    }

    /// At most `limit` members of a set with scores below `score`, lowest first.
    pub async fn members_below(&self, key: &str, score: i64, limit: usize) -> Result<Vec<Member>, RemoteError> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(key).arg("-inf").arg(format!("({score}")).arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit);
        let answers = self.all("ZRANGEBYSCORE", vec![command]).await?;
        let answer = answers.into_iter().next().unwrap_or(Value::Nil);
        let members: Vec<(String, f64)> =
            Vec::from_redis_value(answer).map_err(|error| remote_error("ZRANGEBYSCORE", error.into()))?;
        Ok(members.into_iter().map(|(name, score)| Member { name, score: score as i64 }).collect())
    }

    /// The score of each member, in the order of `members`; `None` for one that is not in its set.
    pub async fn scores(&self, members: &[(String, &str)]) -> Result<Vec<Option<i64>>, RemoteError> {
        let commands = members.iter().map(|(key, name)| {
            let mut command = redis::cmd("ZSCORE");
            command.arg(key).arg(*name);
            command
        });
        let answers = self.all("ZSCORE", commands.collect()).await?;
        let scores = answers.into_iter().map(|answer| {
            let score: Option<f64> =
                Option::from_redis_value(answer).map_err(|error| remote_error("ZSCORE", error.into()))?;
            Ok(score.map(|score| score as i64))
        });
        scores.collect()
    }
}
