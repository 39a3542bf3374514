//! The grants that an exchange and a replacement need: those that `doctor --grants` prints are
//! enough, and without one of them nothing is published and the grant is named.

use std::collections::BTreeMap;

use longshore_tests::{LONG_LEASE, OwnBed, Program, Scene};

use crate::unfinished::{hold, let_go};

/// Grants of planner and worker together, as `(privilege, on)`.
fn printed(scene: &Scene, mode: &str) -> Vec<(String, String)> {
    let target = format!("{}.events", scene.db);
    let args = ["doctor", "--grants", "--json", "--to", "somebody", "--target", &target];
    let program = scene.longshore(args).args(["--publish", mode]);
    let program = program.args(["--named-collection", &scene.bed.collection]);
    let said = program.env("CLICKHOUSE_USER", "default").env("CLICKHOUSE_PASSWORD", "").run().ok();
    let said = said.json();
    let mut all = Vec::new();
    for role in said["roles"].as_array().expect("roles") {
        if role["role"] == "reader" {
            continue;
        }
        for line in role["grants"].as_array().expect("grants") {
            let statement = line["statement"].as_str().expect("a statement");
            let statement = statement.strip_prefix("GRANT ").expect("a grant");
            let (what, rest) = statement.split_once(" ON ").expect("ON");
            let on = rest.strip_suffix(" TO somebody;").expect("TO");
            all.extend(what.split(", ").map(|privilege| (privilege.to_owned(), on.to_owned())));
        }
    }
    all.sort();
    all.dedup();
    all
}

fn as_user(program: Program, user: &str) -> Program {
    program.env("CLICKHOUSE_USER", user).env("LONGSHORE_LEASE", LONG_LEASE)
}

#[test]
fn an_exchange_and_a_replacement_run_with_the_printed_grants_and_need_each() {
    let bed = OwnBed::start();
    for mode in ["exchange", "replace"] {
        let scene = Scene::for_swaps(&bed.bed).with_old_events(2, 200);
        let grants = printed(&scene, mode);
        // What only such a job needs: the rest is shown to be needed by the test of an ordinary one.
        let database = format!("{}.*", scene.db);
        let target = format!("{}.events", scene.db);
        let own = |(privilege, on): &&(String, String)| {
            *on == database || (*on == target && privilege == "ALTER DELETE")
        };
        let own: Vec<_> = grants.iter().filter(own).cloned().collect();
        assert_eq!(own.len(), if mode == "exchange" { 5 } else { 1 }, "{mode}: {own:?}");
        let mut users = BTreeMap::new();
        for without in std::iter::once(None).chain(own.iter().map(Some)) {
            let user = user_of(mode, without);
            let left = grants.iter().filter(|grant| Some(*grant) != without);
            users.insert(user, left.map(|(what, on)| format!("GRANT {what} ON {on}")).collect());
        }
        bed.set_users(&users);
        // With these grants a change in the queue is seen: what is not seen is not refused.
        hold(&scene, "events", "UPDATE value = value WHERE n < 5");
        let planned = scene.plan_program("events", "*", &["--publish", mode]);
        let planned = as_user(planned, &user_of(mode, None)).run().exits_with(6);
        planned.says(&["mutation", "is not finished"]);
        let_go(&scene, "events");
        let mut has_swapped = false;
        for without in own.iter().map(Some).chain([None]) {
            // A job that was given its grant has shown that all grants are enough.
            if has_swapped {
                assert_eq!(without, None, "{mode}: the table is not the old one any more");
                continue;
            }
            let user = user_of(mode, without);
            // Who may make tables and not drop them leaves what the plan tried.
            for shadow in scene.shadows() {
                scene.admin.run(&format!("DROP TABLE {shadow} SYNC"));
            }
            let more = ["--publish", mode, "--again", &user];
            let planned = as_user(scene.plan_program("events", "*", &more), &user).run();
            let mut said = format!("{planned}");
            if planned.code() == Some(0) {
                let job = planned.json()["plan_id"].as_str().expect("an id").to_owned();
                as_user(scene.longshore(["submit", &job]), &user).run().ok();
                as_user(scene.worker(&job), &user).run();
                said = scene.status(&job)["reason"].as_str().unwrap_or_default().to_owned();
                if without.is_none() {
                    scene.settle_swap(&job, mode, "all grants");
                }
            }
            if let Some((privilege, _)) = without {
                assert!(said.contains(privilege.as_str()), "{mode} without {without:?}: {said}");
                scene.assert_untouched();
                // With the grant a job that was planned goes on where it stood.
                if let Ok(planned) = serde_json::from_str::<serde_json::Value>(&planned.stdout)
                    && let Some(job) = planned["plan_id"].as_str()
                {
                    let all = user_of(mode, None);
                    as_user(scene.longshore(["submit", job]), &all).run().ok();
                    as_user(scene.worker(job), &all).run().ok();
                    scene.settle_swap(job, mode, "the grant was given");
                    has_swapped = true;
                }
            }
        }
    }
}

fn user_of(mode: &str, without: Option<&(String, String)>) -> String {
    let without =
        without.map_or_else(|| "all".to_owned(), |(privilege, _)| privilege.to_lowercase());
    format!("{mode}_{}", without.replace(' ', "_"))
}
