//! A proxy between the programs and the server that loses requests and answers on demand.
//!
//! One request a connection: it is read whole, judged, passed on, and its answer given back, so a
//! lost answer is exactly the case "applied, and the client never learns it".

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ureq::{Agent, http};

use crate::http::agent;

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is passed on, and so is its answer.
    Pass,
    /// It never reaches the server; the connection ends.
    LoseRequest,
    /// The server carries it out; the connection ends without an answer.
    LoseAnswer,
    /// The proxy answers in the server's place.
    Answer(u16, String),
}

type Rule = dyn Fn(&str) -> Verdict + Send + Sync;

/// A running proxy; it ends with the test.
pub struct Proxy {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// Listens on a free port of this machine. The rule sees the request's target and body.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(server: &str, rule: impl Fn(&str) -> Verdict + Send + Sync + 'static) -> Self {
        let server = server.to_owned();
        Self::routed(move || server.clone(), rule)
    }

    /// The same, and where each connection leads is asked when it comes.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn routed(
        route: impl Fn() -> String + Send + Sync + 'static,
        rule: impl Fn(&str) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let stop = Arc::new(AtomicBool::new(false));
        let ended = stop.clone();
        let route: Arc<dyn Fn() -> String + Send + Sync> = Arc::new(route);
        let rule: Arc<Rule> = Arc::new(rule);
        thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), rule, server) = (client, rule.clone(), route()) else {
                    continue;
                };
                // A client that goes away in the middle is one of the faults, not an error here.
                thread::spawn(move || serve(&client, &server, &*rule).ok());
            }
        });
        Self { address, stop }
    }

    /// An address that leads to one server, or to another one while `is_elsewhere` says so.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn between(
        server: &str,
        other: &str,
        is_elsewhere: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let (server, other) = (server.to_owned(), other.to_owned());
        let route = move || if is_elsewhere() { other.clone() } else { server.clone() };
        Self::routed(route, |_| Verdict::Pass)
    }

    /// A server whose configuration lacks the prefix that KeeperMap tables need.
    pub fn without_keeper_map(server: &str) -> Self {
        let words = "Code: 36. DB::Exception: KeeperMap is disabled because 'keeper_map_path_prefix' \
                     config is not defined. (BAD_ARGUMENTS) (version 26.7.2.1)";
        Self::start(server, |request| {
            let makes_one = request.contains("ENGINE = KeeperMap");
            if makes_one { Verdict::Answer(400, words.to_owned()) } else { Verdict::Pass }
        })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The listener looks at the flag when somebody calls.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(client: &TcpStream, server: &str, rule: &Rule) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut first = head.first().map(|line| line.split(' ')).into_iter().flatten();
    let (method, target) = (first.next().unwrap_or("GET"), first.next().unwrap_or("/"));
    let headers: Vec<(&str, &str)> =
        head.iter().skip(1).filter_map(|line| line.split_once(": ")).collect();
    let body = read_body(&mut reader, &headers)?;
    let verdict = rule(&format!("{}\n{}", decode(target), String::from_utf8_lossy(&body)));
    let is_lost = verdict == Verdict::LoseAnswer;
    let answer = match verdict {
        Verdict::LoseRequest => return Ok(()),
        Verdict::Answer(status, text) => (status, Vec::new(), text.into_bytes()),
        Verdict::Pass | Verdict::LoseAnswer => {
            let sent = pass_on(&agent(), method, &format!("{server}{target}"), &headers, body);
            let Ok(answer) = sent else { return Ok(()) };
            answer
        }
    };
    if is_lost {
        return Ok(());
    }
    let (status, headers, body) = answer;
    let mut text = format!("HTTP/1.1 {status} Answer\r\n");
    for (name, value) in headers {
        text = format!("{text}{name}: {value}\r\n");
    }
    let mut client = client;
    write!(client, "{text}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    client.write_all(&body)
}

fn read_body(reader: &mut impl BufRead, headers: &[(&str, &str)]) -> std::io::Result<Vec<u8>> {
    let header = |name: &str| {
        headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    };
    let mut body = Vec::new();
    if header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
            reader.by_ref().take(size).read_to_end(&mut body)?;
            reader.read_line(&mut line)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut body)?;
    Ok(body)
}

type Answer = (u16, Vec<(String, String)>, Vec<u8>);

fn pass_on(
    agent: &Agent,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<Answer, String> {
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        let own = ["host", "content-length", "transfer-encoding", "connection", "expect"];
        if !own.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            request = request.header(*name, *value);
        }
    }
    let request = request.body(body).map_err(|error| error.to_string())?;
    let mut answer = agent.run(request).map_err(|error| error.to_string())?;
    let shown = |name: &http::HeaderName| {
        name.as_str().starts_with("x-clickhouse") || name == http::header::CONTENT_TYPE
    };
    let headers = answer
        .headers()
        .iter()
        .filter(|(name, _)| shown(name))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_to_vec().map_err(|error| error.to_string())?;
    Ok((status, headers, body))
}

/// Undoes percent encoding, for a rule to look at.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (byte, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &after[2..];
            }
            (byte, _) => {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
