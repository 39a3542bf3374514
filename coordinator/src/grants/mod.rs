//! What a user must be allowed to do: the one list of grants, and questions to the server about them.

pub(crate) mod dictionaries;
pub(crate) mod durable;
pub(crate) mod list;
pub(crate) mod may;
