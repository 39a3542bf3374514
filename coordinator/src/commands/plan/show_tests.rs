//! The text of `plan show`.

use longshore_shared::task::TaskState;

use super::*;
use crate::fixture;

fn first_chunk() -> ChunkLine {
    let task = fixture::task(TaskState::Done { rows: 0 });
    let contents = Contents::of(&fixture::job(JobState::Planned), &task).unwrap();
    ChunkLine { task_id: "0123456789abcdef-0000000".into(), bytes: task.bytes, contents }
}

#[test]
fn a_plan_shows_where_it_reads_and_all_it_fills() {
    let plan = document(fixture::job(JobState::Planned), vec![first_chunk()]);
    insta::assert_snapshot!(plan_text(&plan), @"
    plan      0123456789abcdef  planned
    loads     120 files in 40 chunks
    bytes     4.00 GiB
    from      s3, named collection lake, http://store:9000/ (Parquet)
    into      demo.events (id, day)
    where     id > 0
    settings  max_threads=4
    planned   2026-08-21T12:00:00.000Z

    TABLE        ENGINE            FILLED BY
    demo.events  MergeTree         the load
    demo.daily   SummingMergeTree  demo.daily_mv

    CHUNK                     FILES     BYTES  FIRST FILE
    0123456789abcdef-0000000      2  1.91 MiB  lake/events/a b.parquet
    … and 39 more

    Next: longshore run 0123456789abcdef --workers 4
    ");
}

#[test]
fn the_keys_of_the_document() {
    let plan = document(fixture::job(JobState::Planned), vec![first_chunk()]);
    insta::assert_json_snapshot!(plan, @r#"
    {
      "plan_id": "0123456789abcdef",
      "state": "planned",
      "target": "demo.events",
      "chunks": 40,
      "files": 120,
      "bytes": 4294967296,
      "created_at": "2026-08-21T12:00:00.000Z",
      "source": {
        "function": "s3",
        "base": "http://store:9000/",
        "strip": "",
        "named_collection": "lake",
        "container": null,
        "format": "Parquet",
        "structure": "id UInt64, day Date"
      },
      "columns": [
        "id",
        "day"
      ],
      "select": "id, day",
      "filter": "id > 0",
      "settings": {
        "max_threads": "4"
      },
      "durable": false,
      "replicas_wait": "one",
      "tables": [
        {
          "name": "demo.events",
          "engine": "MergeTree",
          "staged": true,
          "filled_by": []
        },
        {
          "name": "demo.daily",
          "engine": "SummingMergeTree",
          "staged": true,
          "filled_by": [
            "demo.daily_mv"
          ]
        }
      ],
      "views": [
        {
          "name": "demo.daily_mv",
          "reads": "demo.events",
          "writes": "demo.daily"
        }
      ],
      "first_chunks": [
        {
          "task_id": "0123456789abcdef-0000000",
          "bytes": 2001000,
          "files": [
            {
              "path": "lake/events/a b.parquet",
              "size": 1000,
              "etag": "e"
            },
            {
              "path": "lake/events/c.parquet",
              "size": 2000000,
              "etag": "e"
            }
          ]
        }
      ]
    }
    "#);
}
