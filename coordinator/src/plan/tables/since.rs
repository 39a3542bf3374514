//! What a table held when an earlier plan of it was made.

use longshore_shared::schema::identities;
use longshore_shared::task::{JobId, Known, TableName};

use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

/// Since when.
pub(crate) struct Since {
    /// The earlier job.
    pub(crate) job: JobId,
    /// What the table consisted of then.
    pub(crate) known: Known,
}

impl Since {
    /// The snapshot that an earlier plan of the same table was made from.
    pub(crate) async fn of(session: &Session, job: &str, from: &TableName) -> Result<Self, Error> {
        let job = session.job(job).await?;
        let refuse = |message: String, help: &str| -> Error {
            Report::new(Kind::Usage, format!("{message} (--delta)")).help(help).into()
        };
        let feeds = job.spec.source.as_tables().map_or(&[][..], |tables| &tables.feeds[..]);
        let now = identities(&session.server, std::slice::from_ref(from)).await?;
        let uuid = now.first().map(|(_, uuid)| *uuid);
        // By its identity: an exchange gives a table another name.
        let known = feeds
            .iter()
            .filter_map(|feed| feed.known.clone())
            .find(|known| Some(known.uuid) == uuid);
        let Some(known) = known else {
            let Some(feed) = feeds.iter().find(|feed| feed.origin == *from) else {
                let message = format!("job {} does not copy {from}", job.id);
                return Err(refuse(message, "name the job that copied this table last"));
            };
            if feed.known.is_some() {
                let message = format!("{from} is another table than job {} copied", job.id);
                return Err(refuse(message, "copy it whole, or name the old table with --from"));
            }
            let message = format!("what {from} held when job {} was planned is not known", job.id);
            return Err(refuse(
                message,
                "only a plan with --snapshot can be followed by a --delta",
            ));
        };
        Ok(Self { job: job.id, known })
    }
}
