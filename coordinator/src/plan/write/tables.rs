//! A plan of tables that were cut: on snapshots where that is asked for or needed, and then cut once more.

use longshore_shared::schema::{identities, rewrite_source};
use longshore_shared::task::{Feed, Job, JobId, Known, TableName, TablesSource};
use sha2::{Digest, Sha256};

use super::missing::needs_rows;
use super::recut;
use super::rows::{identity, whole, write_plan};
use crate::plan::cut::{Cut, cut, digest};
use crate::plan::draft::SpecBase;
use crate::plan::tables::clones::{self, clone_of};
use crate::plan::tables::feed::{FeedOptions, Origin, Snapshot, chunks, cut_options, cut_window};
use crate::plan::tables::part_blocks::known;
use crate::plan::tables::remote::Source;
use crate::plan::tables::snapshot;
use crate::plan::target::shadow::Marks;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};
use crate::ui::text;

/// A plan of tables that was written, or had been before.
pub(crate) struct TablesPlan {
    pub(crate) job: Job,
    pub(crate) created: bool,
    /// Bytes of the tables, in the unit of the budget.
    pub(crate) bytes: u64,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
}

/// Writes the plan of tables that were cut.
pub(crate) async fn plan_tables(
    session: &Session,
    origins: &[Origin],
    mut cuts: Vec<Cut>,
    options: &FeedOptions,
    base: &SpecBase,
    marks: &Marks,
) -> Result<TablesPlan, Error> {
    let plan = Plan { session, origins, options };
    let mut id = plan.identity(base, &cuts);
    // What a paused job lost is written again below.
    let there = whole(&session.store, &id).await?;
    if let Some(job) = there.filter(|job| !needs_rows(job)) {
        return Ok(TablesPlan {
            job,
            created: false,
            bytes: bytes(&cuts),
            notes: plan.notes(&cuts, false),
        });
    }
    let mut snapshots = vec![None; origins.len()];
    let is_snapshot = plan.needs_snapshot(&cuts);
    if is_snapshot {
        let clones = plan.clone_all(&mut cuts).await?;
        // The source may have changed since it was looked at: the plan is of its clone.
        id = plan.identity(base, &cuts);
        if let Some(job) = whole(&session.store, &id).await? {
            for clone in clones {
                snapshot::drop(&session.server, &clone.table.table).await?;
            }
            Box::pin(recut::write_of_snapshots(session, &job, origins, options)).await?;
            let (bytes, notes) = (bytes(&cuts), plan.notes(&cuts, is_snapshot));
            return Ok(TablesPlan { job, created: false, bytes, notes });
        }
        (snapshots, cuts) = plan.cut_snapshots(&id, clones, &cuts).await?;
    }
    let feeds: Vec<Feed> = origins
        .iter()
        .zip(&cuts)
        .zip(&snapshots)
        .map(|((origin, cut), snapshot)| with_key(&origin.feed, cut, snapshot.as_ref()))
        .collect::<Result<_, _>>()?;
    let source = plan.source(feeds, &cuts);
    let chunks = chunks(&cuts);
    let notes = plan.notes(&cuts, is_snapshot);
    let (job, created) =
        Box::pin(write_plan(session, id, base.of_tables(source), &chunks, marks.clone())).await?;
    Ok(TablesPlan { job, created, bytes: bytes(&cuts), notes })
}

fn bytes(cuts: &[Cut]) -> u64 {
    cuts.iter().map(|cut| cut.bytes).sum()
}

/// A snapshot, and what its source consisted of then.
#[derive(Debug, Clone)]
struct Cloned {
    table: TableName,
    uuid: Option<uuid::Uuid>,
    known: Option<Known>,
}

fn with_key(feed: &Feed, cut: &Cut, snapshot: Option<&Cloned>) -> Result<Feed, Error> {
    let mut feed = Feed { key: cut.key.clone(), ..feed.clone() };
    if let Some(Cloned { table, uuid, known }) = snapshot {
        if let Some(view) = &mut feed.view {
            view.select = rewrite_source(&view.select, &feed.origin, table).map_err(|error| {
                Report::new(Kind::Usage, format!("view {} cannot be replayed: {error}", view.name))
                    .help("--no-snapshot reads the table itself")
            })?;
        }
        (feed.table, feed.uuid, feed.is_snapshot) = (table.clone(), *uuid, true);
        feed.known.clone_from(known);
    }
    Ok(feed)
}

struct Plan<'a> {
    session: &'a Session,
    origins: &'a [Origin],
    options: &'a FeedOptions,
}

impl Plan<'_> {
    /// Identity of the plan: the same tables in the same state, cut the same way, into the same target.
    fn identity(&self, base: &SpecBase, cuts: &[Cut]) -> JobId {
        let feeds = self.origins.iter().map(|origin| origin.feed.clone()).collect();
        let mode = format!("{:?}\0{}", self.options.snapshot, self.options.again);
        identity(&base.of_tables(self.source(feeds, cuts)), &[], &mode)
    }

    fn source(&self, feeds: Vec<Feed>, cuts: &[Cut]) -> TablesSource {
        let mut hash = Sha256::new();
        for cut in cuts {
            hash.update(&cut.digest);
        }
        let digest = text::hex(&hash.finalize());
        TablesSource {
            feeds,
            budget: self.options.unit,
            chunk_bytes: self.options.chunk_bytes,
            rows: cuts.iter().map(|cut| cut.rows).sum(),
            digest,
        }
    }

    fn needs_snapshot(&self, cuts: &[Cut]) -> bool {
        let can = self.origins.iter().all(|origin| matches!(origin.source, Source::Local));
        match self.options.snapshot {
            Snapshot::Always => can,
            Snapshot::WhenNeeded => can && cuts.iter().any(|cut| cut.needs_snapshot),
            Snapshot::Never => false,
        }
    }

    /// Clones every table, and makes the cuts those of the clones' moments.
    async fn clone_all(&self, cuts: &mut [Cut]) -> Result<Vec<clones::Clone>, Error> {
        let mut all = Vec::with_capacity(self.origins.len());
        for (origin, cut) in self.origins.iter().zip(cuts) {
            let clone = clone_of(&self.session.server, &origin.feed.origin).await?;
            cut.digest = digest(&clone.parts);
            all.push(clone);
        }
        Ok(all)
    }

    /// Names the clones after the plan and cuts them.
    async fn cut_snapshots(
        &self,
        id: &JobId,
        clones: Vec<clones::Clone>,
        sources: &[Cut],
    ) -> Result<(Vec<Option<Cloned>>, Vec<Cut>), Error> {
        let server = &self.session.server;
        let (mut snapshots, mut cuts) = (Vec::new(), Vec::new());
        for (feed, ((origin, clone), source)) in
            self.origins.iter().zip(clones).zip(sources).enumerate()
        {
            let known = origin.feed.uuid.and_then(|uuid| known(uuid, &clone.parts));
            let table = clone.name(server, &id.snapshot(feed)).await?;
            let uuid = identities(server, std::slice::from_ref(&table)).await?;
            let uuid = uuid.first().map(|(_, uuid)| *uuid);
            let made = match &origin.windowed {
                Some(windowed) => cut_window(server, windowed, &table, self.options).await?,
                None => cut(server, &table, &cut_options(self.options, origin, true)).await?,
            };
            cuts.push(Cut { digest: source.digest.clone(), ..made });
            snapshots.push(Some(Cloned { table, uuid, known }));
        }
        Ok((snapshots, cuts))
    }

    fn of_cuts<'a>(
        &'a self,
        cuts: &'a [Cut],
        wanted: impl Fn(&Origin) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Cut> {
        let both = self.origins.iter().zip(cuts);
        both.filter(move |(origin, _)| wanted(origin)).map(|(_, cut)| cut)
    }

    fn notes(&self, cuts: &[Cut], is_snapshot: bool) -> Vec<String> {
        let mut notes: Vec<String> = cuts.iter().flat_map(|cut| cut.notes.clone()).collect();
        let long: usize =
            self.of_cuts(cuts, |origin| origin.windowed.is_some()).map(|cut| cut.over_budget).sum();
        if long > 0 {
            notes.push(format!(
                "{} of time may be larger than {}: shorter ones with a smaller --min-chunk, where \
                 no group of a view is divided",
                text::plural(long as u64, "chunk"),
                text::bytes(self.options.chunk_bytes)
            ));
        }
        let aligned: usize = self
            .of_cuts(cuts, |origin| origin.windowed.is_none() && origin.align.is_some())
            .map(|cut| cut.over_budget)
            .sum();
        if aligned > 0 {
            notes.push(format!(
                "{} may be larger than {}: groups of the view are kept in one piece",
                text::plural(aligned as u64, "chunk"),
                text::bytes(self.options.chunk_bytes)
            ));
        }
        let over: usize = self
            .of_cuts(cuts, |origin| origin.windowed.is_none() && origin.align.is_none())
            .map(|cut| cut.over_budget)
            .sum();
        let tables: Vec<String> =
            self.origins.iter().map(|origin| origin.feed.origin.to_string()).collect();
        let tables = tables.join(", ");
        if over > 0 {
            notes.push(format!(
                "{} may be larger than {}: rows that are equal in every key column are not \
                 divided, except on a snapshot (--snapshot)",
                text::plural(over as u64, "chunk"),
                text::bytes(self.options.chunk_bytes)
            ));
        }
        let mut by_key = self.of_cuts(cuts, |origin| origin.windowed.is_none());
        if over == 0 && by_key.any(|cut| !cut.is_bounded) {
            notes.push(
                "the sizes of chunks are estimates: the granules of many parts overlap; a larger \
                 --chunk-bytes or --snapshot makes them exact"
                    .to_owned(),
            );
        }
        notes.push(if is_snapshot {
            format!("rows that {tables} gets from now on are not in this plan: --delta plans them")
        } else {
            format!(
                "{tables} is read as it is when a chunk is loaded: rows that arrive later in a \
                 planned range are loaded if they are there by then, others are not; for one \
                 moment give --snapshot"
            )
        });
        notes
    }
}
