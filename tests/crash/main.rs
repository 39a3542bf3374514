//! The server or the Keeper dies, stops or forgets while Longshore works: every test has a bed of
//! its own, whose processes it may kill.

mod blow;
mod campaign;
mod everything;
mod keeper;
mod lease;
mod lost_answers;
mod lost_keeper;
mod outages;
mod place;
mod power;
mod publishing;
mod replica_evidence;
mod replicas;
mod replicas_wait;
mod replicated_loads;
mod replicated_moves;
mod restarted;
mod server;
mod swaps;
mod tally;
