//! The servers that a job loads into: which one a task belongs to, and which worker may act for it.

use serde::{Deserialize, Serialize};

use super::Graph;

/// A server that holds targets of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobServer {
    /// Its address, without credentials: workers come as the user they have at home.
    pub url: String,
    /// Its identity when the plan was made.
    pub uuid: String,
    /// The tables there, where they are not those of the spec: each server has UUIDs of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<Graph>,
}

/// Which of several servers a row belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardBy {
    /// An integer expression over columns of the target, as the user wrote it.
    pub expression: String,
    /// The function that takes its number as unsigned.
    pub unsigned: String,
    /// The columns of the load that it may name, as the target holds them.
    pub columns: Vec<ShardColumn>,
    /// Which server of how many, in a spec as its tasks see it: [`JobSpec::on`].
    #[serde(skip)]
    pub shard: Option<(usize, usize)>,
}

/// A column that the number of a row's server depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardColumn {
    /// Its name.
    pub name: String,
    /// Its type in the target; of `LowCardinality(T)` the type T.
    pub r#type: String,
    /// It may be NULL where it is read and cannot be in the target: the type's default stands there.
    pub may_be_null: bool,
}
