//! A plan that reads tables through the query of a view: may the query be cut, and where.

mod aggregation;
mod detours;
pub(crate) mod notes;
pub(crate) mod view;
