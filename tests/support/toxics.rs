//! What a [`crate::Wire`] does to its connections, and what they have in common.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;

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

/// What the connections of one proxy have in common.
pub(crate) struct Shared {
    pub(crate) toxics: Mutex<Toxics>,
    pub(crate) random: Mutex<StdRng>,
    /// Connections that began before the last [`Wire::sever`] are to be reset.
    pub(crate) severed: AtomicU32,
    pub(crate) connections: AtomicU32,
    pub(crate) ends: AtomicU32,
    pub(crate) stop: AtomicBool,
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
