//! Error texts of the server that are not UTF-8, made readable.
//!
//! A server error quotes the data at fault, and data may be any bytes. The client crate throws an
//! error away whose text is not UTF-8 and keeps the code alone. So each connection looks at the
//! answers that pass: in those that are errors, bytes that are no UTF-8 become question marks.
//! A byte takes the place of a byte, so that the length of an answer stays true. Other answers
//! pass as they are.

use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

/// Bytes of an answer that are looked at in one go.
const READ_BYTES_MAX: usize = 16 * 1024;
/// A longer head is none of a ClickHouse server; it passes as it is.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Stands for a byte that is no part of any text.
const UNREADABLE: u8 = b'?';

/// Makes connections whose errors can be read.
#[derive(Debug, Clone)]
pub(super) struct ReadableConnector<C>(pub(super) C);

impl<C, U, S> Service<U> for ReadableConnector<C>
where
    C: Service<U, Response = S>,
    C::Future: Send + 'static,
    S: Send + 'static,
{
    type Response = Readable<S>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Readable<S>, C::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, address: U) -> Self::Future {
        let connecting = self.0.call(address);
        Box::pin(async move { Ok(Readable { stream: connecting.await?, answer: Answer::head() }) })
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Readable<S> {
    stream: S,
    answer: Answer,
}

impl<S: Connection> Connection for Readable<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl<S: Read + Unpin> Read for Readable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // What was held back of the last read comes with this one, so it needs room too.
        let room = into.remaining().saturating_sub(self.answer.held.len()).min(READ_BYTES_MAX);
        if room == 0 {
            let fits = into.remaining().min(self.answer.held.len());
            into.put_slice(&self.answer.held.drain(..fits).collect::<Vec<u8>>());
            return Poll::Ready(Ok(()));
        }
        let mut bytes = vec![0; room];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer.unfilled()))?;
            let read = buffer.filled();
            let is_end = read.is_empty();
            let passed = if is_end { self.answer.give_up() } else { self.answer.pass(read) };
            // No bytes at all would be the end of the connection to the reader.
            if is_end || !passed.is_empty() {
                into.put_slice(&passed);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: Write + Unpin> Write for Readable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // What is read after a request is the head of its answer.
        self.answer.expect_head();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answer.expect_head();
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
}

/// The answer that is being read.
#[derive(Debug)]
struct Answer {
    place: Place,
    /// The first bytes of a letter whose rest comes with the next read.
    held: Vec<u8>,
}

#[derive(Debug)]
enum Place {
    /// The lines before the body; what was read of them so far.
    Head(Vec<u8>),
    /// A result: not text, and none of our business.
    Result,
    /// An error. In chunks it ends with a line of its own, so a letter is never its end.
    Error { in_chunks: bool },
}

impl Answer {
    fn head() -> Self {
        Self { place: Place::Head(Vec::new()), held: Vec::new() }
    }

    fn expect_head(&mut self) {
        if !matches!(self.place, Place::Head(_)) {
            self.place = Place::Head(Vec::new());
        }
    }

    /// What was held back, when nothing follows it.
    fn give_up(&mut self) -> Vec<u8> {
        mem::take(&mut self.held)
    }

    /// What the reader gets of these bytes.
    fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.place {
            Place::Result => bytes.to_vec(),
            Place::Error { in_chunks } => {
                let in_chunks = *in_chunks;
                let mut text = self.give_up();
                text.extend_from_slice(bytes);
                let whole = repair(&mut text, in_chunks);
                self.held = text.split_off(whole);
                text
            }
            Place::Head(seen) => {
                let before = seen.len();
                seen.extend_from_slice(bytes);
                let Some(end) = find(seen, b"\r\n\r\n").map(|at| at + 4) else {
                    if seen.len() > HEAD_BYTES_MAX {
                        self.place = Place::Result;
                    }
                    return bytes.to_vec();
                };
                self.place = judge(&seen[..end]);
                // The end of the head is in these bytes: it was not in those before.
                let (head, body) = bytes.split_at(end.saturating_sub(before).min(bytes.len()));
                let mut passed = head.to_vec();
                if !body.is_empty() {
                    passed.append(&mut self.pass(body));
                }
                passed
            }
        }
    }
}

/// Is the answer with this head an error?
fn judge(head: &[u8]) -> Place {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let is_ok = head.split(' ').nth(1) == Some("200");
    if head.starts_with("http/1.") && (!is_ok || head.contains("\r\nx-clickhouse-exception-code:"))
    {
        let is_packed = head.contains("\r\ncontent-encoding:");
        let in_chunks = head.contains("\r\ntransfer-encoding: chunked");
        return if is_packed { Place::Result } else { Place::Error { in_chunks } };
    }
    Place::Result
}

/// Replaces what is no UTF-8. The length of what can be passed on: without the beginning of a
/// letter at the end, if its rest may follow.
fn repair(text: &mut [u8], more_follows: bool) -> usize {
    let mut at = 0;
    while let Err(error) = std::str::from_utf8(&text[at..]) {
        let from = at + error.valid_up_to();
        let Some(length) = error.error_len() else {
            if more_follows {
                return from;
            }
            text[from..].fill(UNREADABLE);
            return text.len();
        };
        at = from + length;
        text[from..at].fill(UNREADABLE);
    }
    text.len()
}

fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    text.windows(words.len()).position(|window| window == words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: &[u8] =
        b"HTTP/1.1 400 Bad Request\r\nX-ClickHouse-Exception-Code: 6\r\nTransfer-Encoding: chunked\r\n\r\n";
    const RESULT: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Everything that passes of an answer which is read in pieces.
    fn read_in(pieces: usize, answer: &[u8]) -> Vec<u8> {
        let mut state = Answer::head();
        let mut passed: Vec<u8> =
            answer.chunks(pieces).flat_map(|piece| state.pass(piece)).collect();
        passed.extend(state.give_up());
        passed
    }

    #[test]
    fn an_error_is_readable_whatever_it_quotes_and_as_long_as_it_was() {
        let body =
            b"Code: 6. DB::Exception: 'PK\x03\xff\xfe' in \xc3\xbc\xe2\x98\x83.csv\r\n0\r\n\r\n";
        let answer = [ERROR, body].concat();
        for pieces in 1..answer.len() {
            let passed = read_in(pieces, &answer);
            assert_eq!(passed.len(), answer.len(), "{pieces}");
            let text = String::from_utf8(passed).expect("readable");
            assert!(text.contains("'PK\u{3}??' in ü☃.csv"), "{pieces}: {text}");
        }
    }

    #[test]
    fn a_letter_that_is_cut_off_by_the_end_of_an_error_holds_nothing_up() {
        let head = b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\n";
        let passed = read_in(1_000, &[head.as_slice(), b"a\xe2\x98"].concat());
        assert!(passed.ends_with(b"\r\n\r\na??"));
    }

    #[test]
    fn a_result_passes_as_it_is() {
        let answer = [RESULT, b"\xff\xfe\x00HTTP/1.1 500 \xff"].concat();
        for pieces in [1, 7, 1_000] {
            assert_eq!(read_in(pieces, &answer), answer);
        }
    }

    #[test]
    fn the_next_answer_is_judged_by_its_own_head() {
        let mut state = Answer::head();
        assert!(state.pass(&[ERROR, b"\xff"].concat()).ends_with(b"?"));
        state.expect_head();
        assert!(state.pass(&[RESULT, b"\xff"].concat()).ends_with(b"\xff"));
    }
}
