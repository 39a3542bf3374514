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
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::carry::carry;

/// What a proxy does to connections that are open and to those that come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toxics {
    /// From the client to the server.
    pub up: Flow,
    /// From the server to the client.
    pub down: Flow,
    /// How a connection ends before its time.
    pub end: Option<End>,
    /// The end waits for these bytes from the client; empty: for any byte.
    pub only: String,
    /// After so many ends all others are spared; 0: no limit.
    pub times: u32,
    /// New connections are reset at once.
    pub refuse: bool,
}

/// How bytes go in one direction; 0 is no bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    /// Every chunk of bytes waits for so long…
    pub delay: Duration,
    /// … and for up to so much more.
    pub jitter: Duration,
    /// The most that goes in a second.
    pub bytes_per_second: usize,
    /// The most that goes in one segment.
    pub slice: usize,
}

/// How a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The client's side is closed when there is no answer for so long; the server goes on.
    Cut(Duration),
    /// The client gets so many bytes of the answer; then its side is closed.
    CutReply(usize),
    /// Both sides are reset (RST) after so long, or when the answer begins.
    Reset(Duration),
    /// Half open: nothing goes to the server any more, nothing comes back, nothing is closed.
    Silent,
    /// The server gets everything; nothing comes back, and nothing is closed.
    Mute,
    /// An HTTP gateway: "504 Gateway Timeout" as a page when there is no answer for so long; the
    /// server goes on.
    Gateway(Duration),
    /// These bytes in the server's place, which does not get the request.
    Answer(String),
}

/// A whole HTTP answer for [`End::Answer`].
pub fn http_answer(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

/// A running proxy; it and its connections end with the test.
pub struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What the connections of one proxy have in common.
pub(crate) struct Shared {
    toxics: Mutex<Toxics>,
    pub(crate) random: Mutex<StdRng>,
    /// Connections that began before the last [`Wire::sever`] are to be reset.
    pub(crate) severed: AtomicU32,
    pub(crate) connections: AtomicU32,
    pub(crate) ends: AtomicU32,
    pub(crate) stop: AtomicBool,
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

impl Shared {
    pub(crate) fn toxics(&self) -> MutexGuard<'_, Toxics> {
        self.toxics.lock().expect("nobody panics with it")
    }

    /// Takes one of the ends that are left.
    pub(crate) fn take_end(&self, times: u32) -> bool {
        let taken = |ends: u32| (times == 0 || ends < times).then_some(ends + 1);
        self.ends.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Gives one back: the answer came in time.
    pub(crate) fn give_back_end(&self) {
        let fewer = |ends: u32| ends.checked_sub(1);
        // Nothing to give back: the count has begun again meanwhile.
        let _ = self.ends.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
    }
}
