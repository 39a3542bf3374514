//! TLS to the server: a private authority works, and everything else is refused before anything is
//! sent, with the cause and the remedy.

use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{Authority, Finished, Scene, TlsFront, wait_for};

/// No way to the server.
const UNREACHABLE: i32 = 5;
const USAGE: i32 = 2;

/// Both programs refuse the front at once, and say these words.
fn refused(scene: &Scene, front: &TlsFront, name: &str, ca_file: Option<&str>, words: &[&str]) {
    let coordinator = scene.longshore(["status"]);
    let worker = scene.worker("0123456789abcdef");
    for program in [coordinator, worker] {
        let before = front.connections();
        let begin = Instant::now();
        let program = program.env("CLICKHOUSE_URL", front.url(name));
        let ended = match ca_file {
            Some(path) => program.env("CLICKHOUSE_CA_FILE", path),
            None => program,
        };
        let ended = ended.run().exits_with(UNREACHABLE).says(words);
        assert!(begin.elapsed() < Duration::from_secs(30), "{ended}");
        assert_eq!(front.connections() - before, 1, "trying again is of no use\n{ended}");
        secret_stays(scene, &ended);
    }
    wait_for("the refused clients are gone", || (front.handshakes() == 0).then_some(()));
}

fn secret_stays(scene: &Scene, ended: &Finished) {
    assert!(!format!("{ended}").contains(&scene.bed.password), "{ended}");
}

#[test]
fn a_job_runs_behind_a_private_authority() {
    let scene = Scene::with_events(3, 200);
    let authority = Authority::new();
    let front = TlsFront::start(&scene.bed.clickhouse_url, Some(&authority), "localhost", false);
    let ca_file = authority.write(scene.folder()).display().to_string();
    let url = front.url("localhost");
    // By the variable, by the flag, and by the file; `run` hands it on to its workers.
    let planned = scene.plan_program("events", "*", &["--chunk-files-max", "1"]);
    let planned = planned.env("CLICKHOUSE_URL", &url).env("CLICKHOUSE_CA_FILE", &ca_file).run();
    let job = planned.ok().json()["plan_id"].as_str().expect("a plan").to_owned();
    let run = scene.longshore(["run", &job, "--workers", "2", "--ca-file", &ca_file]);
    run.env("CLICKHOUSE_URL", &url).run().ok();
    let toml = scene.folder().join("tls.toml");
    std::fs::write(&toml, format!("[server]\nca_file = \"{ca_file}\"\n")).expect("a folder");
    let toml = toml.display().to_string();
    scene
        .longshore(["status", &job])
        .env("CLICKHOUSE_URL", &url)
        .args(["--config", &toml])
        .run()
        .ok();
    assert!(front.handshakes() > 3, "everything went through the front");
    scene.assert_exact();
    scene.assert_clean(&job);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let scene = Scene::new();
    let authority = Authority::new();
    let front = TlsFront::start(&scene.bed.clickhouse_url, Some(&authority), "localhost", false);
    refused(&scene, &front, "localhost", None, &["not trusted", "--ca-file"]);
    let other = Authority::new().write(scene.folder()).display().to_string();
    // Of the same name, but with another key.
    refused(&scene, &front, "localhost", Some(&other), &["certificate is refused"]);
}

#[test]
fn a_certificate_that_nobody_signed_is_refused() {
    let scene = Scene::new();
    let front = TlsFront::start(&scene.bed.clickhouse_url, None, "localhost", false);
    refused(&scene, &front, "localhost", None, &["not trusted", "--ca-file"]);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let scene = Scene::new();
    let authority = Authority::new();
    let ca_file = authority.write(scene.folder()).display().to_string();
    let front = TlsFront::start(&scene.bed.clickhouse_url, Some(&authority), "ch.example", false);
    for name in ["localhost", "127.0.0.1"] {
        refused(&scene, &front, name, Some(&ca_file), &["another name", "ch.example"]);
    }
}

#[test]
fn an_expired_certificate_is_refused() {
    let scene = Scene::new();
    let authority = Authority::new();
    let ca_file = authority.write(scene.folder()).display().to_string();
    let front = TlsFront::start(&scene.bed.clickhouse_url, Some(&authority), "localhost", true);
    refused(&scene, &front, "localhost", Some(&ca_file), &["expired"]);
}

#[test]
fn an_https_address_is_never_spoken_to_in_plain() {
    let scene = Scene::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("its address"));
    let heard = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        let mut bytes = vec![0; 4096];
        let count = client.read(&mut bytes).expect("its first words");
        bytes.truncate(count);
        bytes
    });
    let ended = scene.longshore(["status"]).env("CLICKHOUSE_URL", &url).run();
    let ended = ended.exits_with(UNREACHABLE);
    let heard = heard.join().expect("no panic");
    assert_eq!(heard.first(), Some(&0x16), "a TLS handshake, and nothing else: {heard:?}\n{ended}");

    // A port that does not speak TLS is told as what it is.
    let plain = scene.bed.clickhouse_url.replace("http://", "https://");
    let ended = scene.longshore(["status"]).env("CLICKHOUSE_URL", &plain).run();
    ended.exits_with(UNREACHABLE).says(&["does not speak TLS", "8443"]);
}

#[test]
fn a_file_without_certificates_is_refused_before_anything_else() {
    let scene = Scene::new();
    let path = scene.folder().join("empty.pem");
    std::fs::write(&path, "no certificate\n").expect("a folder");
    for path in [path.display().to_string(), "/nowhere/at/all.pem".to_owned()] {
        let status = scene.longshore(["status"]).env("CLICKHOUSE_CA_FILE", &path);
        status.run().exits_with(USAGE).says(&["server.ca_file", "CLICKHOUSE_CA_FILE", &path]);
    }
}

#[test]
fn a_password_over_plain_http_to_another_machine_is_warned_about() {
    let scene = Scene::new();
    // Nobody answers at this address, which belongs to examples; the warning comes before.
    let url = "http://host.invalid:8123";
    for program in [scene.longshore(["status"]), scene.worker("0123456789abcdef")] {
        let ended = program.env("CLICKHOUSE_URL", url).run().exits_with(UNREACHABLE);
        let ended = ended.says(&["unencrypted to host.invalid", "https"]);
        secret_stays(&scene, &ended);
    }
    let quiet = scene.longshore(["status"]).run().ok();
    assert!(!quiet.stderr.contains("unencrypted"), "{quiet}");
}
