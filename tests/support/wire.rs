//! A raw TCP proxy for any pair of programs: it slows, slices, cuts, resets and falls silent.
//!
//! It knows nothing of what it carries, except that an [`End`] waits for bytes that a test names
//! (a piece of a request). Everything can be changed while connections are open. The faults that
//! are about whole HTTP requests ("applied, but the answer is lost") are in [`crate::Proxy`].
//!
//! ```no_run
//! # use std::time::Duration;
//! # use longshore_tests::{End, Flow, Toxics, Wire};
//! let wire = Wire::start("127.0.0.1:8123");
//! // The answers come at 1 KB/s in segments of 7 bytes, and every load is cut after 2 s.
//! wire.set(Toxics {
//!     down: Flow { bytes_per_second: 1024, slice: 7, ..Flow::default() },
//!     end: Some(End::Cut(Duration::from_secs(2))),
//!     only: "INSERT INTO".into(),
//!     ..Toxics::default()
//! });
//! let address = wire.url(); // for the program under test
//! wire.set(Toxics::default()); // healed
//! ```

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::carry::carry;
use crate::toxics::{Shared, Toxics};

/// A running proxy; it and its connections end with the test.
pub struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Wire {
    /// Listens on a free port of this machine and passes on to `host:port` or `http://host:port`.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(server: &str) -> Self {
        Self::seeded(server, 0)
    }

    /// The same; the jitter follows from the seed.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn seeded(server: &str, seed: u64) -> Self {
        let server = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            toxics: Mutex::default(),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            severed: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            ends: AtomicU32::new(0),
            stop: AtomicBool::new(false),
        });
        let ours = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if ours.stop.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), ours, server) = (client, ours.clone(), server.clone()) else {
                    continue;
                };
                // A side that goes away in the middle is one of the faults, not an error here.
                thread::spawn(move || carry(client, &server, ours).ok());
            }
        });
        Self { address, shared }
    }

    /// Changes what happens, on open connections too. The count for `times` begins again.
    pub fn set(&self, toxics: Toxics) {
        self.shared.ends.store(0, Ordering::Relaxed);
        *self.shared.toxics() = toxics;
    }

    /// Resets every connection that is open.
    pub fn sever(&self) {
        self.shared.severed.fetch_add(1, Ordering::Relaxed);
    }

    /// `host:port` to connect to.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The same as an HTTP address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections so far.
    pub fn connections(&self) -> u32 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Ends since the last [`Wire::set`].
    pub fn ends(&self) -> u32 {
        self.shared.ends.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // The listener looks at the flag when somebody calls.
        let _ = TcpStream::connect(self.address);
    }
}
