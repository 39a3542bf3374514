//! What a worker waits for, and what people are told meanwhile.
//!
//! Begin with `outage`: a server, Keeper or store that is away is waited for as long as that takes, and no
//! attempt is used up. `governor` holds loads back while a server is overloaded. `hindrance` keeps what holds up a task that is publishing, `replicas` what other
//! replicas must still fetch before a job is completed.
//!
//! Nothing here decides what becomes of a task. Each of them remembers since when it waits, and tells people
//! at a bounded rate: every note on a row is a write to Keeper.

pub(crate) mod governor;
pub(crate) mod hindrance;
pub(crate) mod outage;
pub(crate) mod replicas;
