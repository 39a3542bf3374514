//! Functions that give another value each time they are called.

use std::collections::BTreeSet;

use super::tokens::{Kind, Token, tokens};

/// By their names in small letters; those that begin with `rand` besides.
const CHANGING: [&str; 57] = [
    "now",
    "now64",
    "nowinblock",
    "nowinblock64",
    "today",
    "yesterday",
    "curdate",
    "current_date",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "utctimestamp",
    "utc_timestamp",
    "generateuuidv4",
    "generateuuidv7",
    "generateulid",
    "generatesnowflakeid",
    "generateserialid",
    "generaterandom",
    "generaterandomstructure",
    "fuzzbits",
    "arrayshuffle",
    "arraypartialshuffle",
    "arrayrandomsample",
    "rownumberinblock",
    "rownumberinallblocks",
    "blocknumber",
    "blocksize",
    "blockserializedsize",
    "runningdifference",
    "runningdifferencestartingwithfirstvalue",
    "runningaccumulate",
    "neighbor",
    "hostname",
    "fullhostname",
    "fqdn",
    "serveruuid",
    "tcpport",
    "uptime",
    "version",
    "user",
    "currentuser",
    "current_user",
    "currentdatabase",
    "current_database",
    "connectionid",
    "connection_id",
    "queryid",
    "query_id",
    "currentqueryid",
    "current_query_id",
    "initialqueryid",
    "initial_query_id",
    "initialquerystarttime",
    "initial_query_start_time",
    "transactionid",
    "getsetting",
];
const PREFIX: &str = "rand";

/// The functions of an expression or query whose values are not those of an earlier run.
pub fn changing_functions(text: &str) -> BTreeSet<String> {
    let all = tokens(text);
    let solid: Vec<&Token<'_>> = all.iter().filter(|token| token.kind != Kind::Gap).collect();
    let is_call = |at: usize| {
        solid.get(at + 1).is_some_and(|next| next.is_symbol('('))
            && !at.checked_sub(1).is_some_and(|before| solid[before].is_symbol('.'))
    };
    (0..solid.len())
        .filter(|at| is_call(*at))
        .filter_map(|at| solid[at].name())
        .filter(|name| {
            let name = name.to_ascii_lowercase();
            CHANGING.contains(&name.as_str()) || name.starts_with(PREFIX)
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::changing_functions;

    #[test]
    fn calls_are_found_and_other_names_are_not() {
        let found = changing_functions(
            "SELECT NOW() AS a, randUniform(1, 2), now, d.today(1), f('rand()')",
        );
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["NOW", "randUniform"]);
    }
}
