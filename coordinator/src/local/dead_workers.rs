//! Workers of this machine that are gone: their tasks need not wait for the whole lease.

use std::path::Path;

use longshore_shared::machine::host_name;
use longshore_shared::store::{Stored, TaskStore, WorkerRecord};

/// Signs workers off whose process does not exist any more.
///
/// A machine of the same name elsewhere may have such a process: a worker is only taken for gone
/// when it has missed a heartbeat too. Should it live all the same, it is fenced like any other that
/// is late, and finds its tasks taken.
pub(crate) async fn sign_off(store: &impl TaskStore) -> Stored<Vec<WorkerRecord>> {
    let host = host_name();
    let mut gone = store.workers().await?;
    gone.retain(|worker| worker.host == host && is_silent(worker) && !has_process(worker.pid));
    for worker in &gone {
        store.remove_worker(&worker.id).await?;
    }
    Ok(gone)
}

/// A worker beats three times in a lease; half of one without a beat is one missed.
fn is_silent(worker: &WorkerRecord) -> bool {
    worker.age_ms > i64::try_from(worker.lease_ms / 2).unwrap_or(i64::MAX)
}

/// Is there a process with this number? Yes, where the system does not tell.
fn has_process(pid: u32) -> bool {
    let processes = Path::new("/proc");
    !processes.join("self").exists() || processes.join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there_and_one_that_ended_is_not() {
        assert!(has_process(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(!has_process(child.id()));
    }
}
