//! The shadows of a job that publishes at its end: chosen, tried and made while the plan is made.

use clap::Args;
use clickhouse::Row;
use longshore_shared::clickhouse::{Code, Server, retry_idempotent};
use longshore_shared::schema::{Graph, placed, table_now};
use longshore_shared::sql;
use longshore_shared::store::StoreError;
use longshore_shared::task::{
    Epoch, JobId, JobSpec, LateRows, Mark, OtherPartitions, Publish, PublishMode, Shadow,
    ShadowName, TableName, kept_name,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::plan::unfinished::refuse_unfinished;
use crate::ui::error::{Error, Kind, Report};

/// How rows become visible: flags that every kind of plan has.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PublishArgs {
    /// How the rows become visible: append, replace or exchange
    ///
    /// append: each task moves its rows into the target. replace: all tasks fill a shadow table,
    /// then the last one replaces the partitions that it holds. exchange: the last one exchanges
    /// the shadow with the target, and the old table is kept as TARGET_before_JOB. With replace and
    /// exchange nothing is visible before everything is loaded, and views of the target are not fed.
    #[arg(long, value_name = "HOW", default_value = "append", value_parser = parse_publish)]
    publish: PublishMode,
    /// When the target got rows after the plan was made: refuse to publish, or tell how many there are
    /// [default: refuse when the table is its own source, else tell]
    #[arg(long, value_name = "refuse|tell", value_parser = parse_late_rows)]
    late_rows: Option<LateRows>,
    /// With --publish replace: partitions of the target that hold rows and that nothing was loaded
    /// for stay as they are (keep), or nothing is published while there are any (refuse)
    /// [default: refuse when the table is its own source, else keep]
    #[arg(long, value_name = "keep|refuse", value_parser = parse_other_partitions)]
    other_partitions: Option<OtherPartitions>,
}

/// Where the targets stood before anything was read: what is beyond was written later.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks(Vec<Vec<Mark>>);

impl Marks {
    /// Of the tables of a graph, in its order; none when tasks append.
    pub(crate) async fn of(
        server: &Server,
        graph: &Graph,
        publish: Publish,
    ) -> Result<Self, Error> {
        let mut all = Vec::new();
        for table in graph.tables.iter().filter(|_| !publish.is_append()) {
            all.push(marks(server, &table.name).await?);
        }
        Ok(Self(all))
    }
}

impl From<Vec<Vec<Mark>>> for Marks {
    fn from(marks: Vec<Vec<Mark>>) -> Self {
        Self(marks)
    }
}

impl PublishArgs {
    /// Does each task move its rows into the target?
    pub(crate) fn is_append(&self) -> bool {
        !self.publish.has_last_task()
    }

    /// What the user wants. `in_place`: the target is read by the same job.
    pub(crate) fn chosen(&self, in_place: bool) -> Result<Publish, Report> {
        let late_rows = if in_place { LateRows::Refuse } else { LateRows::Tell };
        let replaces = self.publish == PublishMode::Replace;
        let others = match self.other_partitions {
            Some(_) if !replaces => {
                let message = "--other-partitions is for --publish replace: only that leaves partitions as they are";
                return Err(Report::new(Kind::Usage, message)
                    .help("leave it out, or give --publish replace"));
            }
            Some(chosen) => chosen,
            None if in_place && replaces => OtherPartitions::Refuse,
            None => OtherPartitions::Keep,
        };
        Ok(Publish {
            mode: self.publish,
            late_rows: self.late_rows.unwrap_or(late_rows),
            other_partitions: others,
        })
    }
}

/// `append`, `replace` or `exchange`.
pub(crate) fn parse_publish(text: &str) -> Result<PublishMode, String> {
    let found = PublishMode::ALL.into_iter().find(|mode| mode.as_str() == text);
    found.ok_or_else(|| "one of: append, replace, exchange".to_owned())
}

fn parse_late_rows(text: &str) -> Result<LateRows, String> {
    match text {
        "refuse" => Ok(LateRows::Refuse),
        "tell" => Ok(LateRows::Tell),
        _ => Err("one of: refuse, tell".to_owned()),
    }
}

fn parse_other_partitions(text: &str) -> Result<OtherPartitions, String> {
    match text {
        "keep" => Ok(OtherPartitions::Keep),
        "refuse" => Ok(OtherPartitions::Refuse),
        _ => Err("one of: keep, refuse".to_owned()),
    }
}

/// What to know of a table that takes its own place partition by partition, when not all of its rows
/// come back as they were: a partition can be left without rows.
pub(crate) fn in_place_note(publish: Publish) -> Option<String> {
    let fate = match publish.other_partitions {
        OtherPartitions::Refuse => {
            "publishes nothing and names the partition (--other-partitions keep leaves its old rows, \
             --publish exchange replaces the table as a whole)"
        }
        OtherPartitions::Keep => "leaves its old rows (--other-partitions keep)",
    };
    (publish.mode == PublishMode::Replace).then(|| {
        format!(
            "--publish replace replaces the partitions that the loaded rows fall into: where --select or \
             --where leaves a partition without rows, the last task {fate}"
        )
    })
}

#[derive(Deserialize, Row)]
struct Engine {
    engine: String,
}

/// Leaves the views of the target out: the old rows of their targets stay as they are. Returns
/// what the user should know.
pub(crate) fn leave_views(graph: &mut Graph, publish: Publish) -> Vec<String> {
    if publish.is_append() || graph.views.is_empty() {
        return Vec::new();
    }
    let views: Vec<String> = graph.views.iter().map(|view| view.name.to_string()).collect();
    graph.views.clear();
    graph.tables.truncate(1);
    vec![format!(
        "--publish {} does not feed views: what {} made of the old rows stays as it is",
        publish.mode.as_str(),
        views.join(", ")
    )]
}

/// Refuses targets that cannot be published so, and tries the statements on empty tables.
pub(crate) async fn rehearse(
    server: &Server,
    graph: &Graph,
    publish: Publish,
) -> Result<(), Error> {
    if publish.is_append() {
        return Ok(());
    }
    for table in &graph.tables {
        let refuse = |why: &str, help: &str| -> Error {
            let mode = publish.mode.as_str();
            let message = format!("--publish {mode}: {} {why}", table.name);
            Report::new(Kind::Usage, message).help(help.to_owned()).into()
        };
        if !table.keeps_rows() {
            return Err(refuse("keeps no rows", "name the table that keeps them as --target"));
        }
        // Its shadow would have to be on every replica before it is exchanged on every replica.
        if table.is_replicated() {
            return Err(refuse("is replicated", "--publish append, into a new table if need be"));
        }
        refuse_unfinished(server, &table.name).await?;
        if publish.mode == PublishMode::Exchange {
            // The view goes on writing into the table with the UUID that it knows.
            if table.name.table.starts_with(".inner") {
                return Err(refuse(
                    "belongs to its view, which is bound to this very table",
                    "--publish replace",
                ));
            }
            let engine = database_engine(server, &table.name.database).await?;
            if !matches!(engine.as_str(), "Atomic" | "Replicated" | "Shared") {
                let why =
                    format!("is in a database with engine {engine}, which exchanges no tables");
                return Err(refuse(&why, "--publish replace, or a database with engine Atomic"));
            }
            rehearse_exchange(server, &table.name).await?;
        }
    }
    Ok(())
}

async fn database_engine(server: &Server, database: &str) -> Result<String, Error> {
    let call = || server.call(sql::DATABASE_ENGINE).param("database", database);
    let found: Option<Engine> = retry_idempotent(|| call().fetch_optional()).await?;
    Ok(found.map(|found| found.engine).unwrap_or_default())
}

/// Makes two empty tables beside the target, exchanges them, gives one the name of a kept table for
/// a moment, and drops both.
async fn rehearse_exchange(server: &Server, target: &TableName) -> Result<(), Error> {
    // Such an id belongs to no plan, so `gc` knows what a crash leaves of this.
    let mark = JobId::from_digest(Uuid::new_v4().as_bytes());
    let names = [0, 1]
        .map(|position| beside(target, ShadowName::full(&mark, position, &target.table, Epoch(0))));
    let tried = async {
        for name in &names {
            create_like(server, name, target).await?;
        }
        let [a, b] = &names;
        server
            .call(sql::EXCHANGE_TABLES)
            .name("database", &a.database)
            .name("target", &a.table)
            .name("shadow_database", &b.database)
            .name("shadow", &b.table)
            .execute()
            .await?;
        let kept = kept_name(target, &mark);
        move_table(server, b, &kept).await?;
        move_table(server, &kept, b).await
    };
    let tried = tried.await;
    for name in &names {
        let call = || server.call(sql::DROP_TABLE).name("database", &name.database);
        retry_idempotent(|| call().name("table", &name.table).execute()).await?;
    }
    // The names of the tables that were tried are no help to whoever grants.
    tried.map_err(|error| match error {
        Error::Store(StoreError::Failure(failure)) if failure.code() == Some(Code::ACCESS_DENIED) => {
            let message = format!(
                "--publish exchange makes a table beside {target} and exchanges the two, which this user may not: {}",
                failure.message
            );
            Report::new(Kind::Usage, message)
                .help(format!(
                    "longshore doctor --grants --publish exchange --target {target} prints the grants"
                ))
                .into()
        }
        error => error,
    })
}

async fn move_table(server: &Server, from: &TableName, to: &TableName) -> Result<(), Error> {
    server
        .call(sql::MOVE_TABLE)
        .name("database", &from.database)
        .name("from", &from.table)
        .name("to_database", &to.database)
        .name("to", &to.table)
        .execute()
        .await?;
    Ok(())
}

async fn create_like(server: &Server, name: &TableName, target: &TableName) -> Result<(), Error> {
    let text = format!("CREATE TABLE IF NOT EXISTS {} AS {}", name.quoted(), target.quoted());
    retry_idempotent(|| {
        server.call_text("create_shadow", text.clone()).types_of_others().execute()
    })
    .await?;
    Ok(())
}

fn beside(target: &TableName, table: String) -> TableName {
    TableName { database: target.database.clone(), table }
}

/// Makes the shadows of a plan and writes them into its graph.
///
/// Their names follow from the plan's id, so a plan that was cut is made again into the same
/// tables, and two that are made at once end with the same ones.
pub(crate) async fn make(
    server: &Server,
    id: &JobId,
    spec: &mut JobSpec,
    marks: Marks,
) -> Result<(), Error> {
    if spec.publish.is_append() {
        return Ok(());
    }
    let mut marks = marks.0.into_iter();
    for (position, table) in spec.graph.tables.iter_mut().enumerate() {
        let name = ShadowName::full(id, position, &table.name.table, Epoch(0));
        // A partition is replaced from anywhere; an exchange across databases is not known everywhere.
        let database = match spec.publish.mode {
            PublishMode::Exchange => table.name.database.clone(),
            _ => server.staging().to_owned(),
        };
        let name = TableName { database, table: name };
        create_like(server, &name, &table.name).await?;
        if spec.publish.mode == PublishMode::Exchange {
            let kept = kept_name(&table.name, id);
            if table_now(server, &kept).await?.is_some() {
                let message =
                    format!("the old table would be kept as {kept}, which is there already");
                return Err(Report::new(Kind::Conflict, message)
                    .help("--again TEXT gives the plan another id")
                    .into());
            }
        }
        let Some(now) = table_now(server, &name).await? else {
            return Err(Report::new(Kind::Conflict, format!("{name} is gone")).into());
        };
        if !placed(server, &name).await?.is_empty() {
            let message = format!("{name} holds rows already, though no such plan is known here");
            return Err(Report::new(Kind::Conflict, message)
                .help(
                    "it may be the old table of an exchange: compare it with the target, then rename or drop it by \
                     hand; or --again TEXT for another plan id",
                )
                .into());
        }
        table.shadow = Some(Shadow {
            uuid: now.own_uuid()?,
            definition: now.definition,
            name,
            marks: marks.next().unwrap_or_default(),
        });
    }
    Ok(())
}

/// The newest block or change of each partition.
async fn marks(server: &Server, table: &TableName) -> Result<Vec<Mark>, Error> {
    let mut marks: Vec<Mark> = Vec::new();
    for part in placed(server, table).await? {
        let block = part.last_block.max(part.version);
        match marks.last_mut() {
            Some(mark) if mark.partition == part.partition => mark.block = mark.block.max(block),
            _ => marks.push(Mark { partition: part.partition, block }),
        }
    }
    Ok(marks)
}
