//! `--endpoint`: the servers that a plan loads into. Each is looked at before anything is written.

use std::collections::BTreeMap;

use clap::Args;
use clickhouse::Row;
use longshore_shared::clickhouse::{
    Code, Connection, Failure, Server, ServerFacts, retry_idempotent,
};
use longshore_shared::config::{Config, check_address};
use longshore_shared::schema::{Graph, discover};
use longshore_shared::source::{SourceKeys, pin_query, read_settings};
use longshore_shared::sql::quote_table;
use longshore_shared::store::{StoreError, environment};
use longshore_shared::task::{FilesSource, JobServer, Mode, Publish, SourceFile, TableName};
use serde::Deserialize;

use crate::plan::target::rehearse::rehearse;
use crate::session::{FIRST_ANSWER_MAX, Session, bounded};
use crate::ui::error::{Error, Kind, Report};

/// A row for each server is written into the job's row.
const SERVERS_MAX: usize = 64;

#[derive(Deserialize, Row)]
struct Listed {
    path: String,
    size: u64,
    #[allow(dead_code, reason = "a column of the answer")]
    etag: String,
}

/// Flags of a plan that loads into several servers.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Several servers")]
pub(crate) struct EndpointArgs {
    /// Address of a server to load into, instead of this one; repeat it for each of several that
    /// share this one's Keeper
    #[arg(long = "endpoint", value_name = "URL")]
    endpoints: Vec<String>,
    /// Load each row into one of the servers by this integer expression over columns of the target,
    /// modulo their number, as a Distributed table does [default: whole chunks, dealt out]
    #[arg(long, value_name = "EXPRESSION", requires = "endpoints")]
    pub(crate) shard_by: Option<String>,
}

/// The servers of a plan, opened.
pub(crate) struct Fleet {
    servers: Vec<(Server, ServerFacts)>,
}

impl EndpointArgs {
    /// Opens every server and checks that it belongs to this environment.
    pub(crate) async fn open(
        &self,
        config: &Config,
        session: &Session,
        mode: Mode,
        publishing: Publish,
    ) -> Result<Fleet, Error> {
        if self.endpoints.is_empty() {
            let facts = session.server.facts().await?;
            return Ok(Fleet { servers: vec![(session.server.clone(), facts)] });
        }
        refuse(self.endpoints.len(), mode, publishing)?;
        let mut servers: Vec<(Server, ServerFacts)> = Vec::with_capacity(self.endpoints.len());
        for text in &self.endpoints {
            let url = check_address(text).map_err(|(message, help)| {
                let report = Report::new(Kind::Usage, format!("--endpoint {message}"));
                help.map_or(report.clone(), |help| report.help(help))
            })?;
            let found = open(config, session, &url).await?;
            if let Some((same, _)) =
                servers.iter().find(|(_, facts)| facts.server_uuid == found.1.server_uuid)
            {
                let first = &same.connection().url;
                let message = format!("{first} and {url} are the same server");
                return Err(Report::new(Kind::Usage, message)
                    .help("name each server once (--endpoint)")
                    .into());
            }
            servers.push(found);
        }
        Ok(Fleet { servers })
    }
}

fn refuse(servers: usize, mode: Mode, publishing: Publish) -> Result<(), Report> {
    let usage = |message: String, help: &str| Err(Report::new(Kind::Usage, message).help(help));
    if servers == 1 {
        let message = "--endpoint names one server".to_owned();
        return usage(message, "name all of several, or connect to the one with --server");
    }
    if servers > SERVERS_MAX {
        let message = format!("{servers} servers are named, and a job can have {SERVERS_MAX}");
        return usage(message, "make several plans");
    }
    if mode == Mode::Direct {
        let message = "--mode direct loads into one server".to_owned();
        return usage(message, "leave --mode staged, or plan for each server by itself");
    }
    if !publishing.is_append() {
        let message = format!("--publish {} is of one server", publishing.mode.as_str());
        return usage(
            message,
            "several servers cannot be exchanged at one moment: plan for each by itself",
        );
    }
    Ok(())
}

/// One server: it shares our control tables and has those that each server has of its own.
async fn open(
    config: &Config,
    session: &Session,
    url: &str,
) -> Result<(Server, ServerFacts), Error> {
    let connection = Connection { url: url.to_owned(), ..config.connection.clone() };
    let there = Config { connection: connection.clone(), ..config.clone() };
    let server = Server::new(connection)?;
    let init = format!("run `longshore init --server {url}`");
    let found = match bounded(&there, &server, FIRST_ANSWER_MAX, environment(&server)).await? {
        Err(StoreError::NotInitialised(database)) => {
            let message = format!("{url} has no control tables in database `{database}`");
            return Err(Report::new(Kind::Usage, message).help(init).into());
        }
        found => found?,
    };
    if found != session.environment {
        let message = format!("{url} belongs to another environment: it uses another Keeper");
        let help = "the servers of one job share their Keeper; plan for each by itself otherwise";
        return Err(Report::new(Kind::Conflict, message).help(help).into());
    }
    for table in ["receipts", "attempts"] {
        let name = quote_table(server.control(), table);
        let text = format!("SELECT 1 FROM {name} WHERE 0 FORMAT Null");
        match server.call_text("own_tables", text).execute().await {
            Err(failure)
                if matches!(failure.code(), Some(Code::UNKNOWN_TABLE | Code::UNKNOWN_DATABASE)) =>
            {
                let message = format!("{url} has no table {name}");
                return Err(Report::new(Kind::Usage, message).help(init).into());
            }
            found => found?,
        };
    }
    let facts = server.facts().await?;
    Ok((server, facts))
}

impl Fleet {
    /// The server whose tables are those of the plan's spec.
    pub(crate) fn first(&self) -> &Server {
        &self.servers[0].0
    }

    /// All of them.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().map(|(server, _)| server)
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// What a date or an hour is depends on the time zone.
    pub(crate) fn one_time_zone(&self) -> Result<(), Report> {
        let zone = |(_, facts): &(Server, ServerFacts)| facts.timezone.clone();
        let first = zone(&self.servers[0]);
        match self.servers.iter().find(|server| zone(server) != first) {
            None => Ok(()),
            Some(other) => {
                let message = format!(
                    "{} is in time zone {} and {} in {first}",
                    other.0.connection().url,
                    zone(other),
                    self.first().connection().url
                );
                Err(Report::new(Kind::Usage, message)
                    .help("--shard-by asks for one time zone: a row would belong to two servers, or to none"))
            }
        }
    }

    /// Each server finds the files as they were listed: it knows the collection and may read it.
    pub(crate) async fn can_read(
        &self,
        source: &FilesSource,
        files: &[SourceFile],
        settings: &BTreeMap<String, String>,
        keys: &SourceKeys,
    ) -> Result<(), Error> {
        let settings = read_settings(&source.settings, settings);
        for (server, _) in self.servers.iter().filter(|_| self.servers.len() > 1) {
            let text = pin_query(source, files, keys);
            let known = server.known_settings().await;
            let call = || server.call_text("pin", text.clone()).settings(&settings, known);
            let found: Result<Vec<Listed>, Failure> =
                retry_idempotent(|| call().deadline(None).fetch_all()).await;
            let url = &server.connection().url;
            let is_same = |found: &Listed| {
                files.iter().any(|file| file.path == found.path && file.size == found.size)
            };
            match found {
                Err(failure) => {
                    let message = format!("{url} cannot read the files: {}", failure.message);
                    return Err(Report::new(Kind::Usage, message).into());
                }
                Ok(found) if found.iter().filter(|found| is_same(found)).count() == files.len() => {
                }
                Ok(_) => {
                    let message = format!("{url} finds other files than this server");
                    return Err(Report::new(Kind::Usage, message)
                        .help("each server reads its own chunks: all must see the same files")
                        .into());
                }
            }
        }
        Ok(())
    }

    /// The servers as the plan names them: the target is the same on each, and can be staged there.
    pub(crate) async fn bind(
        &self,
        graph: &Graph,
        target: &TableName,
        ignored: &[TableName],
    ) -> Result<Vec<JobServer>, Error> {
        let mut bound = Vec::with_capacity(self.servers.len());
        for (position, (server, facts)) in self.servers.iter().enumerate() {
            let url = server.connection().url.clone();
            let mut own = None;
            if position > 0 {
                let mut there = discover(server, target, ignored).await?;
                if let Some(difference) = difference(graph, &there) {
                    let first = &self.first().connection().url;
                    let message = format!("{difference} on {url} is not what it is on {first}");
                    return Err(Report::new(Kind::Conflict, message)
                        .help("make the tables and views of all servers alike, then plan again")
                        .into());
                }
                rehearse(server, &mut there).await?;
                own = Some(there).filter(|there| there != graph);
            }
            bound.push(JobServer { url, uuid: facts.server_uuid.clone(), graph: own });
        }
        Ok(bound)
    }
}

/// The first table or view that differs by more than its UUID.
fn difference(first: &Graph, other: &Graph) -> Option<String> {
    let (first, other) = (plain(first), plain(other));
    let tables = first
        .tables
        .iter()
        .map(|table| &table.name)
        .chain(other.tables.iter().map(|table| &table.name));
    for name in tables {
        let of = |graph: &Graph| graph.tables.iter().find(|table| table.name == *name).cloned();
        if of(&first) != of(&other) {
            return Some(format!("table {name}"));
        }
    }
    let views = first.views.iter().chain(&other.views).map(|view| &view.name);
    for name in views {
        let of = |graph: &Graph| graph.views.iter().find(|view| view.name == *name).cloned();
        if of(&first) != of(&other) {
            return Some(format!("view {name}"));
        }
    }
    (first != other).then(|| "the order of the views".to_owned())
}

/// The graph without what each server chooses by itself: UUIDs, also in the names of inner tables.
fn plain(graph: &Graph) -> Graph {
    let mut plain = graph.clone();
    let inner: Vec<(String, String)> = graph
        .views
        .iter()
        .filter(|view| view.target.table.starts_with(".inner"))
        .map(|view| (view.target.table.clone(), format!(".inner of {}", view.name)))
        .collect();
    let rename = |text: &mut String| {
        for (name, known) in &inner {
            *text = text.replace(name, known);
        }
    };
    for table in &mut plain.tables {
        table.uuid = None;
        rename(&mut table.name.table);
        rename(&mut table.definition);
    }
    for view in &mut plain.views {
        // Found out when the views are tried, on each server by itself.
        view.gives_more = false;
        rename(&mut view.source.table);
        rename(&mut view.target.table);
    }
    plain
}

#[cfg(test)]
mod tests {
    use longshore_shared::schema::{GraphTable, GraphView};
    use uuid::Uuid;

    use super::*;

    fn graph(number: u128) -> Graph {
        let uuid = Uuid::from_u128(number);
        let name = |table: &str| TableName { database: "d".into(), table: table.into() };
        let table = |table: &str, dependents: Vec<TableName>| GraphTable {
            name: name(table),
            uuid: Some(uuid),
            engine: "MergeTree".into(),
            definition: format!("CREATE TABLE d.`{table}` (x Int8)"),
            dependents,
            shadow: None,
        };
        let inner = format!(".inner_id.{uuid}");
        let view = GraphView {
            name: name("v"),
            source: name("t"),
            target: name(&inner),
            columns: Vec::new(),
            select: "SELECT x FROM d.t".into(),
            gives_more: false,
        };
        Graph {
            tables: vec![table("t", vec![name("v")]), table(&inner, Vec::new())],
            views: vec![view],
        }
    }

    #[test]
    fn each_server_has_uuids_of_its_own() {
        assert_eq!(difference(&graph(1), &graph(2)), None);
    }

    #[test]
    fn what_differs_is_named() {
        let mut other = graph(2);
        other.tables[0].definition.push('!');
        assert_eq!(difference(&graph(1), &other).unwrap(), "table d.t");
        let mut other = graph(2);
        other.views[0].select.push('!');
        assert_eq!(difference(&graph(1), &other).unwrap(), "view d.v");
        let mut other = graph(2);
        other.tables[1].definition.push('!');
        assert!(difference(&graph(1), &other).unwrap().contains(".inner of d.v"));
        let mut other = graph(2);
        other.views.clear();
        other.tables.truncate(1);
        assert!(difference(&graph(1), &other).is_some());
    }
}
