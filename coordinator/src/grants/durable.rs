//! `--durable` at plan time: can the server sync its disks for this user?

use longshore_shared::clickhouse::{Code, Failure, Server, retry_idempotent};
use longshore_shared::sql;

use super::list::{SYNC, name};
use crate::ui::error::{Error, Kind, Report};

/// Syncs the disks of a server that a durable plan loads into. What was there before the plan, the
/// definitions of its tables among them, is on disk then, and it is known that workers can do the same.
pub(crate) async fn check_durable(server: &Server, durable: bool) -> Result<(), Error> {
    if !durable {
        return Ok(());
    }
    match retry_idempotent(|| server.call(sql::SYNC_DISKS).deadline(None).execute()).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code() == Some(Code::ACCESS_DENIED) => Err(denied(server).into()),
        Err(failure) if failure.is_refusal() => Err(unable(server, &failure).into()),
        Err(failure) => Err(failure.into()),
    }
}

fn denied(server: &Server) -> Report {
    let connection = server.connection();
    let message =
        format!("user `{}` may not sync the disks of {}", connection.user, connection.url);
    let grant = format!("GRANT {SYNC} ON *.* TO {};", name(&connection.user));
    Report::new(Kind::Usage, format!("{message}, and --durable asks for it")).help(format!(
        "run as an administrator, for the user of the workers too:\n  {grant}\nor plan without it: --durable=false"
    ))
}

fn unable(server: &Server, failure: &Failure) -> Report {
    let url = &server.connection().url;
    let message = format!("{url} cannot sync its disks: {}", failure.message);
    Report::new(Kind::Usage, message).help("plan without it: --durable=false")
}
