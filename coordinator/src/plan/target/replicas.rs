//! `--replicas-wait`: can the replicas of the targets be asked what they have?

use longshore_shared::clickhouse::Server;
use longshore_shared::replicas::ReplicatedTable;
use longshore_shared::schema::Graph;
use longshore_shared::task::ReplicasWait;

use crate::ui::error::{Error, Kind, Report};

/// Refuses a wait for replicas that there are not, or that Keeper cannot be asked about. What is asked
/// here is what the worker that closes the job asks.
pub(crate) async fn check_wait(
    server: &Server,
    graph: &Graph,
    wait: ReplicasWait,
) -> Result<(), Error> {
    if wait.is_one() {
        return Ok(());
    }
    let option = format!("--replicas-wait {}", wait.as_str());
    let mut is_any = false;
    for table in graph.tables.iter().filter(|table| table.is_replicated()) {
        let Some(replicated) = ReplicatedTable::read(server, &table.name).await? else { continue };
        is_any = true;
        if !replicated.can_be_asked() {
            let message = format!(
                "{option}: {} is in an auxiliary Keeper, which cannot be asked what its replicas have",
                table.name
            );
            let help =
                "leave --replicas-wait out, and wait with SYSTEM SYNC REPLICA on each replica";
            return Err(Report::new(Kind::Usage, message).help(help).into());
        }
        replicated.own_parts(server).await?;
    }
    if is_any {
        return Ok(());
    }
    let message = format!("{option}: {} has no replicas", graph.base().name);
    Err(Report::new(Kind::Usage, message).help("leave --replicas-wait out").into())
}
