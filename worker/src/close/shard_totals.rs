//! A job whose chunks are divided among servers row by row: do the shares add up to the whole?

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::sql;
use longshore_shared::task::{Job, Source};
use serde::Deserialize;

use crate::attempt::source;
use crate::error::AttemptError;

/// What the receipts of one server say of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Row)]
struct Sum {
    tasks: u64,
    /// Each task counts all rows of its chunk, whatever its share.
    read: u64,
    staged: u64,
}

/// Why the job is not complete, if the shares do not add up. Asked when every task is done.
pub(crate) async fn check_shard_totals(
    servers: &[Server],
    job: &Job,
    loaded: u64,
) -> Result<Option<String>, AttemptError> {
    let counts = matches!(&job.spec.source, Source::Files(files) if source::is_counted(files));
    if job.spec.shard_by.is_none() || !counts || !job.spec.is_one_for_one() {
        return Ok(None);
    }
    let (id, target) = (job.id.to_string(), job.spec.target.to_string());
    let mut sums: Vec<Sum> = Vec::with_capacity(servers.len());
    for server in servers {
        let call = || server.call(sql::SUM_RECEIPTS).name("control", server.control());
        let row =
            retry_idempotent(|| call().param("job", &id).param("target", &target).fetch_one());
        sums.push(row.await?);
    }
    Ok(judge(&sums, u64::from(job.chunks()), loaded))
}

fn judge(sums: &[Sum], tasks: u64, loaded: u64) -> Option<String> {
    let each = tasks / (sums.len() as u64).max(1);
    let staged: u64 = sums.iter().map(|sum| sum.staged).sum();
    if sums.iter().any(|sum| sum.tasks != each) || staged != loaded {
        tracing::warn!("proof rows of this job are missing: its shares cannot be added up");
        return None;
    }
    let held = sums.first().map_or(0, |sum| sum.read);
    if sums.iter().all(|sum| sum.read == held) && loaded == held {
        return None;
    }
    let seen: Vec<String> = sums.iter().map(|sum| sum.read.to_string()).collect();
    Some(format!(
        "the files held {} rows as the servers read them, and their shares are {loaded} rows together",
        seen.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(tasks: u64, read: u64, staged: u64) -> Sum {
        Sum { tasks, read, staged }
    }

    #[test]
    fn shares_must_add_up_to_the_whole() {
        assert_eq!(judge(&[sum(2, 100, 60), sum(2, 100, 40)], 4, 100), None);
        let lost = judge(&[sum(2, 100, 60), sum(2, 100, 39)], 4, 99).unwrap();
        assert!(lost.contains("100, 100") && lost.contains("99 rows"), "{lost}");
        assert!(judge(&[sum(2, 100, 60), sum(2, 101, 40)], 4, 100).is_some());
    }

    #[test]
    fn missing_proof_rows_prove_nothing() {
        assert_eq!(judge(&[sum(1, 50, 30), sum(2, 100, 40)], 4, 99), None);
    }
}
