//! The report of a campaign, as a table for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::ends::End;
use crate::kind::Kind;
use crate::record::Sums;

/// Tells what happened. True when nothing was lost, doubled or left.
pub(crate) fn tell(sums: &Sums, seed: u64, seconds: f64, log: &Path, file: Option<&Path>) -> bool {
    let is_well = sums.findings.is_empty() && sums.lost == 0 && sums.duplicated == 0;
    let faults: u64 = sums.faults.values().sum();
    println!("\n{:<34}{:>10}", "fault", "times");
    for (kind, name, _) in Kind::ALL {
        println!("{:<34}{:>10}", name, sums.faults.get(kind.name()).unwrap_or(&0));
    }
    println!("{:<34}{faults:>10}", "all faults");
    if !sums.commands.is_empty() {
        let titles = ["commands", "done", "cut", "in vain", "refused"];
        println!();
        line_of_command(titles[0], &titles[1..]);
        for kind in commands() {
            line_of_command(kind.name(), &counts_of(sums, kind));
        }
        println!("{:<34}{:>10}\n", "commands done or cut", done_or_cut(sums));
    }
    println!("{:<34}{:>10}", "within 2 s of another", sums.doubles);
    println!("{:<34}{:>10}", "not done (server already down)", sums.skipped);
    println!("{:<34}{:>10.2}", "faults a second", faults as f64 / seconds.max(0.001));
    println!();
    let numbers = [
        ("jobs", sums.jobs),
        ("jobs loaded again", sums.again),
        ("tasks", sums.tasks),
        ("rows checked", sums.rows),
        ("rows lost", sums.lost),
        ("rows duplicated", sums.duplicated),
        ("tasks quarantined", sums.quarantined.len() as u64),
        ("tasks given up", sums.given_up.len() as u64),
        ("jobs paused by a fault", sums.paused.len() as u64),
        ("findings", sums.findings.len() as u64),
    ];
    for (what, number) in numbers {
        println!("{what:<34}{number:>10}");
    }
    println!(
        "\n{:<34}{:>8}{:>12}{:>12}{:>12}",
        "recovery times", "times", "median ms", "p99 ms", "most ms"
    );
    let mut times = BTreeMap::from([
        ("dead worker's task claimed again", sums.reclaims.clone()),
        ("the same, servers hurt meanwhile", sums.reclaims_disturbed.clone()),
    ]);
    times.extend(sums.heals.iter().map(|(fault, times)| (*fault, times.clone())));
    for (what, values) in &times {
        let (median, p99, most) = spread(values);
        let title = if sums.heals.contains_key(what) {
            format!("work again after {what}")
        } else {
            (*what).to_owned()
        };
        println!("{title:<34}{:>8}{median:>12}{p99:>12}{most:>12}", values.len());
    }
    if faults > 0 && sums.lost + sums.duplicated == 0 {
        // The rule of three: no event in n tries is less than 3/n a try, at 95 %.
        println!(
            "\nnothing lost, nothing twice in {faults} faults: less than {:.3} % a fault (95 %, rule of three)",
            300.0 / faults as f64
        );
    }
    let lists = [
        ("quarantined", &sums.quarantined),
        ("given up", &sums.given_up),
        ("stopped, and went on", &sums.paused),
        ("not completed by the closing audit", &sums.refused),
        ("FINDING", &sums.findings),
    ];
    for (title, list) in lists {
        for line in list {
            println!("{title}: {line}");
        }
    }
    println!("\nagain with: scripts/chaos --seed {seed}; fault log: {}", log.display());
    if let Some(file) = file {
        let text = json_of(sums, seed, seconds, faults, &times);
        if let Err(error) = fs::write(file, format!("{text:#}\n")) {
            eprintln!("chaos: {}: {error}", file.display());
            return false;
        }
    }
    is_well
}

/// Every command, also those that were never given: each is to have its share.
fn commands() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().map(|(kind, ..)| *kind).filter(|kind| kind.is_command())
}

fn counts_of(sums: &Sums, kind: Kind) -> [u64; End::COUNT] {
    sums.commands.get(kind.name()).copied().unwrap_or_default()
}

/// Those that changed something or were killed: what was refused, or had nothing to do, tries nothing.
fn done_or_cut(sums: &Sums) -> u64 {
    sums.commands.values().map(|ends| ends[End::Done as usize] + ends[End::Cut as usize]).sum()
}

fn line_of_command<T: Display>(name: &str, cells: &[T]) {
    print!("{name:<34}");
    for cell in cells {
        print!("{cell:>10}");
    }
    println!();
}

fn json_of(
    sums: &Sums,
    seed: u64,
    seconds: f64,
    faults: u64,
    times: &BTreeMap<&str, Vec<u64>>,
) -> Value {
    let times: BTreeMap<&str, Value> = times
        .iter()
        .map(|(what, values)| {
            let (median, p99, most) = spread(values);
            (
                *what,
                json!({"times": values.len(), "median_ms": median, "p99_ms": p99, "most_ms": most}),
            )
        })
        .collect();
    let commands: BTreeMap<&str, Value> = commands()
        .map(|kind| {
            let [done, cut, vain, refused] = counts_of(sums, kind);
            let ends = json!({"done": done, "cut": cut, "vain": vain, "refused": refused});
            (kind.name(), ends)
        })
        .collect();
    json!({
        "seed": seed,
        "seconds": seconds,
        "faults": faults,
        "faults_by_kind": sums.faults,
        "faults_within_2s_of_another": sums.doubles,
        "faults_a_second": faults as f64 / seconds.max(0.001),
        "not_done": sums.skipped,
        "jobs": sums.jobs,
        "jobs_loaded_again": sums.again,
        "tasks": sums.tasks,
        "rows": sums.rows,
        "lost": sums.lost,
        "duplicated": sums.duplicated,
        "quarantined": sums.quarantined,
        "given_up": sums.given_up,
        "paused": sums.paused,
        "commands": commands,
        "commands_done_or_cut": done_or_cut(sums),
        "refused_by_the_audit": sums.refused,
        "findings": sums.findings,
        "recovery": times,
        "upper_bound_percent_a_fault": if faults > 0 { 300.0 / faults as f64 } else { 100.0 },
    })
}

/// Median, 99th percentile and the most.
fn spread(values: &[u64]) -> (u64, u64, u64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = |share: f64| {
        let last = sorted.len().saturating_sub(1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = (last as f64 * share).round() as usize;
        sorted.get(index).copied().unwrap_or(0)
    };
    (at(0.5), at(0.99), at(1.0))
}
