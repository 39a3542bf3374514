//! What Longshore takes for granted about the server, asked of the server itself.

mod grants;
mod quoting;
