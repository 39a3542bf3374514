//! A plan survives its file, and a file that is not what was written is refused.

use longshore_shared::task::{Chunk, JobState, Mark, Shadow, Source, SourceFile};

use super::*;
use crate::fixture;

fn plan() -> PlanFile {
    let file =
        |name: &str, size| SourceFile::listed(format!("lake/events/{name}.parquet"), size, "e");
    let chunks = vec![
        Chunk::of_files(vec![file("a b", 1_000), file("c", 2_000_000)]),
        Chunk::of_files(vec![file("d", 5)]),
    ];
    let mut job = fixture::job(JobState::Running);
    job.spec.made.again = "twice".into();
    job.spec.graph.tables[0].shadow = Some(Shadow {
        name: job.spec.target.clone(),
        uuid: uuid::Uuid::nil(),
        definition: "CREATE TABLE x".into(),
        marks: vec![Mark { partition: "202401".into(), block: 7 }],
    });
    PlanFile::from_parts(job.id, job.spec, chunks)
}

fn refused(text: &str) -> String {
    read::parse(text.as_bytes()).unwrap_err()
}

#[test]
fn a_file_is_made_to_be_read_and_compared() {
    insta::assert_snapshot!(plan().text().unwrap(), @r#"
    {
      "longshore_plan": 1,
      "id": "0123456789abcdef",
      "made_by": "longshore 0.1.0",
      "counts": {"bytes":2001005,"chunks":2,"files":3},
      "marks": [[{"b":7,"p":"202401"}]],
      "checksums": {
        "head": "6ecdcbed13d68ba87914b6ebd5afed71a3632f1559da73a5e8ddf50d09ecdc81",
        "spec": "d6e707cd5bb8b9abfd30da13714fad7e70069d45f12c29f69208741dba2d9356",
        "chunks": "0db867f090ebc4d7d00628be49af4fdd111c4746987b4ab4fb8bb70e5888c3e7"
      },
      "spec": {
        "source": {
          "function": "s3",
          "base": "http://store:9000/",
          "strip": "",
          "named_collection": "lake",
          "container": null,
          "format": "Parquet",
          "structure": "id UInt64, day Date"
        },
        "target": {
          "database": "demo",
          "table": "events"
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
        "graph": {
          "tables": [
            {
              "name": {
                "database": "demo",
                "table": "events"
              },
              "uuid": "",
              "engine": "MergeTree",
              "definition": "",
              "dependents": []
            },
            {
              "name": {
                "database": "demo",
                "table": "daily"
              },
              "uuid": "",
              "engine": "SummingMergeTree",
              "definition": "",
              "dependents": []
            }
          ],
          "views": [
            {
              "name": {
                "database": "demo",
                "table": "daily_mv"
              },
              "source": {
                "database": "demo",
                "table": "events"
              },
              "target": {
                "database": "demo",
                "table": "daily"
              },
              "columns": [],
              "select": ""
            }
          ]
        },
        "environment": "e1",
        "limits": {
          "attempts_max": 5,
          "deaths_max": 10
        },
        "made": {
          "again": "twice"
        }
      },
      "chunks": [
        {"files":[
          {"p":"lake/events/a b.parquet","s":1000,"e":"e"},
          {"p":"lake/events/c.parquet","s":2000000,"e":"e"}
        ]},
        {"files":[{"p":"lake/events/d.parquet","s":5,"e":"e"}]}
      ]
    }
    "#);
}

#[test]
fn a_plan_survives_its_file_and_gives_the_same_one_again() {
    let text = plan().text().unwrap();
    let read = read::parse(text.as_bytes()).unwrap();
    assert_eq!(read, plan());
    assert_eq!(read.text().unwrap(), text);
    // Spaces, ends of lines and the order of keys are no edit.
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read::parse(value.to_string().as_bytes()).unwrap(), plan());
    assert_eq!(read::parse(text.replace('\n', "\r\n").as_bytes()).unwrap(), plan());
}

#[test]
fn a_torn_file_is_refused_wherever_it_ends() {
    let text = plan().text().unwrap();
    for end in (0..text.trim_end().len()).step_by(13) {
        let problem = refused(&text[..end]);
        assert!(problem.contains("ends in the middle"), "{end}: {problem}");
    }
}

#[test]
fn an_edited_file_is_refused_and_told_where() {
    let text = plan().text().unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        refused(&text.replacen(from, to, 1))
    };
    let chunk = "{\"files\":[{\"p\":\"lake/events/d.parquet\",\"s\":5,\"e\":\"e\"}]}";
    let problems = [
        with("\"filter\": \"id > 0\"", "\"filter\": \"id > 1\""),
        with("events/c.parquet", "events/x.parquet"),
        with(&format!(",\n    {chunk}"), ""),
        with("\"id\": \"0123456789abcdef\"", "\"id\": \"0123456789abcde0\""),
        with("202401", "202402"),
        with("\"columns\"", "\"colums\""),
        with("\"longshore_plan\": 1", "\"longshore_plan\": 2"),
        with("\"spec\": {", "\"spec\": {\"servers\": [],"),
        with("  \"marks\"", "  \"remarks\""),
        refused("[]"),
        refused("{}"),
        refused("{\"a\": 1,}"),
    ];
    insta::assert_snapshot!(problems.join("\n"), @"
    edited after the export: the checksum of its spec is another
    edited after the export: the checksum of its chunks is another
    edited after the export: 2 chunks were written, 1 are there
    edited after the export: the checksum of its head is another
    edited after the export: the checksum of its head is another
    edited after the export: the checksum of its spec is another
    written by longshore 0.1.0 in version 2 of the layout, this program knows 1: upgrade Longshore
    edited after the export: the checksum of its spec is another
    `marks` is missing
    not a plan file
    not a plan file: `longshore_plan` is missing
    no JSON in line 1: trailing comma at line 1 column 9
    ");
}

#[test]
fn a_field_of_a_newer_version_is_refused_though_its_checksum_is_right() {
    let file = plan();
    let mut whole: serde_json::Value = serde_json::from_str(&file.text().unwrap()).unwrap();
    let forged = |pointer: &str, field: &str| {
        let mut whole = whole.clone();
        whole.pointer_mut(pointer).unwrap()[field] = 1.into();
        let mut head = whole.as_object().unwrap().clone();
        head.retain(|name, _| !["checksums", "spec", "chunks"].contains(&name.as_str()));
        let sums = write::Sums::of(&head.into(), &whole["spec"], &whole["chunks"]);
        whole["checksums"] =
            serde_json::json!({"head": sums.head, "spec": sums.spec, "chunks": sums.chunks});
        refused(&whole.to_string())
    };
    let problem = forged("/spec", "news");
    assert!(problem.contains("`spec.news`"), "{problem}");
    let problem = forged("/spec/source", "news");
    assert!(problem.contains("`spec.source.news`"), "{problem}");
    let problem = forged("/chunks/0/files/1", "news");
    assert!(problem.contains("`chunks[0].files[1].news`"), "{problem}");
    whole["chunks"] = serde_json::json!([]);
    assert!(refused(&whole.to_string()).contains("2 chunks were written, 0 are there"));
}

#[test]
fn a_secret_never_gets_into_a_file() {
    let secret = secrecy::SecretString::from("canary-plan-file-5f1".to_owned());
    longshore_shared::redact::register(&secret);
    let refused = |change: &dyn Fn(&mut PlanFile)| {
        let mut file = plan();
        change(&mut file);
        file.text().unwrap_err().message
    };
    let with_suffix = |suffix: &str| {
        let suffix = suffix.to_owned();
        refused(&move |file| {
            if let Source::Files(files) = &mut file.spec.source {
                files.suffix = suffix.clone();
            }
        })
    };
    for (message, words) in [
        (refused(&|file| file.spec.filter = "x = 'canary-plan-file-5f1'".into()), "a password"),
        (with_suffix("?a=b&X-Amz-Signature=zyx"), "`X-Amz-Signature=…`"),
        (with_suffix("?sv=1&sig=zyx"), "`sig=…`"),
        (
            refused(&|file| drop(file.spec.settings.insert("some_password".into(), "x".into()))),
            "`some_password`",
        ),
    ] {
        assert!(message.contains(words), "{message}");
        assert!(!message.contains("canary") && !message.contains("zyx"), "{message}");
    }
    let mut file = plan();
    if let Source::Files(files) = &mut file.spec.source {
        files.suffix = "?format=parquet".into();
    }
    assert!(file.text().is_ok(), "not every parameter is a secret");
}

#[test]
fn the_same_plan_is_known_by_what_it_loads() {
    let mut other = plan();
    other.spec.environment = "elsewhere".into();
    other.spec.made = longshore_shared::task::PlanOptions::default();
    other.spec.graph.tables[0].uuid = Some(uuid::Uuid::from_u128(1));
    assert!(plan().is_same(&other));
    other.spec.filter = String::new();
    assert!(!plan().is_same(&other));
    let mut other = plan();
    other.chunks.swap(0, 1);
    assert!(!plan().is_same(&other));
}
