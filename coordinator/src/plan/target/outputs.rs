//! Columns that a query gives, into columns of a target: by name, and converted where a value
//! could be lost.

use longshore_shared::schema::Column;
use longshore_shared::task::{Cast, Output};
use longshore_shared::types::{Fit, Reader, Type, fit};

/// What becomes of NULL in a column that takes none and has no default that somebody chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NullIs {
    /// A value that would be lost.
    Value,
    /// How text says that there is no value: the column gets the default of its type.
    Absence,
}

/// The columns in the order of `read`, and what a person should know. No output at all: nothing
/// is converted.
pub(crate) fn outputs(
    read: &[(String, String)],
    target: &[Column],
    null_is: NullIs,
    as_insert: bool,
) -> (Vec<Output>, Vec<String>) {
    let mut outputs = Vec::with_capacity(read.len());
    let (mut checked, mut told) = (Vec::new(), Vec::new());
    for (name, text) in read {
        let mut output = Output::plain(name);
        if let Some(column) = target.iter().find(|column| column.name == *name) {
            let (from, to) = (Type::parse(text), Type::parse(&column.r#type));
            let has_default = column.default_kind == "DEFAULT";
            let refuse_null =
                null_is == NullIs::Value && from.is_nullable() && !to.is_nullable() && !has_default;
            let fits = fit(from.bare(), &to, Reader::Insert);
            let words = format!("{name} ({text} to {})", column.r#type);
            match fits {
                Fit::Exact if !refuse_null => {}
                _ if as_insert => told.push(words),
                Fit::Rounded | Fit::Unknown if !refuse_null => told.push(words),
                _ => {
                    checked.push(words);
                    let (from, to) = (text.clone(), column.r#type.clone());
                    output.cast = Some(Cast { from, to, refuse_null });
                }
            }
        }
        outputs.push(output);
    }
    if outputs.iter().all(Output::is_plain) {
        outputs.clear();
    }
    let mut notes = Vec::new();
    if !checked.is_empty() {
        notes.push(format!(
            "converted to another type, and checked: {}. A value that does not fit fails its task and is \
             named; --conversions as-insert loads what a plain INSERT makes of it",
            checked.join(", ")
        ));
    }
    if !told.is_empty() {
        notes.push(format!(
            "converted as a plain INSERT does, which may round or change values that do not fit: {}",
            told.join(", ")
        ));
    }
    (outputs, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str, default: &str) -> Column {
        Column { name: name.into(), r#type: kind.into(), default_kind: default.into() }
    }

    fn read(columns: &[(&str, &str)]) -> Vec<(String, String)> {
        columns.iter().map(|(name, kind)| ((*name).into(), (*kind).into())).collect()
    }

    #[test]
    fn what_can_lose_a_value_is_checked_and_named() {
        let target =
            [column("a", "UInt8", ""), column("b", "String", ""), column("c", "String", "DEFAULT")];
        let read = read(&[("a", "Int64"), ("b", "Nullable(String)"), ("c", "Nullable(String)")]);
        let (found, notes) = outputs(&read, &target, NullIs::Value, false);
        let casts: Vec<bool> = found.iter().map(|output| output.cast.is_some()).collect();
        assert_eq!(casts, [true, true, false]);
        assert!(
            notes[0].contains("a (Int64 to UInt8), b (Nullable(String) to String)"),
            "{notes:?}"
        );
        let (found, notes) = outputs(&read, &target, NullIs::Value, true);
        assert!(found.is_empty() && notes[0].contains("plain INSERT"), "{notes:?}");
    }

    #[test]
    fn text_that_does_not_parse_is_not_passed_on_as_null() {
        let target = [column("a", "Nullable(Float64)", ""), column("b", "Nullable(UUID)", "")];
        let read = read(&[("a", "String"), ("b", "String")]);
        let (found, _) = outputs(&read, &target, NullIs::Value, false);
        assert!(found.iter().all(|output| output.cast.is_some()), "{found:?}");
    }

    #[test]
    fn what_fits_is_passed_on() {
        let target = [column("a", "UInt64", ""), column("b", "Nullable(String)", "")];
        let read = read(&[("a", "UInt8"), ("b", "String")]);
        assert_eq!(outputs(&read, &target, NullIs::Value, false), (Vec::new(), Vec::new()));
    }
}
