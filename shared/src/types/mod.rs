//! Types of ClickHouse, taken apart: what a file or table holds, what a column of a target takes,
//! and whether every value of the one has its like in the other.
//!
//! A reader of the server that is given a narrower type wraps, cuts off or saturates without a word
//! (measured on 26.7: 300 read as `UInt8` is 44, 1950 as `Date` is 1970, `1112.119` as
//! `Decimal(9, 2)` is 1112.11). So a column that can lose something is read in a type that holds
//! every value, and converted by an expression that fails.

mod convert;
mod fit;
mod inside;
mod join;
mod kind;
mod numbers;
mod parse;
mod widen;

pub use convert::{Conversion, Nulls, conversion};
pub use fit::{Fit, Reader, fit};
pub use inside::{
    for_reader, has_bytes_of_numbers, has_days, has_numbers_of_moments, has_text_of_moments,
    has_units, may_become_null, needs_cast, needs_reader, reads_as_stored,
};
pub use join::join;
pub use kind::Type;
pub use widen::{cuts_moments, has_widest_integers, widened};
