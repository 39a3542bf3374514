//! How one column of the target is read out of files.

mod read_as;
mod typed;

use longshore_shared::planted::{Bug, planted};
use longshore_shared::types::{
    Fit, Reader, Type, cuts_moments, fit, has_bytes_of_numbers, has_days, has_numbers_of_moments,
    has_widest_integers, needs_cast, widened,
};

use super::formats::Format;
use super::merge::Merged;
pub(crate) use read_as::{ReadAs, Remark, Target};
use read_as::{cast, cast_unless, kinds};
use typed::Typed;

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
        let overflows = |kind: &Type| {
            fit(kind.bare(), &target.kind, Reader::of(self.format.name)) == Fit::Overflow
        };
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
            Some(found) => {
                Typed::of(self.format.name, self.is_under_select, target, found).read_as()
            }
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
        // What is not there is the reader's zero then, which an INSERT of NULL is not.
        let is_day = is_moment && target.kind.plain_name() == Some("Date32");
        if is_day && found.is_some() && !target.has_default() && !target.kind.is_nullable() {
            let zero = format!("CAST({}, 'String')", target.kind.zero_of_reader());
            return cast(target, &wider.not_null(), false, Some(zero));
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
        ReadAs { default, remark, ..cast_unless(self.is_under_select, target, from, refuses) }
    }
}

/// May a plain INSERT change a value?
fn may_lose(format: &str, target: &Target, found: &Merged) -> bool {
    let to = &target.kind;
    let nulls = found.may_be_null && !to.is_nullable() && !target.has_default();
    nulls
        || found.types.iter().any(|(kind, _)| {
            needs_cast(format, kind, to)
                || !matches!(fit(kind.bare(), to, Reader::of(format)), Fit::Exact | Fit::Nulls)
        })
}

#[cfg(test)]
mod tests;
