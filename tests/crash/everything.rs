//! The plug is pulled: workers, command, ClickHouse, Keeper and object store die at once, and come
//! back in any order that they can.

use std::thread;
use std::time::Duration;

use longshore_tests::{CLICKHOUSE, KEEPER, OwnBed, Program, Running, S3, Scene, long_or, wait_for};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// Blows of a usual run, and of a long one.
const ROUNDS: [usize; 2] = [1, 2];
/// A load takes about a second, so that most blows meet some.
const SLOW: &str = "sleepEachRow(0.005) = 0";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    Server(&'static str),
    Worker,
    Resume,
}

/// As it is without a setting: a slot loads while the task before it is published.
fn ahead(program: Program) -> Program {
    program.env("LONGSHORE_LOAD_AHEAD", "true")
}

#[test]
fn everything_that_is_killed_at_once_and_started_in_any_order_goes_on() {
    let seed = std::env::var("FAULT_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().expect("FAULT_SEED is a number"));
    println!("FAULT_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let bed = OwnBed::start();
    for round in 0..long_or(ROUNDS[0], ROUNDS[1]) {
        let scene = Scene::on(&bed.bed).and_events(8, 200);
        let more = ["--chunk-files-max", "1", "--attempts-max", "50", "--where", SLOW];
        let job = scene.plan(&more);
        let mut programs: Vec<Running> =
            vec![ahead(scene.endless_worker().args(["--slots", "2"])).spawn()];
        programs.push(ahead(scene.longshore(["run", &job, "--workers", "1"])).spawn());
        let wait = Duration::from_millis(rng.random_range(500..5_000));
        thread::sleep(wait);
        pull_the_plug(&bed, &mut programs);

        let mut order = [
            Actor::Server(CLICKHOUSE),
            Actor::Server(KEEPER),
            Actor::Server(S3),
            Actor::Worker,
            Actor::Resume,
        ];
        order.shuffle(&mut rng);
        // This server does not begin without its Keeper.
        let place = |name| order.iter().position(|actor| *actor == Actor::Server(name));
        if let (Some(server), Some(keeper)) = (place(CLICKHOUSE), place(KEEPER))
            && server < keeper
        {
            order.swap(server, keeper);
        }
        let mut back = Vec::new();
        for actor in order {
            match actor {
                Actor::Server(name) => bed.restart(name),
                Actor::Worker => back.push(ahead(scene.endless_worker()).spawn()),
                // It may come too early: then it says so, and is asked again below.
                Actor::Resume => drop(scene.longshore(["resume", &job]).run()),
            }
        }
        let what = format!("seed {seed}, round {round}, after {wait:?}, {order:?}");
        wait_for(&what, || {
            (scene.longshore(["resume", &job]).run().code() == Some(0)).then_some(())
        });
        scene.settle(&job, &what);
        back.iter_mut().for_each(Running::kill);
    }
}

fn pull_the_plug(bed: &OwnBed, programs: &mut [Running]) {
    thread::scope(|scope| {
        for server in [CLICKHOUSE, KEEPER, S3] {
            scope.spawn(move || bed.signal(server, "KILL"));
        }
        for program in programs {
            scope.spawn(move || program.kill());
        }
    });
}
