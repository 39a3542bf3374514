//! The raw proxy itself: a proxy that breaks nothing would let every test behind it pass.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{DEADLINE, End, Flow, Toxics, Wire, http_answer};

const SHORT: Duration = Duration::from_millis(200);

/// A server that answers `<line>` with `done <line>` after the wanted time, and tells what it got.
fn server(pause: Duration) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address").to_string();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, tell) = (stream.expect("a client"), tell.clone());
            thread::spawn(move || answer(&stream, pause, &tell));
        }
    });
    (address, told)
}

fn answer(mut stream: &TcpStream, pause: Duration, tell: &Sender<String>) {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|count| count == 1) {
        line.push(byte[0]);
        if byte[0] == b'\n' {
            let text = String::from_utf8(line.split_off(0)).expect("text");
            // Both ends may be gone; that is what the faults do.
            let _ = tell.send(text.trim().to_owned());
            thread::sleep(pause);
            let _ = stream.write_all(format!("done {text}").as_bytes());
        }
    }
}

fn call(wire: &Wire) -> TcpStream {
    let stream = TcpStream::connect(wire.address()).expect("the proxy");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    stream
}

fn say(mut stream: &TcpStream, line: &str) {
    stream.write_all(format!("{line}\n").as_bytes()).expect("sent");
}

fn hear(mut stream: &TcpStream, bytes: usize) -> String {
    let mut answer = vec![0; bytes];
    stream.read_exact(&mut answer).expect("an answer");
    String::from_utf8(answer).expect("text")
}

/// Everything until the end of the connection, and how it ended.
fn rest(mut stream: &TcpStream) -> (String, Option<ErrorKind>) {
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).err().map(|error| error.kind());
    (String::from_utf8(answer).expect("text"), end)
}

fn ending(end: End) -> Toxics {
    Toxics { end: Some(end), ..Toxics::default() }
}

fn heard(told: &Receiver<String>) -> String {
    told.recv_timeout(DEADLINE).expect("the server got it")
}

#[test]
fn without_toxics_everything_goes_through() {
    let (address, _told) = server(Duration::ZERO);
    let wire = Wire::start(&format!("http://{address}"));
    let stream = call(&wire);
    let long = "x".repeat(300_000);
    say(&stream, &long);
    assert_eq!(hear(&stream, long.len() + 6), format!("done {long}\n"));
    assert_eq!((wire.connections(), wire.ends()), (1, 0));
}

#[test]
fn bytes_are_delayed_dripped_and_sliced() {
    let (address, _told) = server(Duration::ZERO);
    let wire = Wire::seeded(&address, 7);
    let stream = call(&wire);
    let timed = |flow: Flow| {
        wire.set(Toxics { down: flow, ..Toxics::default() });
        let begin = Instant::now();
        say(&stream, "a line of twenty-five byte");
        assert_eq!(hear(&stream, 32), "done a line of twenty-five byte\n");
        begin.elapsed()
    };
    assert!(timed(Flow { delay: SHORT, jitter: SHORT, ..Flow::default() }) >= SHORT);
    assert!(timed(Flow { bytes_per_second: 64, ..Flow::default() }) >= 2 * SHORT);
    timed(Flow { slice: 1, ..Flow::default() });
    // Healed while the connection is open.
    assert!(timed(Flow::default()) < DEADLINE);
}

#[test]
fn a_request_is_cut_while_the_server_goes_on() {
    for end in [End::Cut(SHORT), End::CutReply(0)] {
        let (address, told) = server(2 * SHORT);
        let wire = Wire::start(&address);
        wire.set(Toxics { only: "slow".into(), ..ending(end) });
        let stream = call(&wire);
        say(&stream, "quick");
        assert_eq!(hear(&stream, 11), "done quick\n");
        say(&stream, "slow");
        assert_eq!(rest(&stream), (String::new(), None));
        assert_eq!((heard(&told), heard(&told)), ("quick".into(), "slow".into()));
        assert_eq!(wire.ends(), 1);
    }
}

#[test]
fn an_answer_is_cut_short() {
    let (address, _told) = server(Duration::ZERO);
    let wire = Wire::start(&address);
    wire.set(Toxics { times: 1, ..ending(End::CutReply(6)) });
    let stream = call(&wire);
    say(&stream, "line");
    assert_eq!(rest(&stream), ("done l".into(), None));
    let spared = call(&wire);
    say(&spared, "line");
    assert_eq!(hear(&spared, 10), "done line\n");
    assert_eq!(wire.ends(), 1);
}

#[test]
fn connections_are_reset() {
    let (address, told) = server(DEADLINE);
    let wire = Wire::start(&address);
    wire.set(ending(End::Reset(SHORT)));
    let stream = call(&wire);
    say(&stream, "line");
    assert_eq!(heard(&told), "line");
    assert_eq!(rest(&stream), (String::new(), Some(ErrorKind::ConnectionReset)));

    wire.set(Toxics::default());
    let stream = call(&wire);
    say(&stream, "line");
    assert_eq!(heard(&told), "line");
    wire.sever();
    assert_eq!(rest(&stream), (String::new(), Some(ErrorKind::ConnectionReset)));

    wire.set(Toxics { refuse: true, ..Toxics::default() });
    assert_eq!(rest(&call(&wire)).1, Some(ErrorKind::ConnectionReset));
}

#[test]
fn a_half_open_connection_is_silent() {
    for end in [End::Silent, End::Mute] {
        let (address, told) = server(Duration::ZERO);
        let wire = Wire::start(&address);
        wire.set(ending(end.clone()));
        let stream = call(&wire);
        stream.set_read_timeout(Some(2 * SHORT)).expect("a socket");
        say(&stream, "line");
        assert_eq!(rest(&stream), (String::new(), Some(ErrorKind::WouldBlock)), "{end:?}");
        let got = told.recv_timeout(SHORT).ok();
        assert_eq!(got, (end == End::Mute).then(|| "line".to_owned()), "{end:?}");
    }
}

#[test]
fn a_gateway_answers_when_its_time_is_over_and_only_then() {
    let (address, told) = server(2 * SHORT);
    let wire = Wire::start(&address);
    wire.set(ending(End::Gateway(SHORT)));
    let stream = call(&wire);
    say(&stream, "line");
    let (page, _) = rest(&stream);
    assert!(page.starts_with("HTTP/1.1 504 ") && page.contains("text/html"), "{page}");
    assert_eq!(heard(&told), "line");
    wire.set(ending(End::Gateway(DEADLINE)));
    let stream = call(&wire);
    for _ in 0..2 {
        say(&stream, "line");
        assert_eq!(hear(&stream, 10), "done line\n");
    }
    assert_eq!(wire.ends(), 0, "answers in time are no ends");
}

#[test]
fn the_proxy_answers_in_place_of_the_server() {
    let (address, told) = server(Duration::ZERO);
    let wire = Wire::start(&address);
    let text = http_answer("503 Slow Down", "application/xml", "<Code>SlowDown</Code>");
    wire.set(Toxics { only: "GET /key".into(), ..ending(End::Answer(text.clone())) });
    let stream = call(&wire);
    say(&stream, "GET /key");
    assert_eq!(rest(&stream).0, text);
    assert!(told.recv_timeout(SHORT).is_err(), "the server never got it");
}
