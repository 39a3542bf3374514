//! What the language says, and what it refuses.

use longshore_shared::task::{TaskId, WorkerId};

use super::*;

fn brief() -> TaskBrief {
    TaskBrief {
        id: TaskId { job: "0123456789abcdef".parse().unwrap(), ordinal: 42 },
        state: StateName::Failed,
        epoch: 6,
        worker: WorkerId::default(),
        attempts: 5,
        deaths: 1,
        files: 12,
        bytes: 2 << 30,
        rows: 0,
        error: "Code: 159. DB::Exception: Timeout exceeded; it's over (a \"quoted\" word)".into(),
        due: true,
        changed_ms: 0,
    }
}

#[test]
fn what_matches_and_what_does_not() {
    let matches = [
        "state=failed",
        "STATE = 'Failed'",
        "state != done",
        "error ~ timeout",
        "error~'TIMEOUT exceeded'",
        "error~'it''s over'",
        "error~\"a \"\"quoted\"\" word\"",
        "error !~ memory",
        "error != ''",
        "worker=''",
        "attempts>4 and attempts>=5 and attempts<6 and attempts<=5 and attempts=5 and attempts!=4",
        "bytes>=2G and bytes<3GiB",
        "rows=0",
        "deaths=1 and epoch=6 and files=12 and number=42",
        "state=done or attempts=5",
        "state=failed or state=done and attempts=1",
        "not state=done and not (attempts=1 or files=1)",
        "((state=failed))",
        "not not state=failed",
    ];
    for text in matches {
        assert!(Filter::parse(text).unwrap().matches(&brief()), "{text}");
    }
    let others = [
        "state=done",
        "error~memory",
        "error!~timeout",
        "worker~host",
        "attempts>5",
        "bytes<2G",
        "(state=failed or state=done) and attempts=1",
        "not state=failed",
    ];
    for text in others {
        assert!(!Filter::parse(text).unwrap().matches(&brief()), "{text}");
    }
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    let wrong = [
        "",
        "attemps>3",
        "state",
        "state=",
        "state>failed",
        "state=broken",
        "error>5",
        "bytes~5",
        "attempts>many",
        "attempts>-1",
        "attempts>99999999999999999999",
        "state=failed error~x",
        "state=failed and",
        "(state=failed",
        "state=failed)",
        "error~'no end",
        "größe=1 und state=failed",
        "state=failed; drop table tasks",
        "= 5",
    ];
    let shown: Vec<String> =
        wrong.iter().map(|text| Filter::parse(text).unwrap_err().message).collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    --where: a field was expected, not the end, at character 1 of ``
    --where: `attemps` is not a field, at character 1 of `attemps>3`
    --where: an operator was expected, not the end, at character 6 of `state`
    --where: a state was expected, not the end, at character 7 of `state=`
    --where: `>` does not fit `state`, at character 6 of `state>failed`
    --where: `broken` is not a state (pending, claimed, publishing, done, failed, quarantined), at character 7 of `state=broken`
    --where: `>` does not fit `error`, at character 6 of `error>5`
    --where: `~` does not fit `bytes`, at character 6 of `bytes~5`
    --where: `many` is not a whole number, or one as 500M or 2G, at character 10 of `attempts>many`
    --where: `-1` is not a whole number, or one as 500M or 2G, at character 10 of `attempts>-1`
    --where: `99999999999999999999` is not a whole number, or one as 500M or 2G, at character 10 of `attempts>99999999999999999999`
    --where: `and`, `or` or the end was expected, not `error`, at character 14 of `state=failed error~x`
    --where: a field was expected, not the end, at character 17 of `state=failed and`
    --where: `)` was expected, not the end, at character 14 of `(state=failed`
    --where: `and`, `or` or the end was expected, not `)`, at character 13 of `state=failed)`
    --where: a quote without an end, at character 7 of `error~'no end`
    --where: `größe` is not a field, at character 1 of `größe=1 und state=failed`
    --where: `;` means nothing here, at character 13 of `state=failed; drop table tasks`
    --where: a field was expected, not `=`, at character 1 of `= 5`
    ");
}

#[test]
fn too_many_brackets_are_refused_and_not_a_crash() {
    for open in ["(", "not "] {
        let refused = Filter::parse(&open.repeat(100_000)).unwrap_err();
        assert!(refused.message.contains("more than 50 brackets"), "{}", refused.message);
    }
}
