//! Who is at fault when a load fails: some files, or the job.
//!
//! Many error codes stand for odd data and for wrong statements alike. Two questions tell them
//! apart. Does the very same load work without a row? Then the statement, the grants and the tables
//! are right, and the data is at fault: the task fails and the job goes on. And which of its files
//! fail when each is loaded alone? Those are named.
//!
//! The questions are asked in the staging set of the failed attempt, which is dropped afterwards.

mod misfit;

use longshore_shared::clickhouse::{Code, Failure, Policy, policy};
use longshore_shared::schema::{Graph, StagingNames};
use longshore_shared::source::{Fit, LoadStatement, Reading};
use longshore_shared::sql::{quote_identifier, quote_list};
use longshore_shared::task::{Chunk, Mode, Source, SourceFile, StateName, TableName};

use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

/// Groups of files that are loaded one by one to find those at fault.
const GROUPS_MAX: usize = 200;
/// Files at fault that are looked for: a person mends one and looks at the others then.
const NAMED_MAX: usize = 5;

/// The trouble of an attempt, with the file or view it belongs to, if the data is at fault.
pub(crate) async fn attributed(
    worker: &Worker,
    claim: &Claim,
    trouble: AttemptError,
) -> AttemptError {
    let AttemptError::Failure(failure) = &trouble else { return trouble };
    let is_loading = claim.task.progress.state.name() == StateName::Claimed;
    if !is_loading || claim.is_last() || !is_ours(worker, claim) {
        return trouble;
    }
    let is_overfull = fills_staging(failure, claim);
    let failure = in_their_names(failure, claim);
    match policy(&failure) {
        _ if is_overfull => {}
        Policy::StopJob | Policy::Outage => return failure.into(),
        Policy::InDoubt if !is_of_data(worker, claim, &failure).await => return failure.into(),
        Policy::Retry | Policy::RetrySmaller if !claim.is_used_up() => return failure.into(),
        _ => {}
    }
    AttemptError::Data { words: named(worker, claim, &failure).await, source: failure }
}

/// The lease is trusted and nobody wants the load given back.
fn is_ours(worker: &Worker, claim: &Claim) -> bool {
    worker.lease.check().is_ok() && !claim.stop.is_cancelled()
}

/// Has the load put more parts into one of its staging tables than that takes? Merges are off there, so
/// waiting for them is of no use.
fn fills_staging(failure: &Failure, claim: &Claim) -> bool {
    failure.code() == Some(Code::TOO_MANY_PARTS)
        && failure.message.contains(&format!("in table '{}.", claim.server.staging()))
}

/// Does the same load work without a row?
async fn is_of_data(worker: &Worker, claim: &Claim, failure: &Failure) -> bool {
    let load = Load::of(worker, claim).filter(|_| failure.statement == "load");
    let statement = load.as_ref().and_then(Load::without_rows);
    let (Some(load), Some(statement)) = (load, statement) else {
        // A look at the files beforehand, or a load into the target itself: only the words tell.
        return says_reading(&failure.message);
    };
    let answer = load.send(claim, &statement, "without-rows").await;
    // What is wrong for every task shows before the first row is read.
    !matches!(answer, Err(failure) if failure.is_unknown() || policy(&failure).needs_operator())
}

/// Does the server say that it met this in a file?
fn says_reading(message: &str) -> bool {
    ["(in file/uri ", "While reading file", "while reading '", "from file "]
        .iter()
        .any(|mark| message.contains(mark))
}

/// The cause with the files it belongs to, found by loading the files one by one.
async fn named(worker: &Worker, claim: &Claim, failure: &Failure) -> String {
    let message = failure.to_string();
    let Ok(chunk) = Chunk::decode(&claim.task.chunk) else { return message };
    let files = chunk.files();
    if misfit::may_be(failure)
        && let Some(found) = misfit::find(worker, claim, &chunk).await
    {
        return found;
    }
    // The file stands first: the server's words are long, and lists of tasks show their beginning.
    match files {
        [] => return message,
        [only] => return format!("file {}: {message}", only.path),
        _ => {}
    }
    let Some(load) = Load::of(worker, claim) else { return of_some(files, &message) };
    let broken = at_fault(worker, claim, &load, files).await;
    match broken.as_slice() {
        [] => of_some(files, &message),
        [(file, words)] => format!("file {}: {words}", file.path),
        [(file, words), others @ ..] => {
            let others: Vec<&str> = others.iter().map(|(file, _)| file.path.as_str()).collect();
            format!(
                "file {}: {words}; these cannot be loaded either: {}",
                file.path,
                others.join(", ")
            )
        }
    }
}

/// Files that cannot be loaded, with the server's words. Of many files some are loaded together at first, so
/// that all of them are loaded twice at most.
async fn at_fault<'f>(
    worker: &Worker,
    claim: &Claim,
    load: &Load<'_>,
    files: &'f [SourceFile],
) -> Vec<(&'f SourceFile, String)> {
    let mut broken = Vec::new();
    let size = files.len().div_ceil(GROUPS_MAX).max(1);
    let mut groups: Vec<&[SourceFile]> = files.chunks(size).rev().collect();
    let mut sent = 0;
    while let Some(group) = groups.pop() {
        if broken.len() == NAMED_MAX || !is_ours(worker, claim) {
            break;
        }
        let Some(statement) = load.of_some(group) else { break };
        let answer = load.send(claim, &statement, &format!("file-{sent}")).await;
        sent += 1;
        match (answer, group) {
            (Err(failure), [file]) if failure.is_refusal() => {
                broken.push((file, in_their_names(&failure, claim).message));
            }
            (Err(failure), group) if failure.is_refusal() => groups.extend(group.chunks(1).rev()),
            (Err(_), _) => break,
            (Ok(()), _) => {}
        }
    }
    broken
}

/// No file fails alone: the one in the server's words, or all of them.
fn of_some(files: &[SourceFile], message: &str) -> String {
    let named = files.iter().filter(|file| message.contains(&file.path));
    match named.max_by_key(|file| file.path.len()) {
        Some(file) => format!("file {}: {message}", file.path),
        None => format!("{message} (one of {} files, from {})", files.len(), files[0].path),
    }
}

/// What is needed to send the load of the failed attempt once more, or a part of it.
struct Load<'a> {
    worker: &'a Worker,
    claim: &'a Claim,
    chunk: Chunk,
    /// Where it goes; none when there is no staging set to try it in.
    twin: Option<TableName>,
}

impl<'a> Load<'a> {
    fn of(worker: &'a Worker, claim: &'a Claim) -> Option<Self> {
        let chunk = Chunk::decode(&claim.task.chunk).ok()?;
        let spec = &claim.job.spec;
        let names = names(claim);
        let position = spec.graph.position(spec.load(&chunk).target)?;
        let is_staged = spec.mode == Mode::Staged;
        let twin = is_staged.then(|| names.table(&spec.graph, position));
        Some(Self { worker, claim, chunk, twin })
    }

    fn statement(&self, chunk: &Chunk, twin: &TableName) -> Option<LoadStatement> {
        let spec = &self.claim.job.spec;
        let reading = Reading::of(spec, chunk, &self.worker.keys).ok()?;
        let fit = Fit::of(&self.claim.facts, self.claim.weight(), 1);
        Some(LoadStatement::staged(spec, chunk, &reading, twin, Some(fit)))
    }

    /// The whole load, of which the server reads nothing.
    fn without_rows(&self) -> Option<LoadStatement> {
        let twin = self.twin.as_ref()?;
        let statement = self.statement(&self.chunk, twin)?;
        let columns = quote_list(self.claim.job.spec.load(&self.chunk).columns);
        let head = format!("INSERT INTO {} ({columns}) ", twin.quoted());
        let select = statement.text.strip_prefix(&head)?;
        let text = format!("{head}SELECT * FROM ({select}) LIMIT 0");
        Some(LoadStatement { text, ..statement })
    }

    /// The load of some of its files. Where there is nothing to load into, they are only read.
    fn of_some(&self, files: &[SourceFile]) -> Option<LoadStatement> {
        let chunk = Chunk::of_files(files.to_vec());
        if let Some(twin) = &self.twin {
            return self.statement(&chunk, twin);
        }
        let spec = &self.claim.job.spec;
        let Source::Files(_) = &spec.source else { return None };
        let reading = Reading::of(spec, &chunk, &self.worker.keys).ok()?;
        let statement = LoadStatement::direct(spec, &reading, &self.claim.task.id);
        Some(LoadStatement { text: reading.select(&spec.select), ..statement })
    }

    async fn send(
        &self,
        claim: &Claim,
        statement: &LoadStatement,
        step: &str,
    ) -> Result<(), Failure> {
        let id = claim.task.id.query(claim.epoch(), step);
        let send = async |statement: LoadStatement| {
            statement.call(&claim.server).id(&id).deadline(None).execute().await
        };
        statement.clone().send_known(&claim.server, send).await.map(drop)
    }
}

fn names(claim: &Claim) -> StagingNames {
    StagingNames::of_task(claim.server.staging(), &claim.task.id, claim.epoch())
}

/// The failure with the names that a person knows in place of those of the staging set: the server
/// says in which view a row was refused, and it knows the clone. A missing grant or table is the one
/// that the server names.
fn in_their_names(failure: &Failure, claim: &Claim) -> Failure {
    if policy(failure) == Policy::StopJob {
        return failure.clone();
    }
    let message = known_names(&failure.message, &claim.job.spec.graph, &names(claim));
    Failure { message, ..failure.clone() }
}

fn known_names(message: &str, graph: &Graph, names: &StagingNames) -> String {
    let views =
        graph.views.iter().enumerate().map(|(at, view)| (names.view(graph, at), &view.name));
    let tables =
        graph.tables.iter().enumerate().map(|(at, table)| (names.table(graph, at), &table.name));
    views.chain(tables).fold(message.to_owned(), |message, (staged, known)| {
        let (database, table) =
            (quote_identifier(&staged.database), quote_identifier(&staged.table));
        // The server quotes a name only where it has to.
        let written = [
            format!("{database}.{table}"),
            format!("{}.{table}", staged.database),
            format!("{}.{}", staged.database, staged.table),
        ];
        written.iter().fold(message, |message, name| message.replace(name, &known.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_shared::schema::GraphTable;
    use longshore_shared::task::{Epoch, TaskId};

    #[test]
    fn a_staging_name_is_told_as_the_table_it_stands_for() {
        let table = GraphTable {
            name: "db.`tä'ble`".parse().unwrap(),
            uuid: None,
            engine: "MergeTree".into(),
            definition: String::new(),
            dependents: Vec::new(),
            shadow: None,
        };
        let graph = Graph { tables: vec![table], views: Vec::new() };
        let task = TaskId { job: "0123456789abcdef".parse().unwrap(), ordinal: 0 };
        let names = StagingNames::of_task("staging", &task, Epoch(1));
        let twin = names.table(&graph, 0).table;
        let words = format!("Constraint `x` for table staging.`{twin}` is violated");
        assert_eq!(
            known_names(&words, &graph, &names),
            "Constraint `x` for table db.`tä'ble` is violated"
        );
    }

    #[test]
    fn files_that_only_fail_together_are_told_together() {
        let file = |path: &str| SourceFile::listed(path, 1, "e");
        let files = [file("b/a.csv"), file("b/a.csv.gz")];
        assert_eq!(
            of_some(&files, "odd: (in file/uri b/a.csv.gz)"),
            "file b/a.csv.gz: odd: (in file/uri b/a.csv.gz)"
        );
        assert_eq!(of_some(&files, "odd"), "odd (one of 2 files, from b/a.csv)");
    }

    #[test]
    fn words_of_reading_a_file_are_told_from_words_of_a_statement() {
        assert!(says_reading("Field s not found: (in file/uri b/2.avro): While executing"));
        assert!(!says_reading(
            "Unknown identifier. In scope SELECT x FROM s3('http://h/b/2.avro')"
        ));
    }
}
