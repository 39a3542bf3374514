//! Tables are cut as they are, each by the index of the server that knows it, without changing anything. A
//! time window without rows is refused here, before there is a snapshot.

use super::feed::{FeedOptions, Origin, cut_options, cut_window};
use super::remote::by_partition;
use crate::plan::cut::{Cut, cut};
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

/// Cuts the tables, or refuses a time window in which none of them has rows.
pub(crate) async fn cut_tables(
    session: &Session,
    origins: &[Origin],
    options: &FeedOptions,
) -> Result<Vec<Cut>, Error> {
    let mut cuts = Vec::with_capacity(origins.len());
    for origin in origins {
        cuts.push(cut_table(session, origin, options).await?);
    }
    let windowed = origins.iter().find_map(|origin| origin.windowed.as_ref());
    if let (Some(windowed), true) = (windowed, cuts.iter().all(|cut| cut.slices.is_empty())) {
        let help = format!("its times are those of {} (--time-column)", windowed.time.name);
        let message = "there are no rows in this time window";
        return Err(Report::new(Kind::Usage, message).help(help).into());
    }
    Ok(cuts)
}

async fn cut_table(
    session: &Session,
    origin: &Origin,
    options: &FeedOptions,
) -> Result<Cut, Error> {
    let server = origin.source.server().unwrap_or(&session.server);
    let table = &origin.feed.origin;
    if let Some(windowed) = &origin.windowed {
        return cut_window(server, windowed, table, options).await;
    }
    if !origin.source.is_seen() {
        return by_partition(server, &origin.feed, options.chunk_bytes, options.unit).await;
    }
    Ok(cut(server, table, &cut_options(options, origin, false)).await?)
}
