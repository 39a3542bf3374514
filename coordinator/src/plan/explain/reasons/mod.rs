//! Why a chunk has the borders it has, in words. Pure: from the plan alone.

use std::collections::BTreeSet;

use longshore_shared::task::{
    Chunk, Feed, FilesSource, JobSpec, KeyColumn, Piece, PlanOptions, Slice, Source, TablesSource,
};

use crate::plan::files::pack::FILL_MIN as CHUNK_FILL_MIN;
use crate::plan::tables::feed::PARTITIONS_MAX;
use crate::ui::text;

/// Pieces told one by one.
const PIECES_SHOWN: usize = 10;
/// Characters of a list of partitions.
const LIST_CHARS_MAX: usize = 200;

/// A chunk between two others.
#[derive(Debug, Clone)]
pub(crate) struct Neighbours {
    pub(crate) before: Option<Chunk>,
    pub(crate) own: Chunk,
    pub(crate) after: Option<Chunk>,
}

/// All reasons, the borders first.
pub(crate) fn of(spec: &JobSpec, chunks: &Neighbours) -> Vec<String> {
    match (&spec.source, &chunks.own) {
        (Source::Files(source), Chunk::Files { .. }) => of_files(source, &spec.made, chunks),
        (Source::Tables(source), Chunk::Slice(slice)) => match source.feeds.get(slice.feed) {
            Some(feed) => of_slice(source, feed, slice, chunks),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn of_files(source: &FilesSource, made: &PlanOptions, chunks: &Neighbours) -> Vec<String> {
    let own = &chunks.own;
    let files = own.files();
    let mut reasons = vec![format!(
        "files are taken in the order in which the server lists them ({}); a file is never divided",
        source.function.as_str()
    )];
    if chunks.before.is_none() {
        reasons.push("it begins with the first file of the plan".to_owned());
    }
    let Some(next) = chunks.after.as_ref().and_then(|after| after.files().first()) else {
        reasons.push("it ends with the last file of the plan".to_owned());
        return reasons;
    };
    let (Some(budget), Some(files_max)) = (made.chunk_bytes, made.chunk_files) else {
        reasons.push("the plan does not say its budget: an older version made it".to_owned());
        return reasons;
    };
    let least = |limit: u64| share_of(limit, CHUNK_FILL_MIN);
    // Drawn as the budget is, and rounded up.
    let least_files = (f64::from(files_max) * CHUNK_FILL_MIN).ceil() as u64;
    let with_next = own.bytes() + next.size;
    if made.is_even && with_next > budget {
        reasons.push(format!(
            "it is no larger because the next file, {} ({}), would make it {}; up to 4 GiB of files are \
             cut into chunks of about the same size, here {} at most, so that several workers have something \
             to load at once",
            next.path,
            text::bytes(next.size),
            text::bytes(with_next),
            text::bytes(budget)
        ));
    } else if with_next > least(budget) && !made.is_even {
        reasons.push(format!(
            "it is no larger because the next file, {} ({}), would make it {}; the budget of each \
             chunk is drawn between {} and {}, so that workers that began together do not all publish \
             at once",
            next.path,
            text::bytes(next.size),
            text::bytes(with_next),
            text::bytes(least(budget)),
            text::bytes(budget)
        ));
    } else if files.len() as u64 >= least_files {
        reasons.push(format!(
            "it is no larger because a chunk has at most {} (--chunk-files-max), or up to a fifth less: \
             the number is drawn as the budget is",
            text::plural(files_max.into(), "file")
        ));
    } else {
        reasons.push(
            "it is no larger because the names of more files would not fit into a task's row"
                .to_owned(),
        );
    }
    if own.bytes() > budget {
        reasons.push(format!(
            "it is over the budget of {} because a single file is",
            text::bytes(budget)
        ));
    }
    reasons
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn share_of(limit: u64, share: f64) -> u64 {
    (limit as f64 * share) as u64
}

fn of_slice(source: &TablesSource, feed: &Feed, slice: &Slice, chunks: &Neighbours) -> Vec<String> {
    let mut reasons: Vec<String> =
        slice.pieces.iter().take(PIECES_SHOWN).map(|piece| piece_words(feed, piece)).collect();
    let more = slice.pieces.len().saturating_sub(PIECES_SHOWN);
    if more > 0 {
        reasons.push(format!("{more} more pieces like these (--json shows the condition)"));
    }
    let budget = source.chunk_bytes;
    let share = slice.bytes.saturating_mul(100) / budget.max(1);
    reasons.push(format!(
        "by the index it has {} and about {}, {share} % of the budget of {} ({}, {} bytes)",
        rows_words(slice),
        text::bytes(slice.bytes),
        text::bytes(budget),
        "--chunk-bytes",
        source.budget.as_str()
    ));
    reasons.push(why_not_larger(source, feed, slice, chunks.after.as_ref()));
    reasons.push(why_not_smaller(source, feed, slice));
    reasons
}

fn rows_words(slice: &Slice) -> String {
    let (min, max) = (slice.rows.min, slice.rows.max);
    if min == max {
        text::plural(min, "row")
    } else {
        format!("{} to {} rows", text::count(min), text::count(max))
    }
}

fn why_not_larger(
    source: &TablesSource,
    feed: &Feed,
    slice: &Slice,
    after: Option<&Chunk>,
) -> String {
    let next = after.and_then(Chunk::as_slice).filter(|next| next.feed == slice.feed);
    let Some(next) = next else {
        return format!("it is no larger because it is the last of {}", feed.origin);
    };
    let both = slice.bytes + next.bytes;
    if both > source.chunk_bytes {
        return format!(
            "it is no larger because with the next chunk ({}) it would have {}; all chunks are made of \
             about the same size, the smallest that needs no more of them",
            text::bytes(next.bytes),
            text::bytes(both)
        );
    }
    let partitions = |slice: &Slice| -> BTreeSet<String> {
        slice.pieces.iter().flat_map(|piece| piece.partitions.clone()).collect()
    };
    let joined = partitions(slice).union(&partitions(next)).count();
    if joined > PARTITIONS_MAX {
        return format!(
            "it is no larger because a chunk has at most {PARTITIONS_MAX} partitions: each is a part of \
             its own in the staging table, and one MOVE"
        );
    }
    if feed.window.is_some() {
        return "it is no larger because a chunk of a time window has one length (--chunk)"
            .to_owned();
    }
    "it is no larger because granules that the border runs through count on both sides of it, and \
     chunks end with a partition where that costs little"
        .to_owned()
}

fn why_not_smaller(source: &TablesSource, feed: &Feed, slice: &Slice) -> String {
    if slice.bytes <= source.chunk_bytes {
        return "it is no smaller because there would be more chunks, and each costs a staging set, a \
                proof and its moves"
            .to_owned();
    }
    let why = if feed.view.is_some() {
        "groups of the view are kept in one piece"
    } else if feed.window.is_some() {
        "a chunk is no shorter than --min-chunk"
    } else {
        "rows that are equal in every key column are not divided, except on a snapshot (--snapshot)"
    };
    format!("it is over the budget and no smaller because {why}")
}

/// One piece: which rows of which partitions.
fn piece_words(feed: &Feed, piece: &Piece) -> String {
    let partitions = match piece.partitions.as_slice() {
        [] => "all partitions".to_owned(),
        [only] => format!("partition {only}"),
        many => {
            format!("{} partitions ({})", many.len(), text::line(&many.join(", "), LIST_CHARS_MAX))
        }
    };
    if !piece.parts.is_empty() {
        let ranges: Vec<String> = piece
            .parts
            .iter()
            .map(|range| {
                let end = range.to.map_or_else(|| "its end".to_owned(), |to| format!("row {to}"));
                format!("{} from row {} to before {end}", range.part, range.from)
            })
            .collect();
        let ranges = text::line(&ranges.join("; "), LIST_CHARS_MAX);
        return format!(
            "rows of {partitions} by their place in the snapshot's parts, where keys would leave chunks \
             too large or half empty: {ranges}"
        );
    }
    let bound = |values: &[String]| tuple(&feed.key, values);
    match (piece.from.is_empty(), piece.to.is_empty()) {
        (true, true) => format!("{partitions}, whole"),
        (false, true) => format!("{partitions}, from {} on", bound(&piece.from)),
        (true, false) => format!("{partitions}, up to before {}", bound(&piece.to)),
        (false, false) => {
            format!("{partitions}, from {} up to before {}", bound(&piece.from), bound(&piece.to))
        }
    }
}

/// `(a, b) = (1, 'x')`: a prefix of the sorting key and the key of a granule's first row.
fn tuple(key: &[KeyColumn], values: &[String]) -> String {
    let names: Vec<&str> =
        key.iter().take(values.len()).map(|column| &*column.expression).collect();
    format!("({}) = ({})", names.join(", "), values.join(", "))
}

#[cfg(test)]
mod tests;
