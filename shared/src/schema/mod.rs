//! What the server says of the tables a load touches: columns, engine, dependent views.
//!
//! [`Graph`] is the target with every view that fires on it, their targets, the views on those,
//! and so on. It is read at plan time, kept in the plan, and compared before each load and each
//! publish: a table that changed in between stops the job instead of losing rows silently.

mod alone;
mod changing;
mod chosen;
mod clone;
mod definition;
mod detours;
mod discover;
mod drift;
mod graph_error;
mod names;
mod needs;
mod now;
mod old_syntax;
mod reads;
mod refreshable;
mod rewrite;
mod sorting;
mod table_row;
mod tokens;
mod ttl;
mod twin;
mod unfinished;

pub use alone::discover_alone;
pub use changing::changing_functions;
pub use chosen::{ChoiceError, Chosen, choose_views, view_query};
pub use clone::{
    Creation, StagingNames, create_statements, drop_statement, snapshot_of_replicated,
};
pub use detours::{Detour, find_detour};
pub use discover::{columns, discover};
pub use drift::{Drift, check as check_drift};
pub use graph_error::GraphError;
pub use names::names_in;
pub use needs::{Needs, needs, plain_views};
pub use now::{Placed, dependents, identities, placed, table_now};
pub use old_syntax::engine_of_today;
pub use rewrite::{RewriteError, firing_select, rewrite_source};
pub use sorting::key_expressions;
pub use ttl::{RowTtl, ttls};
pub use twin::{own_setting, twins_in_keeper};
pub use unfinished::{Changes, Unfinished, changes};

// Kept in a plan, so it stands with the nouns; whoever reads it from a server finds it here.
pub use crate::task::{Column, Graph, GraphTable, GraphView};
