//! A small web server with files, some of which are gone by the time somebody reads them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A file of the web server.
#[derive(Debug, Clone)]
pub struct WebFile {
    /// Its path, with the slash in front.
    pub path: String,
    /// What a GET brings; none answers 404, though a HEAD finds the file.
    pub content: Option<String>,
    /// Is the time of its last change told?
    pub has_time: bool,
}

impl WebFile {
    /// A file that is there.
    pub fn new(path: &str, content: &str) -> Self {
        Self { path: path.to_owned(), content: Some(content.to_owned()), has_time: true }
    }

    /// A file that a HEAD finds and a GET does not.
    pub fn gone(path: &str) -> Self {
        Self { path: path.to_owned(), content: None, has_time: true }
    }

    /// The same without the time of its last change.
    #[must_use]
    pub fn timeless(self) -> Self {
        Self { has_time: false, ..self }
    }
}

/// A running web server; it ends with the test.
pub struct Web {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Web {
    /// Serves these files, and 404 for everything else, on a free port of this machine.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(files: Vec<WebFile>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let stop = Arc::new(AtomicBool::new(false));
        let (ours, files) = (stop.clone(), Arc::new(files));
        thread::spawn(move || {
            for client in listener.incoming() {
                if ours.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), files) = (client, files.clone()) else { continue };
                // A client that goes away in the middle is no error here.
                thread::spawn(move || answer(client, &files).ok());
            }
        });
        Self { address, stop }
    }

    /// Address of a file.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The listener looks at the flag when somebody calls.
        let _ = TcpStream::connect(self.address);
    }
}

/// One request a connection.
fn answer(client: TcpStream, files: &[WebFile]) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // The head is read to its end, or the answer would be a reset.
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let file = files.iter().find(|file| file.path == path);
    let found = file.filter(|file| method == "HEAD" || file.content.is_some());
    let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
    let content = found.and_then(|file| file.content.as_deref()).unwrap_or_default();
    // A file that is gone had as many bytes as it says.
    let length = if found.is_some_and(|file| file.content.is_none()) { 5 } else { content.len() };
    let time = match found {
        Some(file) if file.has_time => "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
        _ => "",
    };
    let body = if method == "HEAD" { "" } else { content };
    let mut client = client;
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{time}Connection: close\r\n\r\n{body}"
    )
}
