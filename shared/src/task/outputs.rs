//! Columns that a load makes out of what it reads.

use serde::{Deserialize, Serialize};

use crate::sql::quote_identifier;
use crate::types::{Conversion, Nulls, Type, conversion};

/// One column of what is read, as the load passes it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Its name from here on.
    #[serde(rename = "n")]
    pub name: String,
    /// SQL of the value where it is not the column of that name (`` `n`.`x` ``).
    #[serde(rename = "of", default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// How it is converted, where a value could be lost.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub cast: Option<Cast>,
}

/// A conversion that fails where a value does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {
    /// Type as it is read.
    pub from: String,
    /// Type of the target's column.
    pub to: String,
    /// NULL fails: the column takes none and has no default that somebody chose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refuse_null: bool,
}

impl Output {
    /// A column that is passed on as it is.
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), of: None, cast: None }
    }

    /// Is it passed on as it is?
    pub fn is_plain(&self) -> bool {
        self.of.is_none() && self.cast.is_none()
    }

    /// SQL of the value before it is converted.
    pub fn read(&self) -> String {
        self.of.clone().unwrap_or_else(|| quote_identifier(&self.name))
    }

    /// The conversion, if there is one.
    pub fn conversion(&self) -> Option<Conversion> {
        let cast = self.cast.as_ref()?;
        let nulls = if cast.refuse_null { Nulls::Fail } else { Nulls::Stay };
        let (from, to) = (Type::parse(&cast.from), Type::parse(&cast.to));
        Some(conversion(&self.read(), &self.name, &from, &to, nulls))
    }

    /// As it stands in a SELECT.
    pub fn select(&self) -> String {
        let name = quote_identifier(&self.name);
        match self.conversion() {
            Some(conversion) => format!("{} AS {name}", conversion.expression),
            None => match &self.of {
                Some(of) => format!("{of} AS {name}"),
                None => name,
            },
        }
    }
}

/// The list of a SELECT.
pub fn select_list(outputs: &[Output]) -> String {
    outputs.iter().map(Output::select).collect::<Vec<_>>().join(", ")
}
