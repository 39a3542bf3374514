//! Reasons as they are told.

use longshore_shared::task::{BudgetUnit, JobState, PartRange, RowBounds, SourceFile, Window};

use super::*;
use crate::fixture;

fn files(sizes: &[u64]) -> Chunk {
    let file =
        |(at, size): (usize, &u64)| SourceFile::listed(format!("lake/{at}.parquet"), *size, "");
    Chunk::of_files(sizes.iter().enumerate().map(file).collect())
}

#[test]
fn files_end_a_chunk_by_their_bytes_or_their_number() {
    let mut spec = fixture::job(JobState::Planned).spec;
    spec.made =
        PlanOptions { chunk_bytes: Some(1 << 20), chunk_files: Some(10), ..PlanOptions::default() };
    let story = |own: &[u64], after: Option<&[u64]>| {
        let chunks =
            Neighbours { before: Some(files(&[1])), own: files(own), after: after.map(files) };
        of(&spec, &chunks)[1..].join("\n")
    };
    insta::assert_snapshot!(story(&[500_000, 400_000], Some(&[300_000])), @"it is no larger because the next file, lake/0.parquet (292.97 KiB), would make it 1.14 MiB; the budget of each chunk is drawn between 819.20 KiB and 1.00 MiB, so that workers that began together do not all publish at once");
    insta::assert_snapshot!(story(&[1; 9], Some(&[1])), @"it is no larger because a chunk has at most 10 files (--chunk-files-max), or up to a fifth less: the number is drawn as the budget is");
    insta::assert_snapshot!(story(&[1; 2], Some(&[1])), @"it is no larger because the names of more files would not fit into a task's row");
    insta::assert_snapshot!(story(&[2 << 20], Some(&[1])), @"
    it is no larger because the next file, lake/0.parquet (1 B), would make it 2.00 MiB; the budget of each chunk is drawn between 819.20 KiB and 1.00 MiB, so that workers that began together do not all publish at once
    it is over the budget of 1.00 MiB because a single file is
    ");
    insta::assert_snapshot!(story(&[1], None), @"it ends with the last file of the plan");
    let mut old = fixture::job(JobState::Planned).spec;
    old.made = PlanOptions::default();
    let chunks = Neighbours { before: None, own: files(&[1]), after: Some(files(&[1])) };
    insta::assert_snapshot!(of(&old, &chunks).join("\n"), @"
    files are taken in the order in which the server lists them (s3); a file is never divided
    it begins with the first file of the plan
    the plan does not say its budget: an older version made it
    ");
}

fn tables(window: bool) -> JobSpec {
    let column = |name: &str| KeyColumn {
        expression: name.into(),
        type_name: "UInt64".into(),
        descending: false,
        nullable: false,
    };
    let feed = Feed {
        table: "db.t".parse().unwrap(),
        uuid: None,
        origin: "db.t".parse().unwrap(),
        is_snapshot: false,
        remote: None,
        key: vec![column("user"), column("at")],
        view: None,
        known: None,
        window: window.then(|| Window { column: "at".into(), from: None, to: None }),
    };
    let source = TablesSource {
        feeds: vec![feed],
        budget: BudgetUnit::Uncompressed,
        chunk_bytes: 1 << 20,
        rows: None,
        digest: String::new(),
    };
    JobSpec { source: Source::Tables(source), ..fixture::job(JobState::Planned).spec }
}

fn slice(pieces: Vec<Piece>, bytes: u64) -> Chunk {
    Chunk::Slice(Slice { feed: 0, pieces, rows: RowBounds { min: 10, max: 20 }, bytes })
}

fn partitions(names: &[&str]) -> Piece {
    Piece { partitions: names.iter().map(|name| (*name).to_owned()).collect(), ..Piece::default() }
}

#[test]
fn pieces_of_tables() {
    let key = |from: &[&str], to: &[&str]| Piece {
        from: from.iter().map(|value| (*value).to_owned()).collect(),
        to: to.iter().map(|value| (*value).to_owned()).collect(),
        ..partitions(&["202401"])
    };
    let rows = Piece {
        parts: vec![PartRange { part: "all_1_1_0".into(), from: 8_192, to: None }],
        ..partitions(&["202401"])
    };
    let pieces = vec![
        partitions(&["202401", "202402"]),
        partitions(&[]),
        key(&["1", "'x'"], &["2"]),
        key(&[], &["2"]),
        key(&["2"], &[]),
        rows,
    ];
    let chunks = Neighbours { before: None, own: slice(pieces, 500_000), after: None };
    insta::assert_snapshot!(of(&tables(false), &chunks).join("\n"), @"
    2 partitions (202401, 202402), whole
    all partitions, whole
    partition 202401, from (user, at) = (1, 'x') up to before (user) = (2)
    partition 202401, up to before (user) = (2)
    partition 202401, from (user) = (2) on
    rows of partition 202401 by their place in the snapshot's parts, where keys would leave chunks too large or half empty: all_1_1_0 from row 8192 to before its end
    by the index it has 10 to 20 rows and about 488.28 KiB, 47 % of the budget of 1.00 MiB (--chunk-bytes, uncompressed bytes)
    it is no larger because it is the last of db.t
    it is no smaller because there would be more chunks, and each costs a staging set, a proof and its moves
    ");
}

#[test]
fn why_a_piece_is_no_larger_and_no_smaller() {
    let story = |window: bool, own: Chunk, after: Chunk| {
        let chunks = Neighbours { before: None, own, after: Some(after) };
        let reasons = of(&tables(window), &chunks);
        reasons[reasons.len() - 2..].join("\n")
    };
    let one = |bytes| slice(vec![partitions(&["1"])], bytes);
    insta::assert_snapshot!(story(false, one(900_000), one(800_000)), @"
    it is no larger because with the next chunk (781.25 KiB) it would have 1.62 MiB; all chunks are made of about the same size, the smallest that needs no more of them
    it is no smaller because there would be more chunks, and each costs a staging set, a proof and its moves
    ");
    insta::assert_snapshot!(story(false, one(2_000_000), one(1)), @"
    it is no larger because with the next chunk (1 B) it would have 1.91 MiB; all chunks are made of about the same size, the smallest that needs no more of them
    it is over the budget and no smaller because rows that are equal in every key column are not divided, except on a snapshot (--snapshot)
    ");
    insta::assert_snapshot!(story(false, one(1_000), one(1_000)), @"
    it is no larger because granules that the border runs through count on both sides of it, and chunks end with a partition where that costs little
    it is no smaller because there would be more chunks, and each costs a staging set, a proof and its moves
    ");
    insta::assert_snapshot!(story(true, one(1_000), one(1_000)), @"
    it is no larger because a chunk of a time window has one length (--chunk)
    it is no smaller because there would be more chunks, and each costs a staging set, a proof and its moves
    ");
    let names: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let many = slice(vec![partitions(&names.iter().map(String::as_str).collect::<Vec<_>>())], 1);
    insta::assert_snapshot!(story(false, many, slice(vec![partitions(&["60"])], 1)), @"
    it is no larger because a chunk has at most 50 partitions: each is a part of its own in the staging table, and one MOVE
    it is no smaller because there would be more chunks, and each costs a staging set, a proof and its moves
    ");
}
