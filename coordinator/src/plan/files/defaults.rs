//! Defaults that are made of other columns.

use longshore_shared::schema::names_in;
use longshore_shared::sql::{quote_identifier, quote_list, quote_literal};
use longshore_shared::types::Type;

use super::column::{ReadAs, Target};
use super::request::Layout;

/// Who makes a default of columns that the reader does not have, or not as the target will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DefaultOf {
    /// The INSERT where it can: NULL stands for a value that is not there. Not more often than it
    /// must be, because readers that are given a nullable type make NULL of text that does not parse.
    Insert,
    /// The reader: expressions of the user see the value.
    Reader,
}

/// Lets the defaults of a layout see the columns that they are made of in the types of the target.
pub(super) fn mind(targets: &[Target], layout: &mut Layout, by: DefaultOf) {
    let mut wanted: Vec<String> = Vec::new();
    for at in 0..layout.structure.len() {
        let read = &layout.structure[at];
        let Some(default) = read.default.clone() else { continue };
        let Some(target) = named(targets, &read.name) else { continue };
        let is_foreign = |name: &String| {
            named(targets, name)
                .is_some_and(|used| !used.is_insertable() || layout.left_out.contains(name))
        };
        // NULL that is a value is not to be taken for one that is not there.
        let nullable =
            (by == DefaultOf::Insert && read.cast.is_none() && !target.kind.is_nullable())
                .then(|| target.kind.nullable())
                .flatten();
        match nullable {
            Some(kind) if names_in(&default).iter().any(is_foreign) => {
                let read = &mut layout.structure[at];
                read.kind = kind.to_string();
                read.default = None;
            }
            _ => {
                let bound = bound(targets, &layout.structure, &default);
                wanted.extend(names_in(&bound));
                layout.structure[at].default = Some(bound);
            }
        }
    }
    // What a default is made of must be in the structure, in the files or not.
    while let Some(name) = wanted.pop() {
        if layout.structure.iter().any(|read| read.name == name) {
            continue;
        }
        let Some(target) = named(targets, &name).filter(|target| target.is_insertable()) else {
            continue;
        };
        let mut read = ReadAs::as_target(target);
        read.default = read.default.map(|sql| bound(targets, &layout.structure, &sql));
        wanted.extend(read.default.iter().flat_map(|sql| names_in(sql)));
        layout.structure.push(read);
    }
}

fn named<'t>(targets: &'t [Target], name: &str) -> Option<&'t Target> {
    targets.iter().find(|target| target.name == name)
}

/// An expression whose names stand for values in the types of the target: the arguments of a lambda
/// hide the columns of the reader.
fn bound(targets: &[Target], structure: &[ReadAs], expression: &str) -> String {
    let names = names_in(expression);
    let converted =
        structure.iter().filter(|read| read.cast.is_some() && names.contains(&read.name));
    let used: Vec<(&ReadAs, &Target)> = converted
        .filter_map(|read| Some((read, named(targets, &read.name)?)))
        .filter(|(read, target)| read.kind != target.text)
        .collect();
    if used.is_empty() {
        return expression.to_owned();
    }
    let arguments: Vec<&String> = used.iter().map(|(read, _)| &read.name).collect();
    let arguments = quote_list(&arguments);
    let values: Vec<String> = used
        .iter()
        .map(|(read, target)| format!("[{}]", value(targets, structure, read, target)))
        .collect();
    format!("arrayMap(({arguments}) -> ({expression}), {})[1]", values.join(", "))
}

/// The value that the target will have of a column.
fn value(targets: &[Target], structure: &[ReadAs], read: &ReadAs, target: &Target) -> String {
    let column = quote_identifier(&read.name);
    let cast = |to: &str| format!("CAST({column}, {})", quote_literal(to));
    let nullable = Some(&target.kind).filter(|kind| !kind.is_nullable()).and_then(Type::nullable);
    match nullable {
        Some(nullable) if Type::parse(&read.kind).is_nullable() => {
            let to = quote_literal(&target.text);
            let default = if target.default.is_empty() {
                format!("defaultValueOfTypeName({to})")
            } else {
                format!("CAST(({}), {to})", bound(targets, structure, &target.default))
            };
            format!("ifNull({}, {default})", cast(&nullable.to_string()))
        }
        _ => cast(&target.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_shared::task::Cast;

    fn target(name: &str, kind: &str, default: &str) -> Target {
        Target {
            name: name.into(),
            kind: Type::parse(kind),
            text: kind.into(),
            default_kind: if default.is_empty() { "" } else { "DEFAULT" }.into(),
            default: default.into(),
        }
    }

    fn read(target: &Target, kind: &str, default: Option<&str>) -> ReadAs {
        let cast = Cast { from: kind.into(), to: target.text.clone(), refuse_null: false };
        ReadAs {
            cast: (kind != target.text).then_some(cast),
            default: default.map(str::to_owned),
            ..ReadAs::plain(&target.name, kind)
        }
    }

    fn told(targets: &[Target], structure: Vec<ReadAs>, by: DefaultOf) -> String {
        let mut layout = Layout { structure, ..Layout::default() };
        mind(targets, &mut layout, by);
        layout.structure.iter().map(ReadAs::structure).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_default_sees_the_types_of_the_target() {
        let targets = [
            target("a", "UInt8", "7"),
            target("odd name", "UInt8", ""),
            target("h", "Nullable(UInt64)", "cityHash64(a, `odd name`)"),
            target("n", "UInt64", "a + 1"),
        ];
        let structure = || {
            vec![
                read(&targets[0], "Nullable(Int128)", None),
                read(&targets[1], "Int128", None),
                read(
                    &targets[2],
                    "Nullable(Int128)",
                    Some("CAST((cityHash64(a, `odd name`)), 'x')"),
                ),
                read(&targets[3], "UInt64", Some("a + 1")),
            ]
        };
        insta::assert_snapshot!(told(&targets, structure(), DefaultOf::Insert), @r#"
`a` Nullable(Int128)
`odd name` Int128
`h` Nullable(Int128) DEFAULT arrayMap((`a`, `odd name`) -> (CAST((cityHash64(a, `odd name`)), 'x')), [ifNull(CAST(`a`, 'Nullable(UInt8)'), CAST((7), 'UInt8'))], [CAST(`odd name`, 'UInt8')])[1]
`n` UInt64 DEFAULT arrayMap((`a`) -> (a + 1), [ifNull(CAST(`a`, 'Nullable(UInt8)'), CAST((7), 'UInt8'))])[1]
"#);
    }

    #[test]
    fn what_a_default_is_made_of_is_asked_for_too() {
        let targets =
            [target("a", "UInt8", "b"), target("b", "UInt8", "5"), target("c", "UInt8", "a")];
        let structure = vec![read(&targets[2], "UInt8", Some("a"))];
        insta::assert_snapshot!(told(&targets, structure, DefaultOf::Insert), @r#"
`c` UInt8 DEFAULT a
`a` UInt8 DEFAULT b
`b` UInt8 DEFAULT 5
"#);
    }

    #[test]
    fn the_insert_makes_a_default_of_what_no_reader_has() {
        let materialized =
            Target { default_kind: "MATERIALIZED".into(), ..target("m", "UInt8", "1") };
        let targets = [materialized, target("n", "UInt64", "m + 1")];
        let structure = || vec![read(&targets[1], "UInt64", Some("m + 1"))];
        insta::assert_snapshot!(told(&targets, structure(), DefaultOf::Insert), @"`n` Nullable(UInt64)");
        insta::assert_snapshot!(told(&targets, structure(), DefaultOf::Reader), @"`n` UInt64 DEFAULT m + 1");
    }
}
