//! How a column is read out of a format with types: by its reader alone where that loses nothing, else
//! in a type that every file fits, and converted by the INSERT.

use longshore_shared::types::{
    Fit, Reader, Type, fit, for_reader, has_text_of_moments, has_units, join, may_become_null,
    needs_cast, needs_reader, reads_as_stored,
};

use super::read_as::{ReadAs, Remark, Target, cast_unless, kinds};
use crate::plan::files::merge::Merged;

/// A column of the target, and what the files hold of it.
pub(super) struct Typed<'a> {
    format: &'a str,
    is_under_select: bool,
    target: &'a Target,
    /// In the types that the reader makes of those in the files.
    found: Merged,
    /// The types in the files, for people.
    in_files: String,
    /// Of the bytes in some file the reader makes the target's type, and no wider one.
    has_bytes: bool,
    fits: Fit,
}

impl<'a> Typed<'a> {
    pub(super) fn of(
        format: &'a str,
        is_under_select: bool,
        target: &'a Target,
        in_files: &Merged,
    ) -> Self {
        let to = &target.kind;
        let found = of_reader(format, in_files, to);
        Self {
            format,
            is_under_select,
            target,
            in_files: kinds(Some(in_files)),
            has_bytes: !reads_as_stored(format)
                && in_files.types.iter().any(|(kind, _)| {
                    !kind.is_composite() && for_reader(format, kind.bare(), to) != *kind.bare()
                }),
            fits: worst_fit(format, in_files, &found, to),
            found,
        }
    }

    pub(super) fn read_as(&self) -> ReadAs {
        if self.is_exact() {
            return self.by_reader();
        }
        match self.joined() {
            Some(joined) => self.by_cast(&joined),
            None => ReadAs {
                remark: Some((Remark::Converted, self.in_files.clone())),
                ..ReadAs::as_target(self.target)
            },
        }
    }

    /// May a file hold NULL?
    fn nulls(&self) -> bool {
        self.found.may_be_null && self.found.types.iter().any(|(kind, _)| kind.is_nullable())
    }

    /// Does something stand in the place of NULL: a default, or what a query makes of it?
    fn is_kept(&self) -> bool {
        self.target.has_default() || self.target.default_kind == "EPHEMERAL"
    }

    /// Must a NULL end the load, because it has no place in the target?
    fn refuses(&self) -> bool {
        self.nulls() && !self.target.kind.is_nullable() && !self.is_kept()
    }

    /// Does only an INSERT convert it right, and not the reader?
    fn by_insert(&self) -> bool {
        is_raw(self.format, &self.found, &self.target.kind)
    }

    /// Does the reader lose nothing? NULL inside arrays is told by the types; the footer may say that
    /// there is none.
    fn is_exact(&self) -> bool {
        match self.fits {
            Fit::Nulls => !self.found.may_be_null && !self.by_insert(),
            Fit::Exact | Fit::Rounded => !self.by_insert(),
            Fit::Unknown => true,
            _ => false,
        }
    }

    fn remark(&self) -> Option<(Remark, String)> {
        let remark = match self.fits {
            Fit::Exact if !self.refuses() => return None,
            Fit::Rounded | Fit::Overflow => Remark::Rounded,
            Fit::Unknown => Remark::Converted,
            _ => Remark::Checked,
        };
        Some((remark, self.in_files.clone()))
    }

    /// As the target has it. Only a NULL that has no place there is looked for.
    fn by_reader(&self) -> ReadAs {
        let as_target = ReadAs::as_target(self.target);
        let (to, remark) = (&self.target.kind, self.remark());
        if !self.refuses() {
            return ReadAs { remark: remark.filter(|_| self.fits != Fit::Nulls), ..as_target };
        }
        // A reader of Parquet puts the default for NULL in a LowCardinality (26.7).
        let Some(kind) = to.bare().nullable() else { return ReadAs { remark, ..as_target } };
        let zero = to.zero_of_reader();
        ReadAs { remark, default: Some(zero), ..self.cast(&kind, true) }
    }

    /// The type that the values of all files fit; none where only the reader can make one of them.
    fn joined(&self) -> Option<Type> {
        let (found, to) = (&self.found, &self.target.kind);
        let mut kinds = found.types.iter().map(|(kind, _)| kind.clone());
        let first = kinds.next().unwrap_or_else(|| to.clone());
        let joined = kinds.try_fold(first, |one, other| join(&one, &other))?;
        // The number that stands for a moment in one file is no text of one in another.
        let has_numbers = found.types.iter().any(|(kind, _)| has_units(kind, to));
        let mixes = (has_numbers && has_text_of_moments(&joined, to))
            || (self.has_bytes && joined.bare() != to.bare());
        (!is_raw(self.format, found, &joined) && !mixes).then(|| joined.bare().clone())
    }

    /// In the type that all files fit, so that the INSERT converts, and NULL is seen where it counts.
    fn by_cast(&self, joined: &Type) -> ReadAs {
        let to = &self.target.kind;
        // An INSERT puts no default for NULL in a column that is in no table.
        if self.target.default_kind == "EPHEMERAL" && !to.is_nullable() {
            return self.by_cast_of_default(joined);
        }
        let wants_null = self.nulls()
            || (self.target.has_default() && !to.is_nullable())
            || (self.found.missing.is_some() && to.is_nullable());
        let kind = if wants_null { joined.nullable() } else { Some(joined.clone()) };
        // A list or tuple is never NULL: where a file lacks it the reader puts the default.
        let Some(kind) = kind else { return self.by_cast_of_default(joined) };
        ReadAs {
            default: self.default_of_missing(joined, &kind),
            remark: self.remark(),
            ..self.cast(&kind, self.refuses())
        }
    }

    /// The target's own default stands where a file lacks the column.
    fn by_cast_of_default(&self, joined: &Type) -> ReadAs {
        let default = ReadAs::as_target(self.target).default;
        let default = default.map(|sql| format!("CAST(({sql}), {})", joined.literal()));
        let default = default.or_else(|| self.zero_of_missing(joined));
        ReadAs { default, remark: self.remark(), ..self.cast(joined, false) }
    }

    /// What the reader puts where a file lacks the column.
    fn default_of_missing(&self, joined: &Type, kind: &Type) -> Option<String> {
        let to = &self.target.kind;
        let is_text = matches!(joined.plain_name(), Some("String" | "FixedString"));
        let is_missing = self.found.missing.is_some();
        if is_text && is_missing && !to.is_nullable() && !self.is_kept() {
            // No text is empty and a number.
            Some(format!("CAST({}, {})", to.zero_of_reader(), joined.literal()))
        } else if self.refuses() {
            Some(joined.zero_of_reader())
        } else if to.is_nullable() && self.target.has_default() {
            Some(format!("CAST(({}), {})", self.target.default, kind.literal()))
        } else {
            self.zero_of_missing(joined)
        }
    }

    /// A reader's own zero of a tuple has a NULL wherever the type in the files has room for one, and the
    /// target may not take it.
    fn zero_of_missing(&self, joined: &Type) -> Option<String> {
        let is_missing = self.found.missing.is_some() && !self.target.has_default();
        let zero = || format!("CAST({}, {})", self.target.kind.zero_of_reader(), joined.literal());
        (is_missing && joined.is_composite()).then(zero)
    }

    fn cast(&self, kind: &Type, refuse_null: bool) -> ReadAs {
        cast_unless(self.is_under_select, self.target, kind, refuse_null)
    }
}

/// The types as the reader of the format hands them over.
fn of_reader(format: &str, in_files: &Merged, to: &Type) -> Merged {
    if reads_as_stored(format) {
        return in_files.clone();
    }
    let types = in_files.types.iter();
    let types = types.map(|(kind, file)| (for_reader(format, kind, to), file.clone())).collect();
    Merged { types, ..in_files.clone() }
}

fn is_raw(format: &str, found: &Merged, to: &Type) -> bool {
    found.types.iter().any(|(kind, _)| needs_cast(format, kind, to))
}

/// How the values of the file that fits least fit.
fn worst_fit(format: &str, in_files: &Merged, found: &Merged, to: &Type) -> Fit {
    let reader = Reader::of(format);
    let fits = found.types.iter().map(|(kind, _)| fit(kind.bare(), to, reader));
    let fits = fits.max().unwrap_or(Fit::Exact);
    // Bytes of a UUID, a large number or an address become a value in the format's reader alone.
    let only_reader = found.types.iter().any(|(kind, _)| needs_reader(format, kind, to));
    // BSON has no type for them: what it holds are numbers whose unit the target tells.
    let has_units =
        || format == "BSONEachRow" && found.types.iter().any(|(kind, _)| has_units(kind, to));
    match fits {
        Fit::Nulls | Fit::Overflow | Fit::Range | Fit::Back | Fit::Text
            if only_reader || has_units() =>
        {
            Fit::Unknown
        }
        Fit::Exact if only_reader && is_raw(format, found, to) => Fit::Unknown,
        Fit::Exact | Fit::Nulls
            if in_files.types.iter().any(|(kind, _)| may_become_null(format, kind, to)) =>
        {
            Fit::Unknown
        }
        fits => fits,
    }
}
