//! How a column of files becomes one of the target: the type it is read in, and what is named because it may lose something.

use super::*;
use std::collections::BTreeMap;

fn target(kind: &str, default: &str) -> Target {
    Target {
        name: "c".into(),
        kind: Type::parse(kind),
        text: kind.into(),
        default_kind: if default.is_empty() { "" } else { "DEFAULT" }.into(),
        default: default.into(),
    }
}

fn found(kinds: &[&str], is_missing: bool) -> Merged {
    let types: Vec<_> = kinds.iter().map(|kind| (Type::parse(kind), "f".to_owned())).collect();
    Merged {
        name: "c".into(),
        may_be_null: kinds.iter().any(|kind| kind.contains("Nullable")),
        types,
        is_hive: false,
        missing: is_missing.then(|| ("g".to_owned(), 1)),
        first: "f".into(),
    }
}

fn read(format: &str, target: &Target, found: &Merged) -> String {
    let format = Format::of(format, &BTreeMap::new());
    let how = How { format, as_insert: false, is_under_select: false };
    let read = how.read(target, Some(found));
    let cast = read.cast.as_ref().map_or_else(String::new, |cast| {
        format!(" -> {}{}", cast.to, if cast.refuse_null { " without NULL" } else { "" })
    });
    format!("{}{cast}", read.structure())
}

#[test]
fn a_column_that_can_lose_nothing_is_asked_for_as_the_target_has_it() {
    let of = |kind, default, kinds| read("Parquet", &target(kind, default), &found(kinds, false));
    assert_eq!(of("Int64", "", &["Int32", "Int64"]), "`c` Int64");
    assert_eq!(of("Int64", "5", &["Nullable(Int64)"]), "`c` Int64 DEFAULT 5");
    assert_eq!(of("Nullable(Int64)", "", &["Nullable(Int64)"]), "`c` Nullable(Int64)");
    assert_eq!(of("UUID", "", &["FixedString(16)"]), "`c` UUID");
    assert_eq!(of("Float32", "", &["Decimal(9, 2)"]), "`c` Float32");
}

#[test]
fn numbers_whose_meaning_the_files_do_not_tell_are_named() {
    let remark = |format, kind, kinds: &[&str]| {
        let how = How {
            format: Format::of(format, &BTreeMap::new()),
            as_insert: false,
            is_under_select: false,
        };
        how.read(&target(kind, ""), Some(&found(kinds, false))).remark
    };
    let bytes = |kind: &str| Some((Remark::Converted, kind.to_owned()));
    assert_eq!(remark("Parquet", "Int128", &["FixedString(16)"]), bytes("FixedString(16)"));
    assert_eq!(remark("Arrow", "UInt256", &["FixedString(32)"]), bytes("FixedString(32)"));
    assert_eq!(
        remark("Parquet", "Array(Int256)", &["Array(FixedString(32))"]),
        bytes("Array(FixedString(32))")
    );
    assert_eq!(remark("Parquet", "UUID", &["FixedString(16)"]), None);
    assert_eq!(remark("Parquet", "Int128", &["Int64"]), None);
    assert_eq!(remark("CSV", "Int256", &["String"]), bytes("text"));
    assert_eq!(remark("JSONEachRow", "Map(String, UInt256)", &["String"]), bytes("text"));
    assert_eq!(remark("CSV", "Int128", &["String"]), None);
    assert_eq!(remark("ORC", "DateTime64(6)", &["Nullable(Int16)"]), bytes("Nullable(Int16)"));
    assert_eq!(remark("Parquet", "DateTime", &["UInt32"]), bytes("UInt32"));
    assert_eq!(remark("Parquet", "DateTime64(3)", &["DateTime64(3)"]), None);
}

#[test]
fn days_of_a_date_are_no_seconds() {
    let of = |format, kind, kinds| read(format, &target(kind, ""), &found(kinds, false));
    assert_eq!(of("ORC", "DateTime64(3)", &["Date32"]), "`c` Date32 -> DateTime64(3)");
    assert_eq!(of("ORC", "DateTime", &["Date32"]), "`c` Date32 -> DateTime");
    assert_eq!(
        of("ORC", "Array(DateTime64(6))", &["Array(Date32)"]),
        "`c` Array(Date32) -> Array(DateTime64(6))"
    );
    assert_eq!(of("ORC", "Date32", &["Date32"]), "`c` Date32");
    assert_eq!(of("ORC", "String", &["Date32"]), "`c` Date32 -> String");
    assert_eq!(of("Avro", "DateTime64(3)", &["Date32"]), "`c` Date32 -> DateTime64(3)");
    assert_eq!(of("Parquet", "DateTime64(3)", &["Date32"]), "`c` DateTime64(3)");
}

#[test]
fn what_is_accepted_is_told_where_only_the_reader_changes_the_value() {
    let remark = |format, as_insert| {
        let format = Format::of(format, &BTreeMap::new());
        let how = How { format, as_insert, is_under_select: false };
        how.read(&target("DateTime", ""), Some(&found(&["Date32"], false))).remark
    };
    assert_eq!(remark("ORC", true), Some((Remark::Accepted, "Date32".to_owned())));
    assert_eq!(remark("Avro", true), Some((Remark::Accepted, "Date32".to_owned())));
}

#[test]
fn the_zero_of_a_reader_is_no_value_of_every_enum() {
    let of = |kind, default| read("Parquet", &target(kind, default), &found(&[kind], true));
    assert_eq!(
        of("Enum8('x' = 5)", ""),
        r"`c` Enum8('x' = 5) DEFAULT defaultValueOfTypeName('Enum8(\'x\' = 5)')"
    );
    assert_eq!(of("Enum8('x' = 5)", "'x'"), "`c` Enum8('x' = 5) DEFAULT 'x'");
    assert_eq!(of("Enum8('n' = 0, 'x' = 5)", ""), "`c` Enum8('n' = 0, 'x' = 5)");
    assert_eq!(of("Nullable(Enum8('x' = 5))", ""), "`c` Nullable(Enum8('x' = 5))");
}

#[test]
fn a_column_that_can_lose_something_is_read_as_the_files_have_it() {
    let of = |kind, default, kinds, missing| {
        read("Parquet", &target(kind, default), &found(kinds, missing))
    };
    assert_eq!(of("UInt8", "", &["Int64"], false), "`c` Int64 -> UInt8");
    assert_eq!(of("UInt8", "", &["Int32", "Int64"], true), "`c` Int64 -> UInt8");
    assert_eq!(of("UInt8", "9", &["Int64"], true), "`c` Nullable(Int64) -> UInt8");
    assert_eq!(
        of("Int64", "", &["Nullable(Int64)"], false),
        "`c` Nullable(Int64) DEFAULT defaultValueOfTypeName('Int64') -> Int64 without NULL"
    );
    assert_eq!(of("Date", "", &["String"], false), "`c` String -> Date");
    assert_eq!(of("Float32", "", &["Float64"], false), "`c` Float64 -> Float32");
    assert_eq!(
        of("Decimal(38, 10)", "", &["String"], true),
        "`c` String DEFAULT CAST(defaultValueOfTypeName('Decimal(38, 10)'), 'String') -> Decimal(38, 10)"
    );
    assert_eq!(
        of("Array(DateTime('UTC'))", "", &["Array(UInt32)", "Array(String)"], false),
        "`c` Array(DateTime('UTC'))"
    );
    assert_eq!(
        of("Nullable(FixedString(4))", "", &["Nullable(String)"], false),
        "`c` Nullable(String) -> Nullable(FixedString(4))"
    );
    assert_eq!(
        of("Array(UInt8)", "", &["Array(Int64)"], false),
        "`c` Array(Int64) -> Array(UInt8)"
    );
    // A reader makes NULL of text that is none of these.
    assert_eq!(of("Nullable(UUID)", "", &["String"], false), "`c` String -> Nullable(UUID)");
    assert_eq!(
        read("ORC", &target("Nullable(UUID)", ""), &found(&["Nullable(String)"], false)),
        "`c` Nullable(UUID)"
    );
    // Sixteen bytes in one file are no number of 32 bytes, whatever another file has.
    assert_eq!(
        read("ORC", &target("UInt128", ""), &found(&["String", "Int16"], false)),
        "`c` UInt128"
    );
    assert_eq!(of("UInt128", "", &["FixedString(16)", "Int16"], false), "`c` UInt128");
    assert_eq!(of("UInt128", "", &["Int16", "UInt128"], false), "`c` Int256 -> UInt128");
    assert_eq!(
        of("Tuple(a Int8, b Date32)", "", &["Tuple(a Int64, b Date32)"], true),
        "`c` Tuple(`a` Int64, `b` Date32) DEFAULT CAST(CAST(tuple(defaultValueOfTypeName('Int8'), \
         CAST(0, 'Date32')), 'Tuple(`a` Int8, `b` Date32)'), 'Tuple(`a` Int64, `b` Date32)') \
         -> Tuple(a Int8, b Date32)"
    );
}

/// Only the reader of ORC tells text from bytes, so nobody sees the NULL that it makes of text.
#[test]
fn text_that_may_become_null_is_named() {
    let how = How {
        format: Format::of("ORC", &BTreeMap::new()),
        as_insert: false,
        is_under_select: false,
    };
    let remark = |kind, from| how.read(&target(kind, ""), Some(&found(&[from], false))).remark;
    let told = |from: &str| Some((Remark::Converted, from.to_owned()));
    assert_eq!(remark("UUID", "String"), None);
    assert_eq!(remark("Nullable(UUID)", "String"), told("String"));
    assert_eq!(remark("Array(UUID)", "Array(String)"), None);
    assert_eq!(remark("Array(Nullable(UUID))", "Array(String)"), told("Array(String)"));
    assert_eq!(
        remark("Map(String, Tuple(a Nullable(IPv6)))", "Map(String, Tuple(a String))"),
        told("Map(String, Tuple(`a` String))")
    );
}

#[test]
fn text_is_read_wider() {
    let of =
        |kind, default| read("CSVWithNames", &target(kind, default), &found(&["Int64"], false));
    assert_eq!(of("UInt8", ""), "`c` Int128 -> UInt8");
    assert_eq!(of("UInt8", "9"), "`c` Nullable(Int128) -> UInt8");
    assert_eq!(of("DateTime", ""), "`c` Nullable(String) -> DateTime");
    assert_eq!(of("String", "'x'"), "`c` String DEFAULT 'x'");
    assert_eq!(
        of("Nullable(UInt8)", "9"),
        "`c` Nullable(Int128) DEFAULT CAST((9), 'Nullable(Int128)') -> Nullable(UInt8)"
    );
    assert_eq!(of("Enum8('a' = 0)", ""), "`c` Enum8('a' = 0) -> Enum8('a' = 0)");
    assert_eq!(of("Date32", ""), "`c` String DEFAULT CAST(CAST(0, 'Date32'), 'String') -> Date32");
    assert_eq!(of("Nullable(Date32)", ""), "`c` Nullable(String) -> Nullable(Date32)");
    assert_eq!(of("Array(Date)", ""), "`c` Array(DateTime64(6, 'UTC')) -> Array(Date)");
    let days = |kind| read("JSONEachRow", &target("Date", ""), &found(&[kind], false));
    assert_eq!(days("Int64"), "`c` Date");
    assert_eq!(days("Date"), "`c` Nullable(String) -> Date");
}

#[test]
fn a_reader_of_sql_is_given_no_nullable_type() {
    let of = |kind, default| read("Values", &target(kind, default), &found(&[], false));
    assert_eq!(of("UInt8", ""), "`c` Int128 -> UInt8");
    assert_eq!(of("UInt8", "9"), "`c` Int128 DEFAULT CAST((9), 'Int128') -> UInt8");
    assert_eq!(of("Nullable(UInt8)", ""), "`c` Nullable(UInt8)");
}

#[test]
fn a_reader_that_converts_only_numbers_is_given_the_type_of_the_file() {
    let of = |kind, from| read("Avro", &target(kind, ""), &found(&[from], false));
    assert_eq!(of("String", "Decimal(9, 2)"), "`c` Decimal(9, 2) -> String");
    assert_eq!(of("DateTime64(6)", "DateTime64(3)"), "`c` DateTime64(3) -> DateTime64(6)");
    assert_eq!(of("Int64", "Int32"), "`c` Int64");
    assert_eq!(of("UUID", "FixedString(16)"), "`c` UUID");
    let both = found(&["Date32", "DateTime64(3)"], false);
    assert_eq!(read("Avro", &target("DateTime64(3)", ""), &both), "`c` DateTime64(3)");
}
