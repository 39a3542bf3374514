//! What Longshore takes for granted about the server, asked of the server itself.

mod codes;
mod conversions;
mod cut;
mod cut_check;
mod cut_random;
mod grants;
mod keeper_map;
mod parts;
mod probe;
mod quoting;

/// The planner belongs to a program, not to a library: its source is compiled into this suite, so
/// that the engine can judge it without a command in between.
#[allow(dead_code, unreachable_pub)]
#[path = "../../coordinator/src/plan/cut/mod.rs"]
mod planner;
#[allow(dead_code, unreachable_pub)]
#[path = "../../coordinator/src/plan/tables/snapshot.rs"]
mod snapshot;

use longshore_shared::clickhouse::{Connection, Server};
use longshore_tests::Bed;
use secrecy::SecretString;

/// The server of a bed as Longshore talks to it.
fn server(bed: &Bed) -> Server {
    let connection = Connection {
        url: bed.clickhouse_url.clone(),
        user: bed.user.clone(),
        password: SecretString::from(bed.password.clone()),
        ca_file: None,
        control: "longshore".into(),
        staging: "longshore_staging".into(),
    };
    Server::new(connection).expect("a server")
}
