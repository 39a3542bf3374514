//! A type, as a tree.

use std::fmt;

use crate::sql::{quote_identifier, quote_literal};

/// A data type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// `Nullable(T)`
    Nullable(Box<Type>),
    /// `LowCardinality(T)`
    LowCardinality(Box<Type>),
    /// `Array(T)`
    Array(Box<Type>),
    /// `Map(K, V)`
    Map(Box<Type>, Box<Type>),
    /// `Tuple(…)`, with or without names.
    Tuple(Vec<(Option<String>, Type)>),
    /// Any other: its name and its arguments as they are written.
    Plain {
        /// `Decimal`, `UInt8`, …
        name: String,
        /// `['9', '2']`
        arguments: Vec<String>,
    },
}

impl Type {
    /// A type without arguments.
    pub fn named(name: &str) -> Self {
        Self::Plain { name: name.to_owned(), arguments: Vec::new() }
    }

    /// A type with arguments.
    pub fn with(name: &str, arguments: impl IntoIterator<Item = String>) -> Self {
        Self::Plain { name: name.to_owned(), arguments: arguments.into_iter().collect() }
    }

    /// SQL of what a reader puts where it finds nothing. The type's own default is another one for
    /// `Date32`: 1900 in a table, 1970 for a reader (26.7).
    pub fn zero_of_reader(&self) -> String {
        match self {
            Self::Tuple(items) if self.has_day_of_a_reader() => {
                let items: Vec<String> =
                    items.iter().map(|(_, item)| item.zero_of_reader()).collect();
                format!("CAST(tuple({}), {})", items.join(", "), self.literal())
            }
            plain if plain.has_day_of_a_reader() => format!("CAST(0, {})", self.literal()),
            plain => format!("defaultValueOfTypeName({})", plain.literal()),
        }
    }

    fn has_day_of_a_reader(&self) -> bool {
        match self {
            Self::Tuple(items) => items.iter().any(|(_, item)| item.has_day_of_a_reader()),
            plain => !plain.is_nullable() && plain.plain_name() == Some("Date32"),
        }
    }

    /// May a value be NULL?
    pub fn is_nullable(&self) -> bool {
        match self {
            Self::Nullable(_) => true,
            Self::LowCardinality(inner) => inner.is_nullable(),
            _ => false,
        }
    }

    /// The same without `LowCardinality` and `Nullable` around it.
    #[must_use]
    pub fn bare(&self) -> &Self {
        match self {
            Self::Nullable(inner) | Self::LowCardinality(inner) => inner.bare(),
            plain => plain,
        }
    }

    /// The same, where a value must not be NULL.
    #[must_use]
    pub fn not_null(&self) -> Self {
        match self {
            Self::Nullable(inner) => (**inner).clone(),
            Self::LowCardinality(inner) => Self::LowCardinality(Box::new(inner.not_null())),
            plain => plain.clone(),
        }
    }

    /// The same, where a value may be NULL; nothing where the server knows no such type.
    pub fn nullable(&self) -> Option<Self> {
        match self {
            Self::Nullable(_) => Some(self.clone()),
            Self::LowCardinality(inner) => Some(Self::LowCardinality(Box::new(inner.nullable()?))),
            Self::Array(_) | Self::Map(..) | Self::Tuple(_) => None,
            Self::Plain { name, .. } => {
                let has_own = ["Nested", "AggregateFunction", "SimpleAggregateFunction"];
                let has_null = ["Variant", "Dynamic", "JSON", "Object", "Nothing", "QBit"];
                let is_shape =
                    ["Point", "Ring", "Polygon", "MultiPolygon", "LineString", "MultiLineString"];
                let never = has_own.iter().chain(&has_null).chain(&is_shape);
                (!never.into_iter().any(|never| never == name))
                    .then(|| Self::Nullable(Box::new(self.clone())))
            }
        }
    }

    /// Its name and arguments, when it holds no other type.
    pub(crate) fn plain(&self) -> Option<(&str, &[String])> {
        match self {
            Self::Plain { name, arguments } => Some((name, arguments)),
            _ => None,
        }
    }

    /// The name without `Nullable` and `LowCardinality`, when it holds no other type.
    pub fn plain_name(&self) -> Option<&str> {
        self.bare().plain().map(|(name, _)| name)
    }

    /// Does it hold other types?
    pub fn is_composite(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Map(..) | Self::Tuple(_))
    }

    /// Is it, or does a tuple of it hold, an enum of which no element is 0? A reader writes 0 where a
    /// file lacks the column, and nobody can read such a row (26.7, every format but `JSONEachRow`).
    pub fn lacks_zero(&self) -> bool {
        match self {
            Self::Tuple(items) => items.iter().any(|(_, item)| item.lacks_zero()),
            Self::Plain { name, arguments } if name.starts_with("Enum") => {
                let number =
                    |element: &String| element.rsplit('=').next().map(str::trim) == Some("0");
                !arguments.iter().any(number)
            }
            _ => false,
        }
    }

    /// As a literal, for a cast.
    pub fn literal(&self) -> String {
        quote_literal(&self.to_string())
    }

    /// The types of the columns that stand for an array of tuples with names, as `Nested` has it.
    pub fn nested(&self) -> Option<&[(Option<String>, Type)]> {
        match self {
            Self::Array(inner) => match inner.as_ref() {
                Self::Tuple(items) if items.iter().all(|(name, _)| name.is_some()) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nullable(inner) => write!(out, "Nullable({inner})"),
            Self::LowCardinality(inner) => write!(out, "LowCardinality({inner})"),
            Self::Array(inner) => write!(out, "Array({inner})"),
            Self::Map(key, value) => write!(out, "Map({key}, {value})"),
            Self::Tuple(items) => {
                let items: Vec<String> = items
                    .iter()
                    .map(|(name, item)| match name {
                        Some(name) => format!("{} {item}", quote_identifier(name)),
                        None => item.to_string(),
                    })
                    .collect();
                write!(out, "Tuple({})", items.join(", "))
            }
            Self::Plain { name, arguments } if arguments.is_empty() => out.write_str(name),
            Self::Plain { name, arguments } => write!(out, "{name}({})", arguments.join(", ")),
        }
    }
}
