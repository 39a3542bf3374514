//! A table of another server: loads read it through a named collection, its index is asked for over
//! HTTP where that is allowed.

use std::path::PathBuf;

use clap::Args;
use clickhouse::Row;
use longshore_shared::clickhouse::{Connection, Server, retry_idempotent, uuid_text};
use longshore_shared::config::Config;
use longshore_shared::redact;
use longshore_shared::schema::identities;
use longshore_shared::source::table_clause;
use longshore_shared::sql::quote_literal;
use longshore_shared::task::{
    BudgetUnit, Feed, Piece, Remote, RemoteFunction, RowBounds, Slice, TableName,
};
use secrecy::SecretString;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::plan::cut::{Cut, CutError};
use crate::ui::error::{Error, Kind, Report};
use crate::ui::text;

/// Who knows the index of a table.
pub(crate) enum Source {
    /// The server that loads.
    Local,
    /// The other server, over HTTP.
    Remote(Box<Server>),
    /// Nobody that may be asked: it is cut by partitions.
    Unseen,
}

impl Source {
    /// Can its index and rows be asked for?
    pub(crate) fn is_seen(&self) -> bool {
        !matches!(self, Self::Unseen)
    }

    /// The other server, when it is one.
    pub(crate) fn server(&self) -> Option<&Server> {
        match self {
            Self::Remote(server) => Some(server),
            Self::Local | Self::Unseen => None,
        }
    }
}

/// Flags of a table on another server.
#[derive(Debug, Args)]
#[command(next_help_heading = "A table of another server")]
pub(crate) struct RemoteArgs {
    /// Named collection with address, user and password of the other server (host, port, user,
    /// password), used with remoteSecure()
    #[arg(long, value_name = "COLLECTION")]
    remote: Option<String>,
    /// Read it without encryption, with remote()
    #[arg(long, requires = "remote")]
    remote_plain: bool,
    /// HTTP address of the other server, to cut the table by its index; without it by partitions
    #[arg(long, value_name = "URL", requires = "remote")]
    remote_url: Option<String>,
    /// User there; the password comes from --remote-password-file or LONGSHORE_REMOTE_PASSWORD
    #[arg(long, env = "LONGSHORE_REMOTE_USER", value_name = "NAME", requires = "remote_url")]
    remote_user: Option<String>,
    /// File that holds the password
    #[arg(long, env = "LONGSHORE_REMOTE_PASSWORD_FILE", value_name = "FILE")]
    remote_password_file: Option<PathBuf>,
}

impl RemoteArgs {
    /// Is the table on another server?
    pub(crate) fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// The table as it is read, and who knows its index.
    pub(crate) async fn resolve(
        &self,
        server: &Server,
        config: &Config,
        table: &TableName,
    ) -> Result<(Feed, Source), Error> {
        let mut feed = Feed {
            table: table.clone(),
            uuid: None,
            origin: table.clone(),
            is_snapshot: false,
            remote: None,
            key: Vec::new(),
            view: None,
            known: None,
            window: None,
        };
        let Some(collection) = &self.remote else {
            let found = identities(server, std::slice::from_ref(table)).await?;
            let Some((_, uuid)) = found.into_iter().next() else {
                return Err(no_table(table).into());
            };
            feed.uuid = Some(uuid);
            return Ok((feed, Source::Local));
        };
        let function =
            if self.remote_plain { RemoteFunction::Remote } else { RemoteFunction::RemoteSecure };
        feed.remote = Some(Remote { function, collection: collection.clone() });
        let Some(url) = &self.remote_url else { return Ok((feed, Source::Unseen)) };
        let connection = Connection {
            url: url.trim_end_matches('/').to_owned(),
            user: self.remote_user.clone().unwrap_or_else(|| config.connection.user.clone()),
            password: self.password()?,
            ..config.connection.clone()
        };
        let there = Server::new(connection)?;
        same_table(server, &there, &feed, url).await?;
        Ok((feed, Source::Remote(Box::new(there))))
    }

    fn password(&self) -> Result<SecretString, Error> {
        let text = match &self.remote_password_file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                let message =
                    format!("cannot read --remote-password-file {}: {error}", path.display());
                Report::new(Kind::Usage, message)
            })?,
            None => std::env::var("LONGSHORE_REMOTE_PASSWORD").unwrap_or_default(),
        };
        let secret = SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned());
        redact::register(&secret);
        Ok(secret)
    }
}

fn no_table(table: &TableName) -> Report {
    Report::new(Kind::Usage, format!("there is no table {table}"))
}

#[derive(Deserialize, Row)]
struct Identity {
    #[serde(deserialize_with = "uuid_text")]
    uuid: Uuid,
}

/// The collection and the address mean the same table: loads read through one, the plan is made
/// through the other.
async fn same_table(server: &Server, there: &Server, feed: &Feed, url: &str) -> Result<(), Error> {
    let table = &feed.table;
    let by_address = identities(there, std::slice::from_ref(table)).await?;
    let Some((_, uuid)) = by_address.first() else {
        return Err(no_table(table).help(format!("looked for at {url}")).into());
    };
    let system = table_clause(&Feed { table: system("tables"), ..feed.clone() });
    let text = format!(
        "SELECT toString(uuid) AS uuid FROM {system} WHERE database = {} AND name = {}",
        quote_literal(&table.database),
        quote_literal(&table.table)
    );
    let call = || server.call_text("remote_table", text.clone()).fetch_optional::<Identity>();
    let found = retry_idempotent(call).await?.map(|row| row.uuid);
    if found == Some(*uuid) {
        return Ok(());
    }
    let message =
        format!("{table} at {url} is another table than through the named collection (--remote)");
    Err(Report::new(Kind::Usage, message)
        .help("--remote-url is the HTTP address of the server that the collection names")
        .into())
}

fn system(table: &str) -> TableName {
    TableName { database: "system".to_owned(), table: table.to_owned() }
}

#[derive(Deserialize, Row)]
struct Partition {
    id: String,
    rows: u64,
    bytes: u64,
    has_deletes: u8,
    digest: u64,
}

#[derive(Deserialize, Row)]
struct Engine {
    engine: String,
}

/// Only tables of the MergeTree family have parts: others would look empty.
async fn refuse_engine(server: &Server, feed: &Feed) -> Result<(), Error> {
    let table = &feed.table;
    let text = format!(
        "SELECT engine FROM {} WHERE database = {} AND name = {}",
        table_clause(&Feed { table: system("tables"), ..feed.clone() }),
        quote_literal(&table.database),
        quote_literal(&table.table)
    );
    let call = || server.call_text("remote_engine", text.clone()).fetch_optional::<Engine>();
    match retry_idempotent(call).await? {
        None => Err(no_table(table).into()),
        Some(found) if found.engine.ends_with("MergeTree") => Ok(()),
        Some(Engine { engine }) => Err(CutError::Engine { table: table.clone(), engine }.into()),
    }
}

/// A table whose index nobody may ask for: whole partitions, several small ones in a chunk.
pub(crate) async fn by_partition(
    server: &Server,
    feed: &Feed,
    chunk_bytes: u64,
    unit: BudgetUnit,
) -> Result<Cut, Error> {
    let table = &feed.table;
    refuse_engine(server, feed).await?;
    let bytes = match unit {
        BudgetUnit::Uncompressed => "data_uncompressed_bytes",
        BudgetUnit::Compressed => "data_compressed_bytes",
    };
    let text = format!(
        "SELECT partition_id AS id, sum(p.rows) AS rows, sum(p.{bytes}) AS bytes, \
         max(has_lightweight_delete) AS has_deletes, \
         sum(cityHash64(hash_of_all_files, p.rows)) AS digest \
         FROM {} AS p WHERE active AND p.rows > 0 AND database = {} AND table = {} \
         GROUP BY id ORDER BY id",
        table_clause(&Feed { table: system("parts"), ..feed.clone() }),
        quote_literal(&table.database),
        quote_literal(&table.table)
    );
    let call = || server.call_text("remote_parts", text.clone()).fetch_all();
    let partitions: Vec<Partition> = retry_idempotent(call).await?;
    let mut slices: Vec<Slice> = Vec::new();
    let (mut over_budget, mut hash) = (0, Sha256::new());
    for partition in &partitions {
        hash.update(format!("{}\0{}\n", partition.id, partition.digest));
        over_budget += usize::from(partition.bytes > chunk_bytes);
        let min = if partition.has_deletes > 0 { 0 } else { partition.rows };
        let fits = |slice: &&mut Slice| slice.bytes + partition.bytes <= chunk_bytes;
        if let Some(slice) = slices.last_mut().filter(fits) {
            slice.pieces[0].partitions.push(partition.id.clone());
            slice.rows =
                RowBounds { min: slice.rows.min + min, max: slice.rows.max + partition.rows };
            slice.bytes += partition.bytes;
            continue;
        }
        let partitions = vec![partition.id.clone()];
        slices.push(Slice {
            feed: 0,
            pieces: vec![Piece { partitions, ..Piece::default() }],
            rows: RowBounds { min, max: partition.rows },
            bytes: partition.bytes,
        });
    }
    let has_deletes = partitions.iter().any(|partition| partition.has_deletes > 0);
    Ok(Cut {
        key: Vec::new(),
        slices,
        rows: (!has_deletes).then(|| partitions.iter().map(|partition| partition.rows).sum()),
        bytes: partitions.iter().map(|partition| partition.bytes).sum(),
        digest: text::hex(&hash.finalize()),
        over_budget,
        needs_snapshot: false,
        is_bounded: over_budget == 0,
        notes: vec![format!(
            "{table} is cut by partitions alone; with --remote-url its index is used too"
        )],
    })
}
