//! One connection through a [`crate::Wire`].

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use socket2::SockRef;

use crate::toxics::{End, Flow, Shared, http_answer};

/// How often a connection looks whether its end has come.
const TICK: Duration = Duration::from_millis(20);
const CHUNK_BYTES: usize = 64 * 1024;

/// One connection: a thread for each direction looks at this.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    severed: u32,
    /// The end that waits, and since when.
    armed: Mutex<Option<(End, Instant)>>,
    is_over: AtomicBool,
}

pub(crate) fn carry(client: TcpStream, server: &str, shared: Arc<Shared>) -> Result<()> {
    shared.connections.fetch_add(1, Ordering::Relaxed);
    if shared.toxics().refuse {
        shared.ends.fetch_add(1, Ordering::Relaxed);
        return SockRef::from(&client).set_linger(Some(Duration::ZERO));
    }
    let server = TcpStream::connect(server)?;
    for side in [&client, &server] {
        side.set_nodelay(true)?;
        side.set_read_timeout(Some(TICK))?;
    }
    let severed = shared.severed.load(Ordering::Relaxed);
    let (armed, is_over) = (Mutex::default(), AtomicBool::new(false));
    let pair = Arc::new(Pair { client, server, shared, severed, armed, is_over });
    let up = pair.clone();
    thread::spawn(move || {
        if up.carry_up().is_err() {
            up.close();
        }
    });
    let carried = pair.carry_down();
    if carried.is_err() {
        pair.close();
    }
    carried
}

/// What was read within a tick.
enum Chunk<'a> {
    Bytes(&'a [u8]),
    Nothing,
    End,
}

fn read<'a>(mut from: &TcpStream, buffer: &'a mut [u8]) -> Result<Chunk<'a>> {
    match from.read(buffer) {
        Ok(0) => Ok(Chunk::End),
        Ok(count) => Ok(Chunk::Bytes(&buffer[..count])),
        Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
            Ok(Chunk::Nothing)
        }
        Err(error) => Err(error),
    }
}

impl Pair {
    fn carry_up(&self) -> Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        // What the client sent last, for words that come in two pieces.
        let mut last = Vec::new();
        while !self.is_over() {
            let bytes = match read(&self.client, &mut buffer)? {
                Chunk::Nothing => continue,
                // Nobody hears of the end of a half-open connection.
                Chunk::End if matches!(&*self.armed(), Some((End::Silent | End::Mute, _))) => {
                    return Ok(());
                }
                Chunk::End => return self.server.shutdown(Shutdown::Write),
                Chunk::Bytes(bytes) => bytes,
            };
            last.extend_from_slice(bytes);
            let toxics = self.shared.toxics().clone();
            if let Some(end) = &toxics.end
                && self.armed().is_none()
                && contains(&last, toxics.only.as_bytes())
                && self.shared.take_end(toxics.times)
            {
                *self.armed() = Some((end.clone(), Instant::now()));
                last.clear();
            }
            let kept = last.len().saturating_sub(toxics.only.len());
            last.drain(..kept);
            if !matches!(&*self.armed(), Some((End::Silent | End::Answer(_), _))) {
                self.send(&self.server, bytes, &toxics.up)?;
            }
        }
        Ok(())
    }

    fn carry_down(&self) -> Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut is_silent = false;
        let mut left = None;
        while !self.is_over() {
            let chunk = if is_silent {
                thread::sleep(TICK);
                Chunk::Nothing
            } else {
                read(&self.server, &mut buffer)?
            };
            let has_answer = matches!(chunk, Chunk::Bytes(_));
            let armed = self.armed().clone();
            if let Some((end, since)) = armed.filter(|_| !is_silent && left.is_none()) {
                let is_due = |after: Duration| since.elapsed() >= after;
                match end {
                    End::Cut(after) if !has_answer && is_due(after) => return self.leave(b""),
                    End::Gateway(after) if !has_answer && is_due(after) => {
                        let page = "<html><h1>504 Gateway Time-out</h1></html>";
                        let page = http_answer("504 Gateway Timeout", "text/html", page);
                        return self.leave(page.as_bytes());
                    }
                    End::Cut(_) | End::Gateway(_) if has_answer => {
                        // In time: the next request on this connection has its own end.
                        *self.armed() = None;
                        self.shared.give_back_end();
                    }
                    End::Reset(after) if has_answer || is_due(after) => return self.reset(),
                    End::CutReply(bytes) if has_answer => left = Some(bytes),
                    End::Answer(text) => return self.leave(text.as_bytes()),
                    End::Silent | End::Mute => is_silent = true,
                    End::Cut(_) | End::Gateway(_) | End::Reset(_) | End::CutReply(_) => {}
                }
            }
            match chunk {
                Chunk::Nothing => {}
                Chunk::End => return self.client.shutdown(Shutdown::Both),
                Chunk::Bytes(_) if is_silent => {}
                Chunk::Bytes(bytes) => {
                    let share = left.map_or(bytes.len(), |left: usize| left.min(bytes.len()));
                    let flow = self.shared.toxics().down.clone();
                    self.send(&self.client, &bytes[..share], &flow)?;
                    left = left.map(|left| left - share);
                    if left == Some(0) {
                        return self.leave(b"");
                    }
                }
            }
        }
        Ok(())
    }

    fn send(&self, mut to: &TcpStream, bytes: &[u8], flow: &Flow) -> Result<()> {
        let share = self.shared.random.lock().expect("nobody panics with it").random::<f64>();
        self.pause(flow.delay + flow.jitter.mul_f64(share));
        let bounds = [flow.slice, flow.bytes_per_second.div_ceil(10)];
        let piece = bounds.into_iter().filter(|bound| *bound > 0).min().unwrap_or(bytes.len());
        for piece in bytes.chunks(piece.max(1)) {
            to.write_all(piece)?;
            if flow.bytes_per_second > 0 {
                let seconds = piece.len() as f64 / flow.bytes_per_second as f64;
                self.pause(Duration::from_secs_f64(seconds));
            }
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    fn pause(&self, length: Duration) {
        let end = Instant::now() + length;
        while !self.is_over() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(TICK));
        }
    }

    fn is_over(&self) -> bool {
        if self.severed != self.shared.severed.load(Ordering::Relaxed) {
            let _ = self.reset();
        }
        self.is_over.load(Ordering::Relaxed) || self.shared.stop.load(Ordering::Relaxed)
    }

    fn armed(&self) -> MutexGuard<'_, Option<(End, Instant)>> {
        self.armed.lock().expect("nobody panics with it")
    }

    /// A last word to the client, then its side is closed; the server's words go nowhere.
    fn leave(&self, word: &[u8]) -> Result<()> {
        let flow = self.shared.toxics().down.clone();
        self.send(&self.client, word, &flow)?;
        self.client.shutdown(Shutdown::Write)?;
        let mut buffer = vec![0; CHUNK_BYTES];
        while !self.is_over() && !matches!(read(&self.server, &mut buffer)?, Chunk::End) {}
        Ok(())
    }

    /// Both sides get an RST as soon as both threads have let go of them.
    fn reset(&self) -> Result<()> {
        for side in [&self.client, &self.server] {
            SockRef::from(side).set_linger(Some(Duration::ZERO))?;
        }
        self.is_over.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn close(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        // One of the two is closed already, or both.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    words.is_empty() || text.windows(words.len()).any(|window| window == words)
}
