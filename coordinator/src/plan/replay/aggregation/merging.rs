//! Does the engine of a target put the pieces of a group together that were loaded in different chunks?

use super::shape::Output;

#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, clickhouse::Row)]
pub(crate) struct TargetColumn {
    pub(crate) name: String,
    pub(crate) r#type: String,
    /// In the sorting key, as it is or within an expression.
    pub(crate) is_in_sorting_key: u8,
    /// In the partition key, as it is or within an expression.
    pub(crate) is_in_partition_key: u8,
}

/// Aggregates whose results add up.
const ADDED: [&str; 6] = ["sum", "count", "sumIf", "countIf", "sumOrDefault", "countOrDefault"];

/// Why pieces of a group would not become the group, if so. `engine` is the engine with its
/// arguments, `has_keys` whether the query groups by anything.
pub(crate) fn obstacle(
    engine: &str,
    columns: &[TargetColumn],
    outputs: &[(String, Output)],
    has_keys: bool,
) -> Option<String> {
    let family = family(engine);
    if !matches!(family, "AggregatingMergeTree" | "SummingMergeTree") {
        return Some(format!("{family} does not add up the pieces of a group"));
    }
    let listed = listed(engine);
    for (name, output) in outputs {
        // `name Type` as the server shows it.
        let Some(column) = columns.iter().find(|column| names(name, &column.name)) else {
            continue;
        };
        let is_key = column.is_in_sorting_key + column.is_in_partition_key > 0;
        let problem = match (output, is_key) {
            (Output::Key, false) if family == "SummingMergeTree" => {
                is_summed(column, listed.as_deref())
                    .then(|| "is a key of the group, but the target adds it up".to_owned())
            }
            (Output::Key, _) => None,
            (_, true) => Some("is in the key of the target, but not a key of the group".to_owned()),
            (Output::Mixed, false) => Some("is not one aggregate function that adds up".to_owned()),
            (Output::Aggregate(function), false) => {
                function_obstacle(family, column, function, listed.as_deref(), has_keys)
            }
        };
        if let Some(problem) = problem {
            return Some(format!("column {} {problem}", column.name));
        }
    }
    None
}

/// `SharedSummingMergeTree((a, b)) ORDER BY …` is a SummingMergeTree.
fn family(engine: &str) -> &str {
    let name = engine.split(|symbol: char| !symbol.is_alphanumeric()).next().unwrap_or(engine);
    let name = name.strip_prefix("Replicated").unwrap_or(name);
    name.strip_prefix("Shared").unwrap_or(name)
}

/// The columns that a SummingMergeTree names; `None`: all numbers outside the key.
fn listed(engine: &str) -> Option<Vec<String>> {
    let head = engine.split(" ORDER BY ").next().unwrap_or(engine);
    let head = head.split(" PARTITION BY ").next().unwrap_or(head);
    let (_, arguments) = head.split_once('(')?;
    // Paths of replicas are literals, columns are not.
    let mut outside = String::new();
    for (at, text) in arguments.split('\'').enumerate() {
        if at % 2 == 0 {
            outside.push_str(text);
        }
    }
    let names = outside.split(|symbol: char| "(), ".contains(symbol));
    let names: Vec<String> =
        names.map(|name| name.trim_matches('`').to_owned()).filter(|n| !n.is_empty()).collect();
    (!names.is_empty()).then_some(names)
}

/// Is `shown`, a `name Type`, of this column?
fn names(shown: &str, column: &str) -> bool {
    shown.strip_prefix(column).is_some_and(|rest| rest.starts_with(' '))
}

fn is_summed(column: &TargetColumn, listed: Option<&[String]>) -> bool {
    is_number(&column.r#type) && listed.is_none_or(|names| names.contains(&column.name))
}

fn is_number(type_name: &str) -> bool {
    let inner = |name: &str| {
        type_name.strip_prefix(name).and_then(|rest| rest.strip_suffix(')')).map(str::to_owned)
    };
    let plain = inner("Nullable(").unwrap_or_else(|| type_name.to_owned());
    ["Int", "UInt", "Float", "Decimal", "BFloat"].iter().any(|kind| plain.starts_with(kind))
}

fn function_obstacle(
    family: &str,
    column: &TargetColumn,
    function: &str,
    listed: Option<&[String]>,
    has_keys: bool,
) -> Option<String> {
    if column.r#type.starts_with("AggregateFunction(") {
        let is_state = function.ends_with("State");
        return (!is_state).then(|| format!("takes states, but {function} gives none"));
    }
    if let Some(kept) = column.r#type.strip_prefix("SimpleAggregateFunction(") {
        let kept = kept.split([',', '(']).next().unwrap_or_default();
        let plain = function.strip_suffix("SimpleState").unwrap_or(function);
        let plain = plain.strip_suffix("Merge").unwrap_or(plain);
        let plain = plain.strip_suffix("If").unwrap_or(plain);
        let fits = match kept {
            "sum" | "sumWithOverflow" => plain == kept || ADDED.contains(&plain),
            "groupArrayArray" => plain == "groupArray" || plain == kept,
            "groupUniqArrayArray" => plain == "groupUniqArray" || plain == kept,
            _ => plain == kept,
        };
        // Without keys there is a row of no rows too, and the least of nothing is 0.
        if fits && (has_keys || ADDED.contains(&plain)) {
            return None;
        }
        return Some(format!("keeps {kept} of its pieces, which is not {function} of the group"));
    }
    if family == "SummingMergeTree" && is_summed(column, listed) {
        let adds_up = ADDED.contains(&function);
        return (!adds_up).then(|| format!("is added up, and {function} of a group is no sum"));
    }
    Some(format!("keeps one piece of {function}, not all of the group"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, r#type: &str, in_key: u8) -> TargetColumn {
        TargetColumn {
            name: name.into(),
            r#type: r#type.into(),
            is_in_sorting_key: in_key,
            is_in_partition_key: 0,
        }
    }

    fn key(name: &str) -> (String, Output) {
        (format!("{name} Date"), Output::Key)
    }

    fn aggregate(name: &str, function: &str) -> (String, Output) {
        (format!("{name} UInt64"), Output::Aggregate(function.into()))
    }

    #[test]
    fn sums_add_up_and_others_do_not() {
        let columns = [column("d", "Date", 1), column("n", "UInt64", 0)];
        let judge = |engine: &str, function: &str| {
            obstacle(engine, &columns, &[key("d"), aggregate("n", function)], true)
        };
        for function in ["sum", "count", "countIf"] {
            assert_eq!(judge("SummingMergeTree ORDER BY d", function), None, "{function}");
        }
        for function in ["avg", "uniq", "max", "sumDistinct"] {
            assert!(judge("SummingMergeTree ORDER BY d", function).is_some(), "{function}");
        }
        for engine in ["MergeTree", "ReplacingMergeTree(v)", "AggregatingMergeTree", "Null"] {
            assert!(judge(engine, "sum").is_some(), "{engine}");
        }
        assert_eq!(judge("ReplicatedSummingMergeTree('/a/b', 'r', n) ORDER BY d", "sum"), None);
        assert_eq!(judge("SummingMergeTree((`n`, m)) ORDER BY d", "sum"), None);
        assert!(judge("SummingMergeTree((m)) ORDER BY d", "sum").is_some(), "not listed");
    }

    #[test]
    fn a_key_of_the_group_that_is_added_up_is_an_obstacle() {
        let columns =
            [column("d", "Date", 1), column("kind", "UInt8", 0), column("n", "UInt64", 0)];
        let outputs = [key("d"), key("kind"), aggregate("n", "sum")];
        assert!(obstacle("SummingMergeTree ORDER BY d", &columns, &outputs, true).is_some());
        assert_eq!(obstacle("SummingMergeTree(n) ORDER BY d", &columns, &outputs, true), None);
        let sorted = [column("d", "Date", 1), column("n", "UInt64", 1)];
        let outputs = [key("d"), aggregate("n", "count")];
        assert!(obstacle("SummingMergeTree ORDER BY (d, n)", &sorted, &outputs, true).is_some());
    }

    #[test]
    fn states_and_kept_functions_must_be_those_of_the_query() {
        let judge = |r#type: &str, function: &str, has_keys: bool| {
            let columns = [column("d", "Date", 1), column("a", r#type, 0)];
            let outputs = [key("d"), aggregate("a", function)];
            obstacle("AggregatingMergeTree ORDER BY d", &columns, &outputs, has_keys).is_none()
        };
        assert!(judge("AggregateFunction(uniq, UInt64)", "uniqState", true));
        assert!(judge("AggregateFunction(uniq, UInt64)", "uniqMergeState", true));
        assert!(judge("SimpleAggregateFunction(max, UInt64)", "max", true));
        assert!(judge("SimpleAggregateFunction(sum, UInt64)", "count", true));
        assert!(judge("SimpleAggregateFunction(max, UInt64)", "maxIf", true));
        assert!(!judge("SimpleAggregateFunction(max, UInt64)", "count", true));
        assert!(!judge("SimpleAggregateFunction(min, UInt64)", "min", false));
        assert!(judge("SimpleAggregateFunction(sum, UInt64)", "sum", false));
    }
}
