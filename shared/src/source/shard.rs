//! The rows of a chunk that belong to one of several servers.

use super::Reading;
use crate::sql::quote_identifier;
use crate::task::ShardBy;

/// Names of the columns as they are read. No column of a user has them.
fn raw(position: usize) -> String {
    quote_identifier(&format!("_longshore_{position}"))
}

impl ShardBy {
    /// Number of the server that a row belongs to: the values are those that are inserted.
    ///
    /// Distributed tables take the number as unsigned, modulo the sum of the weights; so negative
    /// numbers go where such a table looks for them. NULL, which it does not know, goes to the first.
    pub fn number(&self, servers: usize) -> String {
        format!("ifNull({}(({})) % {servers}, 0)", self.unsigned, self.expression)
    }

    /// The value of a column as the target will hold it.
    fn value(&self, name: &str, raw: &str) -> Option<String> {
        let column = self.columns.iter().find(|column| column.name == name)?;
        let kind = crate::sql::quote_literal(&column.r#type);
        Some(if column.may_be_null {
            let nullable = crate::sql::quote_literal(&format!("Nullable({})", column.r#type));
            format!("ifNull(CAST({raw}, {nullable}), defaultValueOfTypeName({kind}))")
        } else {
            format!("CAST({raw}, {kind})")
        })
    }

    /// What of a reading belongs to the server whose tasks see this; nothing when none does.
    /// `select` gives `columns`.
    ///
    /// The rows pass as they are read; only the condition sees values in the target's types.
    pub fn of_shard(&self, reading: &Reading, select: &str, columns: &[String]) -> Option<Reading> {
        let (shard, servers) = self.shard?;
        let each = |of: &dyn Fn(usize, &str) -> Option<String>| {
            let all = columns.iter().enumerate().filter_map(|(at, name)| of(at, name));
            all.collect::<Vec<_>>().join(", ")
        };
        let read = reading.select(select);
        let renamed = each(&|at, name| Some(format!("{} AS {}", quote_identifier(name), raw(at))));
        let passed = each(&|at, _| Some(raw(at)));
        let valued = each(&|at, name| {
            let value = self.value(name, &raw(at))?;
            Some(format!("{value} AS {}", quote_identifier(name)))
        });
        let valued = if valued.is_empty() { valued } else { format!(", {valued}") };
        let named = each(&|at, name| Some(format!("{} AS {}", raw(at), quote_identifier(name))));
        let number = self.number(servers);
        let from = format!(
            "(SELECT {named} FROM (SELECT {passed} FROM (SELECT {passed}{valued} FROM \
             (SELECT {renamed} FROM ({read}))) WHERE {number} = {shard}))"
        );
        Some(Reading { from, condition: String::new(), settings: reading.settings.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::ShardColumn;

    fn by() -> ShardBy {
        let column = |name: &str, kind: &str, may_be_null| ShardColumn {
            name: name.into(),
            r#type: kind.into(),
            may_be_null,
        };
        ShardBy {
            expression: "a + b".into(),
            unsigned: "toUInt64".into(),
            shard: Some((1, 3)),
            columns: vec![column("a", "Int64", false), column("b", "UInt8", true)],
        }
    }

    #[test]
    fn rows_pass_as_they_are_and_the_condition_sees_the_targets_types() {
        let reading = Reading {
            from: "s3(x)".into(),
            condition: "a > 1".into(),
            settings: vec![("max_threads".into(), "1".into())],
        };
        let columns = ["a", "b", "c"].map(String::from);
        let shard = by().of_shard(&reading, "a, b, upper(c) AS c", &columns).expect("a shard");
        insta::assert_snapshot!(shard.select("`a`, `b`, `c`"), @r#"SELECT `a`, `b`, `c` FROM (SELECT `_longshore_0` AS `a`, `_longshore_1` AS `b`, `_longshore_2` AS `c` FROM (SELECT `_longshore_0`, `_longshore_1`, `_longshore_2` FROM (SELECT `_longshore_0`, `_longshore_1`, `_longshore_2`, CAST(`_longshore_0`, 'Int64') AS `a`, ifNull(CAST(`_longshore_1`, 'Nullable(UInt8)'), defaultValueOfTypeName('UInt8')) AS `b` FROM (SELECT `a` AS `_longshore_0`, `b` AS `_longshore_1`, `c` AS `_longshore_2` FROM (SELECT a, b, upper(c) AS c FROM s3(x) WHERE a > 1))) WHERE ifNull(toUInt64((a + b)) % 3, 0) = 1))"#);
        assert_eq!(shard.settings, reading.settings);
    }
}
