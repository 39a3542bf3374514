//! A column of the target, and the words in which the reader is asked for it.

use longshore_shared::sql::quote_identifier;
use longshore_shared::task::Cast;
use longshore_shared::types::Type;

use crate::plan::files::merge::Merged;

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

    pub(crate) fn has_default(&self) -> bool {
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

/// Read in this type, and converted by the INSERT.
pub(super) fn cast(
    target: &Target,
    kind: &Type,
    refuse_null: bool,
    default: Option<String>,
) -> ReadAs {
    let to = target.text.clone();
    ReadAs {
        default,
        cast: Some(Cast { from: kind.to_string(), to, refuse_null }),
        ..ReadAs::plain(&target.name, &kind.to_string())
    }
}

/// The same, unless the user's expressions are made of it: under those the values stay as they are.
pub(super) fn cast_unless(
    is_under_select: bool,
    target: &Target,
    kind: &Type,
    refuse_null: bool,
) -> ReadAs {
    if is_under_select {
        return ReadAs::plain(&target.name, &kind.to_string());
    }
    cast(target, kind, refuse_null, None)
}

/// The types in the files, for people.
pub(super) fn kinds(found: Option<&Merged>) -> String {
    let kinds = found.map_or(&[][..], |found| &found.types);
    kinds.iter().map(|(kind, _)| kind.to_string()).collect::<Vec<_>>().join(" and ")
}
