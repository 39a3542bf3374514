//! Where the files are: can the server use the named collection?

use longshore_shared::clickhouse::{Code, Server, retry_idempotent};
use longshore_shared::config::Config;
use longshore_shared::sql::quote_literal;
use longshore_shared::task::SourceFunction;

use super::{Finding, Level, unseen};
use crate::grants::list::name;

const CHECK: &str = "named collection";

/// What a collection is taken for when no plan says.
pub(crate) const DEFAULT: SourceFunction = SourceFunction::S3;

/// Asks for the columns of a file that need not be there: the server looks the collection up,
/// checks the grants, and sends nothing to the store.
pub(crate) async fn collection(
    server: &Server,
    function: SourceFunction,
    collection: &str,
    config: &Config,
) -> Finding {
    let key = match function {
        SourceFunction::S3 | SourceFunction::Gcs | SourceFunction::Hdfs => "filename",
        SourceFunction::Azure => "blob_path",
        SourceFunction::Url => "url",
        SourceFunction::File => "path",
    };
    let file = if function == SourceFunction::Url { "http://localhost/" } else { "longshore" };
    let text = format!(
        "DESCRIBE TABLE {}({}, {key} = {}, format = 'One')",
        function.as_str(),
        name(collection),
        quote_literal(file)
    );
    let call = || server.call_text("try_collection", text.clone()).execute();
    match retry_idempotent(call).await {
        Ok(_) => {
            let message = format!("the server can use `{collection}` with {}()", function.as_str());
            Finding::ok(CHECK, message)
        }
        Err(failure) if failure.code() == Some(Code::NAMED_COLLECTION_DOESNT_EXIST) => {
            let message = format!("there is no named collection `{collection}` on the server");
            let name = name(collection);
            let remedy = format!(
                "CREATE NAMED COLLECTION {name} AS url = '…', access_key_id = '…', secret_access_key = '…';"
            );
            Finding::problem(CHECK, message, remedy)
        }
        // Loads are another user's business then.
        Err(failure) if failure.code() == Some(Code::ACCESS_DENIED) => {
            let user = &server.connection().user;
            Finding::ok(CHECK, format!("not tried: user `{user}` may not use `{collection}`"))
        }
        Err(failure) => unseen(CHECK, Level::Problem, &failure.into(), config),
    }
    .about(collection)
}
