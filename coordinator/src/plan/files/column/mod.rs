//! How one column of the target is read out of files.

use longshore_shared::planted::{Bug, planted};
use longshore_shared::sql::quote_identifier;
use longshore_shared::task::Cast;
use longshore_shared::types::{
    Fit, Reader, Type, cuts_moments, fit, for_reader, has_bytes_of_numbers, has_days,
    has_numbers_of_moments, has_text_of_moments, has_units, has_widest_integers, join, needs_cast,
    needs_reader, reads_as_stored, widened,
};

use super::formats::Format;
use super::merge::Merged;

/// A column of the target.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Type,
    /// The type as the server writes it.
    pub(crate) text: String,
    /// Empty, `DEFAULT`, `MATERIALIZED`, `ALIAS` or `EPHEMERAL`.
    pub(crate) default_kind: String,
    /// What stands there when a row has no value; empty for the type's own default.
    pub(crate) default: String,
}

impl Target {
    /// Can an INSERT name it?
    pub(crate) fn is_insertable(&self) -> bool {
        matches!(self.default_kind.as_str(), "" | "DEFAULT" | "EPHEMERAL")
    }

    fn has_default(&self) -> bool {
        !self.default.is_empty()
    }
}

/// What may become of values of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remark {
    /// A value may not fit; the load looks at each and fails.
    Checked,
    /// A value may not fit, and that is accepted.
    Accepted,
    /// Digits are rounded.
    Rounded,
    /// The reader converts, and what it makes of a value is not known here.
    Converted,
}

/// A column as it is asked of the reader.
#[derive(Debug, Clone)]
pub(crate) struct ReadAs {
    pub(crate) name: String,
    /// Type, and DEFAULT where it has one.
    pub(crate) kind: String,
    pub(crate) default: Option<String>,
    /// How it becomes the target's type.
    pub(crate) cast: Option<Cast>,
    /// What a person should know, with the type in the files.
    pub(crate) remark: Option<(Remark, String)>,
}

impl ReadAs {
    /// As it is.
    pub(crate) fn plain(name: &str, kind: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            default: None,
            cast: None,
            remark: None,
        }
    }

    /// As the target has it, default included. Where the zero of a reader is no value of the type, the
    /// type's own default stands for what a file lacks, as in every other INSERT.
    pub(crate) fn as_target(target: &Target) -> Self {
        let own = || format!("defaultValueOfTypeName({})", target.kind.literal());
        let default = target.has_default().then(|| target.default.clone());
        Self {
            default: default.or_else(|| target.kind.lacks_zero().then(own)),
            ..Self::plain(&target.name, &target.text)
        }
    }

    /// As part of a structure.
    pub(crate) fn structure(&self) -> String {
        let default =
            self.default.as_ref().map_or_else(String::new, |sql| format!(" DEFAULT {sql}"));
        format!("{} {}{default}", quote_identifier(&self.name), self.kind)
    }
}

/// How a column is read.
pub(crate) struct How<'a> {
    pub(crate) format: Format<'a>,
    /// What a plain INSERT makes of a value is accepted.
    pub(crate) as_insert: bool,
    /// The user's expressions are made of it: what does not fit is seen in their result.
    pub(crate) is_under_select: bool,
}

impl How<'_> {
    /// How a column of the target is read. `found` is what files hold of it.
    pub(crate) fn read(&self, target: &Target, found: Option<&Merged>) -> ReadAs {
        let is_hive = found.is_some_and(|found| found.is_hive);
        let is_text = self.format.is_text() || is_hive;
        let mut read = self.read_as(target, found, is_text);
        let is_there = found.is_some() || !self.format.has_schema();
        // What a row lacks inside of a value is the reader's zero, so no text can stand there. And a
        // moment that is written as SQL, or by a rule of the user, is no text.
        let is_no_text =
            target.kind.is_composite() || !(self.format.has_text_of_moments() || is_hive);
        if is_text && is_there && is_no_text && cuts_moments(&target.kind) {
            read.remark.get_or_insert((Remark::Converted, "text".to_owned()));
        }
        // The reader makes a number of text, and an infinite one of a number that is too large.
        let is_told = self.format.name.ends_with("WithNamesAndTypes");
        let types = found.filter(|_| is_text && is_told).map_or(&[][..], |found| &found.types);
        if is_text && is_there && !self.as_insert && has_widest_integers(&target.kind) {
            read.remark.get_or_insert((Remark::Converted, "text".to_owned()));
        }
        let in_files = found.map_or(&[][..], |found| &found.types);
        let is_for_reader = |(kind, _): &(Type, String)| {
            has_bytes_of_numbers(kind, &target.kind) || has_numbers_of_moments(kind, &target.kind)
        };
        if !is_text && !self.as_insert && in_files.iter().any(is_for_reader) {
            read.remark.get_or_insert((Remark::Converted, kinds(found)));
        }
        let overflows =
            |kind: &Type| fit(kind.bare(), &target.kind, Reader::Format) == Fit::Overflow;
        if types.iter().any(|(kind, _)| overflows(kind)) {
            read.remark.get_or_insert((Remark::Converted, kinds(found)));
        }
        read
    }

    fn read_as(&self, target: &Target, found: Option<&Merged>, is_text: bool) -> ReadAs {
        if self.as_insert && !self.format.is_strict() {
            let loses = found.is_some_and(|found| may_lose(self.format.name, target, found));
            let loses = !is_text && loses;
            let remark = loses.then(|| (Remark::Accepted, kinds(found)));
            return ReadAs { remark, ..ReadAs::as_target(target) };
        }
        if is_text {
            return self.text(target, found);
        }
        match found {
            Some(found) if planted(Bug::TypesOfTheFile) => {
                ReadAs::plain(&target.name, &found.types[0].0.to_string())
            }
            Some(found) if self.format.is_strict() => self.strict(target, found),
            Some(found) => self.typed(target, found),
            None => ReadAs::as_target(target),
        }
    }

    /// Of text: in a type that holds more, so that nothing is cut off before it can be seen.
    fn text(&self, target: &Target, found: Option<&Merged>) -> ReadAs {
        let as_target = ReadAs::as_target(target);
        if target.kind.plain_name().is_some_and(|name| name.starts_with("Enum")) {
            let same = cast(target, &target.kind, false, None).cast;
            return ReadAs { cast: same, ..as_target };
        }
        // A number of days is no text of a date, and a number of JSON is a date for its reader.
        let types = found.map_or(&[][..], |found| &found.types);
        let has_days = types.iter().any(|(kind, _)| has_days(kind, &target.kind));
        if has_days && self.format.name.contains("JSON") {
            return ReadAs { remark: Some((Remark::Converted, kinds(found))), ..as_target };
        }
        // SQL in the place of a value is cast, and text that does not parse becomes NULL then.
        let is_sql = self.format.name == "Values";
        let is_text = target.kind.plain_name() == Some("String");
        if is_sql && !is_text && target.text.contains("Nullable(") {
            let remark = Some((Remark::Converted, "text".to_owned()));
            return ReadAs { remark, ..as_target };
        }
        let Some(wider) = widened(&target.kind, self.format.has_text_of_moments()) else {
            return as_target;
        };
        let is_moment = wider.not_null() == Type::named("String");
        if is_moment && target.default_kind == "EPHEMERAL" {
            return as_target;
        }
        if !target.has_default() {
            let nullable = if is_moment { wider.nullable() } else { None };
            let kind = nullable.unwrap_or(wider);
            // In no file: the table's zero counts, and a reader has another one for Date32 (26.7).
            let is_tuple = matches!(kind, Type::Tuple(_));
            let is_own = is_tuple && (found.is_none() || target.kind.lacks_zero());
            let zero = format!(
                "CAST(defaultValueOfTypeName({}), {})",
                target.kind.literal(),
                kind.literal()
            );
            return cast(target, &kind, false, is_own.then_some(zero));
        }
        // NULL stands for a value that is not there, and the INSERT puts the default there. In a
        // nullable column only the reader knows the one from the other.
        let is_kept = !wider.is_nullable() && !is_sql && target.default_kind == "DEFAULT";
        if let Some(nullable) = wider.nullable().filter(|_| is_kept) {
            return cast(target, &nullable, false, None);
        }
        if is_moment && !wider.is_nullable() {
            return as_target;
        }
        let default = format!("CAST(({}), {})", target.default, wider.literal());
        cast(target, &wider, false, Some(default))
    }

    /// Of a format that begins with names and types and is read in exactly these.
    fn strict(&self, target: &Target, found: &Merged) -> ReadAs {
        let to = &target.kind;
        let [(from, _)] = found.types.as_slice() else { return ReadAs::as_target(target) };
        if from == to {
            return ReadAs::as_target(target);
        }
        let default = target.has_default();
        let refuses = from.is_nullable() && !to.is_nullable() && !default;
        let fits = fit(from.bare(), to.bare(), Reader::Insert);
        let remark = match fits {
            Fit::Exact if !refuses => None,
            _ if self.as_insert => Some((Remark::Accepted, kinds(Some(found)))),
            Fit::Rounded | Fit::Overflow => Some((Remark::Rounded, kinds(Some(found)))),
            Fit::Unknown => Some((Remark::Converted, kinds(Some(found)))),
            _ => Some((Remark::Checked, kinds(Some(found)))),
        };
        let default = default.then(|| format!("CAST(({}), {})", target.default, from.literal()));
        if self.as_insert {
            // The reader takes no other type; the INSERT converts.
            return ReadAs { default, remark, ..ReadAs::plain(&target.name, &from.to_string()) };
        }
        ReadAs { default, remark, ..self.cast(target, from, refuses) }
    }

    /// Of a format with types.
    fn typed(&self, target: &Target, found: &Merged) -> ReadAs {
        let to = &target.kind;
        let as_target = ReadAs::as_target(target);
        let casts = reads_as_stored(self.format.name);
        let in_files = kinds(Some(found));
        let with_reader = |(kind, file): &(Type, String)| (for_reader(kind, to), file.clone());
        let types = found.types.iter();
        let found = &if casts {
            found.clone()
        } else {
            Merged { types: types.map(with_reader).collect(), ..found.clone() }
        };
        let fits = found.types.iter().map(|(kind, _)| fit(kind.bare(), to, Reader::Format));
        let fits = fits.max().unwrap_or(Fit::Exact);
        let nulls = found.may_be_null && found.types.iter().any(|(kind, _)| kind.is_nullable());
        let is_kept = target.has_default() || target.default_kind == "EPHEMERAL";
        let refuses = nulls && !to.is_nullable() && !is_kept;
        // Bytes of a UUID, a large number or an address become a value in the format's reader alone.
        let only_reader = found.types.iter().any(|(kind, _)| needs_reader(kind, to));
        let format = self.format.name;
        let is_raw = |to: &Type| found.types.iter().any(|(kind, _)| needs_cast(format, kind, to));
        let by_insert = is_raw(to);
        let fits = match fits {
            Fit::Nulls | Fit::Overflow | Fit::Range | Fit::Back | Fit::Text if only_reader => {
                Fit::Unknown
            }
            // BSON has no type for them: what it holds are numbers whose unit the target tells.
            Fit::Nulls | Fit::Overflow | Fit::Range | Fit::Back | Fit::Text
                if self.format.name == "BSONEachRow"
                    && found.types.iter().any(|(kind, _)| has_units(kind, to)) =>
            {
                Fit::Unknown
            }
            Fit::Exact if by_insert && only_reader => Fit::Unknown,
            fits => fits,
        };
        let remark = match fits {
            Fit::Exact if !refuses => None,
            Fit::Rounded | Fit::Overflow => Some((Remark::Rounded, in_files.clone())),
            Fit::Unknown => Some((Remark::Converted, in_files.clone())),
            _ => Some((Remark::Checked, in_files.clone())),
        };
        // NULL inside arrays is told by the types; the footer may say that there is none.
        let is_exact = match fits {
            Fit::Nulls => !found.may_be_null && !by_insert,
            Fit::Exact | Fit::Rounded => !by_insert,
            Fit::Unknown => true,
            _ => false,
        };
        if is_exact {
            if !refuses {
                return ReadAs { remark: remark.filter(|_| fits != Fit::Nulls), ..as_target };
            }
            // A reader of Parquet puts the default for NULL in a LowCardinality (26.7).
            let kind = to.bare().nullable();
            let Some(kind) = kind else { return ReadAs { remark, ..as_target } };
            let zero = format!("defaultValueOfTypeName({})", to.literal());
            return ReadAs { remark, default: Some(zero), ..self.cast(target, &kind, true) };
        }
        let mut kinds = found.types.iter().map(|(kind, _)| kind.clone());
        let first = kinds.next().unwrap_or_else(|| to.clone());
        let joined = kinds.try_fold(first, |one, other| join(&one, &other));
        // The number that stands for a moment in one file is no text of one in another.
        let has_numbers = found.types.iter().any(|(kind, _)| has_units(kind, to));
        let mixes = |joined: &Type| has_numbers && has_text_of_moments(joined, to);
        let Some(joined) = joined.filter(|joined| !is_raw(joined) && !mixes(joined)) else {
            return ReadAs { remark: Some((Remark::Converted, in_files)), ..as_target };
        };
        let joined = joined.bare().clone();
        // An INSERT puts no default for NULL in a column that is in no table.
        if target.default_kind == "EPHEMERAL" && !to.is_nullable() {
            let default = as_target.default.as_ref();
            let default = default.map(|sql| format!("CAST(({sql}), {})", joined.literal()));
            return ReadAs { default, remark, ..self.cast(target, &joined, false) };
        }
        let is_missing = found.missing.is_some();
        let wants_null = nulls
            || (target.has_default() && !to.is_nullable())
            || (is_missing && to.is_nullable());
        let Some(kind) = (if wants_null { joined.nullable() } else { Some(joined.clone()) }) else {
            // A list or tuple is never NULL: where a file lacks it the reader puts the default.
            let default = as_target.default.as_ref();
            let default = default.map(|sql| format!("CAST(({sql}), {})", joined.literal()));
            return ReadAs { default, remark, ..self.cast(target, &joined, false) };
        };
        let is_text = matches!(joined.plain_name(), Some("String" | "FixedString"));
        let default = if refuses && !is_text {
            Some(format!("defaultValueOfTypeName({})", joined.literal()))
        } else if is_text && is_missing && !to.is_nullable() && !is_kept {
            // Where a file lacks the column: no text is empty and a number.
            Some(format!("CAST(defaultValueOfTypeName({}), {})", to.literal(), joined.literal()))
        } else if refuses {
            Some(format!("defaultValueOfTypeName({})", joined.literal()))
        } else if to.is_nullable() && target.has_default() {
            Some(format!("CAST(({}), {})", target.default, kind.literal()))
        } else {
            None
        };
        ReadAs { default, remark, ..self.cast(target, &kind, refuses) }
    }

    /// Under expressions of the user the values stay as they are.
    fn cast(&self, target: &Target, kind: &Type, refuse_null: bool) -> ReadAs {
        if self.is_under_select {
            return ReadAs::plain(&target.name, &kind.to_string());
        }
        cast(target, kind, refuse_null, None)
    }
}

fn cast(target: &Target, kind: &Type, refuse_null: bool, default: Option<String>) -> ReadAs {
    let to = target.text.clone();
    ReadAs {
        default,
        cast: Some(Cast { from: kind.to_string(), to, refuse_null }),
        ..ReadAs::plain(&target.name, &kind.to_string())
    }
}

/// May a plain INSERT change a value?
fn may_lose(format: &str, target: &Target, found: &Merged) -> bool {
    let to = &target.kind;
    let nulls = found.may_be_null && !to.is_nullable() && !target.has_default();
    nulls
        || found.types.iter().any(|(kind, _)| {
            needs_cast(format, kind, to)
                || !matches!(fit(kind.bare(), to, Reader::Format), Fit::Exact | Fit::Nulls)
        })
}

/// The types in the files, for people.
fn kinds(found: Option<&Merged>) -> String {
    let kinds = found.map_or(&[][..], |found| &found.types);
    kinds.iter().map(|(kind, _)| kind.to_string()).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests;
