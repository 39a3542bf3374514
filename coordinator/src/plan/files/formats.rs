//! What a format tells of its columns.

use std::collections::BTreeMap;

/// How the columns of a format are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// By their place alone: they are those of the target, in order.
    Nameless,
    /// A header names them.
    Header,
    /// Each row names its own.
    Keys,
    /// The file has names and types.
    Typed,
}

/// Formats without names.
const NAMELESS: [&str; 19] = [
    // Its header names them, but the server cannot read it without being told the types.
    "RowBinaryWithNames",
    "Buffers",
    "CSV",
    "TSV",
    "TabSeparated",
    "TSVRaw",
    "TabSeparatedRaw",
    "Raw",
    "Values",
    "CustomSeparated",
    "CustomSeparatedIgnoreSpaces",
    "RowBinary",
    "JSONCompactEachRow",
    "JSONCompactStringsEachRow",
    "MsgPack",
    "JSONCompactColumns",
    "Template",
    "TemplateIgnoreSpaces",
    "Regexp",
];

/// JSON that begins with names and types.
const WITH_METADATA: [&str; 3] = ["JSON", "JSONCompact", "JSONColumnsWithMetadata"];

/// Formats whose rows or columns carry their names.
const KEYS: [&str; 9] = [
    "JSONEachRow",
    "JSONLines",
    "NDJSON",
    "JSONL",
    "JSONStringsEachRow",
    "JSONObjectEachRow",
    "JSONColumns",
    "TSKV",
    "BSONEachRow",
];

/// Formats that are not text, or whose fields are written like SQL.
const BINARY: [&str; 6] = [
    "Buffers",
    "RowBinary",
    "RowBinaryWithNames",
    "RowBinaryWithDefaults",
    "MsgPack",
    "BSONEachRow",
];

/// Text whose fields are written by a rule of the user, or as SQL: a moment there may have no quotes.
const BY_RULE: [&str; 4] = ["Values", "Template", "TemplateIgnoreSpaces", "Regexp"];

/// How fields of `CustomSeparated…` are written; as of `TSV` unless told otherwise.
const CUSTOM_RULE: &str = "format_custom_escaping_rule";
/// Rules by which any text may stand for a moment.
const PLAIN_RULES: [&str; 3] = ["Escaped", "CSV", "Raw"];

/// A header that is told to be no header.
const USE_HEADER: &str = "input_format_with_names_use_header";

/// What a format is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format<'a> {
    pub(crate) name: &'a str,
    pub(crate) family: Family,
    /// A moment may be read as the text that it is.
    has_text_of_moments: bool,
}

impl<'a> Format<'a> {
    /// A format of this name, read with these settings.
    pub(crate) fn of(name: &'a str, settings: &BTreeMap<String, String>) -> Self {
        let is_off = settings.get(USE_HEADER).is_some_and(|value| value == "0" || value == "false");
        let has_header = name.ends_with("WithNames") || is_text_with_types(name);
        let family = if NAMELESS.contains(&name) || (has_header && is_off) {
            Family::Nameless
        } else if has_header {
            Family::Header
        } else if KEYS.contains(&name) {
            Family::Keys
        } else {
            Family::Typed
        };
        let mut format = Self { name, family, has_text_of_moments: false };
        let is_plain = !name.starts_with("CustomSeparated")
            || settings.get(CUSTOM_RULE).is_none_or(|rule| PLAIN_RULES.contains(&rule.as_str()));
        format.has_text_of_moments = format.is_text() && is_plain && !BY_RULE.contains(&name);
        format
    }

    /// Is it text, so that a number may be of any size and a type is only guessed?
    pub(crate) fn is_text(self) -> bool {
        self.family != Family::Typed && !BINARY.contains(&self.name)
    }

    /// May a moment be read as the text that it is?
    pub(crate) fn has_text_of_moments(self) -> bool {
        self.has_text_of_moments
    }

    /// Does its reader refuse a file that lacks a column?
    pub(crate) fn refuses_missing(self, settings: &BTreeMap<String, String>) -> bool {
        let allowed = settings.get("input_format_avro_allow_missing_fields");
        self.name == "Avro" && allowed.is_none_or(|value| value == "0" || value == "false")
    }

    /// Is a column that it has and the target lacks seen by the reader alone?
    pub(crate) fn refuses_surplus(self) -> bool {
        self.has_late_keys() || self.name == "RowBinaryWithNames"
    }

    /// Must a column be read in the very type that the file names?
    pub(crate) fn is_strict(self) -> bool {
        self.name == "RowBinaryWithNamesAndTypes" || WITH_METADATA.contains(&self.name)
    }

    /// The setting by which its reader matches names in any case, where it is off unless a person asks for it.
    pub(crate) fn case_setting(self) -> Option<String> {
        let name = match self.name {
            "Parquet" => "parquet",
            "ORC" => "orc",
            "Arrow" | "ArrowStream" => "arrow",
            _ => return None,
        };
        Some(format!("input_format_{name}_case_insensitive_column_matching"))
    }

    /// May keys come in later rows than were looked at?
    pub(crate) fn has_late_keys(self) -> bool {
        self.family == Family::Keys
    }

    /// Are its columns read out of the files when a plan is made?
    pub(crate) fn has_schema(self) -> bool {
        self.family != Family::Nameless
    }

    /// Settings with which its columns may be read in other types than the file names.
    pub(crate) fn settings(self) -> impl Iterator<Item = (String, String)> {
        let types = is_text_with_types(self.name).then_some("input_format_with_types_use_header");
        types.into_iter().map(|name| (name.to_owned(), "0".to_owned()))
    }
}

fn is_text_with_types(name: &str) -> bool {
    name.ends_with("WithNamesAndTypes") && name != "RowBinaryWithNamesAndTypes"
}
