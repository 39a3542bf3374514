//! Programs of several versions at once: what an older one meets in the control tables.

use longshore_tests::Scene;

#[test]
fn jobs_of_a_newer_version_are_left_alone_and_the_others_go_on() {
    let scene = Scene::with_events(2, 100);
    let job = scene.submit(&[]);
    let control = &scene.control;
    // One of a newer format, one in a state that nobody here knows: both as a newer program left them.
    for (id, change) in [
        ("aaaaaaaaaaaaaaaa", "toUInt8(200) AS format"),
        ("bbbbbbbbbbbbbbbb", "'sleepwalking' AS state"),
    ] {
        scene.admin.run(&format!(
            "INSERT INTO {control}.jobs SELECT * REPLACE ('{id}' AS job_id, {change}) \
             FROM (SELECT * FROM {control}.jobs WHERE job_id = '{job}')"
        ));
    }
    let newer = || {
        let ids = "('aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb')";
        scene.admin.rows(&format!("SELECT * FROM {control}.jobs WHERE job_id IN {ids} ORDER BY 1"))
    };
    let before = newer();
    let listed = scene.longshore(["status"]).run().ok();
    listed.says(&[&job, "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "upgrade longshore"]);
    scene
        .longshore(["status", "aaaaaaaaaaaaaaaa"])
        .run()
        .exits_with(6)
        .says(&["layout version 200"]);
    let worker = scene.endless_worker().args(["--exit-when-idle"]).run().ok();
    assert_eq!(worker.stderr.matches("upgrade longshore").count(), 2, "said once each\n{worker}");
    assert_eq!(scene.status(&job)["state"], "completed");
    scene.assert_exact();
    assert_eq!(newer(), before, "an older program changed them");
}

/// Rows as the first release wrote them: format 1, and a spec without any of the later fields.
#[test]
fn a_job_of_the_first_format_is_finished() {
    let scene = Scene::with_events(3, 100);
    let job = scene.submit(&["--chunk-files-max", "1"]);
    let control = &scene.control;
    let formats = scene.admin.rows(&format!(
        "SELECT DISTINCT format FROM (SELECT format FROM {control}.jobs UNION ALL SELECT format FROM {control}.tasks \
         UNION ALL SELECT format FROM {control}.cursors)"
    ));
    let spec = scene.admin.run(&format!("SELECT spec FROM {control}.jobs FORMAT TSVRaw"));
    let mut spec: serde_json::Value = serde_json::from_str(&spec).expect("a spec");
    let known = [
        "source",
        "mode",
        "target",
        "columns",
        "select",
        "filter",
        "settings",
        "graph",
        "environment",
        "limits",
        "publish",
    ];
    let fields = spec.as_object_mut().expect("an object");
    fields.retain(|field, _| known.contains(&field.as_str()));
    // How files were read before: the columns of the structure, and the INSERT converts.
    let source = fields["source"].as_object_mut().expect("a source");
    source.retain(|field, _| {
        !["outputs", "left_out", "own", "settings", "unseen"].contains(&field.as_str())
    });
    let text = longshore_tests::literal(&spec.to_string());
    scene.admin.run(&format!(
        "ALTER TABLE {control}.jobs UPDATE spec = {text}, format = 1 WHERE job_id = '{job}' SETTINGS keeper_map_strict_mode = 1"
    ));
    let formats: std::collections::BTreeSet<String> = formats.into_iter().flatten().collect();
    let expected = ["1".to_owned(), "5".to_owned()].into();
    assert_eq!(
        formats, expected,
        "a job is for workers of its planner's version, its tasks and cursor need nothing new"
    );
    scene.settle(&job, "rows of the first format");
}
