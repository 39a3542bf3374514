//! Random tables: keys of every type, partitions, parts, duplicates, NULLs, NaNs, deleted rows.
//!
//! `FAULT_SEED` repeats a run, `CUT_CASES` makes it longer.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::cut::{Yard, options};
use crate::planner::Unit;

/// Types of a key column, and an expression over `h`, a hash, and `n`, a number, that gives values.
const KINDS: [(&str, &str); 33] = [
    ("UInt8", "h % 7"),
    ("Int16", "toInt16(h % 300) - 150"),
    ("UInt32", "n"),
    ("UInt64", "h"),
    ("Int64", "toInt64(h % 2000) - 1000"),
    ("Int128", "toInt128(h) * toInt128(h) * if(h % 2 = 0, 1, -1)"),
    ("UInt256", "toUInt256(h) * h * h"),
    ("Bool", "h % 2"),
    ("Date", "toDate('2024-01-01') + h % 50"),
    ("Date32", "toDate32('1910-01-01') + h % 30000"),
    ("DateTime", "toDateTime(1700000000 + n * 30)"),
    // Clocks go back in this span: an hour has two meanings.
    ("DateTime('Europe/Berlin')", "toDateTime(1698440400 + h % 40000)"),
    ("DateTime64(3, 'America/New_York')", "toDateTime64(1699160400, 3) + (h % 30000000) / 1000"),
    ("DateTime64(9)", "reinterpret(toInt64(h), 'DateTime64(9)')"),
    ("DateTime64(6)", "toDateTime64('1955-05-05 05:05:05', 6, 'UTC') + h % 1000000"),
    ("String", "toString(h % 500)"),
    ("String", "substring(unhex(hex(h)), 1, n % 5)"),
    ("String", "concat(['it\\'s', 'a\\\\', '\\0', 'ä', '\\n', ''][h % 6 + 1], char(h % 256))"),
    ("FixedString(3)", "substring(unhex(hex(h)), 1, 3)"),
    ("UUID", "reinterpretAsUUID(unhex(hex(toUInt128(h) * h * 31)))"),
    ("IPv4", "toIPv4(toUInt32(h % 4294967296))"),
    ("IPv6", "toIPv6(concat('fe80::', hex(h % 65536)))"),
    ("Decimal(9, 2)", "toDecimal32(toInt32(h % 20000) - 10000, 2) / 3"),
    ("Decimal(38, 10)", "toDecimal128(toInt64(h % 2000000) - 1000000, 10) / 7"),
    ("Decimal(76, 20)", "toDecimal256(toInt64(h), 20)"),
    ("Enum8('b\\'' = -3, 'a' = 5, '' = 7, 'z' = 100)", "CAST([-3, 5, 7, 100][h % 4 + 1], 'Int8')"),
    ("LowCardinality(String)", "concat('lc', toString(h % 40))"),
    ("Nullable(Int32)", "if(h % 5 = 0, NULL, toInt32(h % 300))"),
    ("LowCardinality(Nullable(String))", "if(h % 3 = 0, NULL, toString(h % 20))"),
    (
        "Float64",
        "multiIf(h % 7 = 0, nan, h % 11 = 0, inf, h % 13 = 0, -inf, h % 5 = 0, -0., h % 5 = 1, 0., (toInt64(h % 1000) - 500) / 7)",
    ),
    ("Float32", "multiIf(h % 29 = 0, nan, toFloat32(h % 1000) / 3)"),
    ("Nullable(Float64)", "multiIf(h % 7 = 0, nan, h % 11 = 0, NULL, h % 1000 / 3)"),
    ("Tuple(UInt8, String)", "(h % 5, toString(h % 31))"),
];

/// Expressions of a key over plain columns.
const EXPRESSIONS: [(&str, &str); 8] = [
    ("toDate(ts)", "DateTime"),
    ("toStartOfHour(ts)", "DateTime"),
    ("-number", "UInt32"),
    ("cityHash64(number)", "UInt32"),
    ("number % 10", "UInt32"),
    ("lower(`odd, (name`)", "String"),
    ("if(number % 3 = 0, NULL, number)", "UInt32"),
    ("`odd, (name`", "String"),
];

struct Shape {
    create: String,
    inserts: Vec<String>,
    after: Option<String>,
    budget_share: f64,
    slack: f64,
    partitions_max: usize,
}

fn pick<'a, T>(random: &mut SmallRng, from: &'a [T]) -> &'a T {
    &from[random.random_range(0..from.len())]
}

fn shape(random: &mut SmallRng) -> Shape {
    let (mut columns, mut values, mut key) = (Vec::new(), Vec::new(), Vec::new());
    let is_reversed = random.random_bool(0.25);
    for at in 0..random.random_range(0..4) {
        let direction = if is_reversed && random.random_bool(0.6) { " DESC" } else { "" };
        if random.random_bool(0.2) {
            let expression = pick(random, &EXPRESSIONS).0;
            if !key.iter().any(|known: &String| known.starts_with(expression)) {
                key.push(format!("{expression}{direction}"));
            }
            continue;
        }
        let (kind, value) = pick(random, &KINDS);
        columns.push(format!(", k{at} {kind}"));
        // Hashes of few numbers make duplicates; of a skewed one, hot values.
        let seed: u32 = random.random();
        let of = *pick(random, &["n", "n", "n % 10", "intDiv(n, 100)", "if(n % 2 = 0, 0, n)"]);
        values.push(format!(", arrayMap(h -> {value}, [cityHash64({of}, {seed})])[1]"));
        key.push(format!("k{at}{direction}"));
    }
    let partition = *pick(
        random,
        &["tuple()", "tuple()", "number % 3", "toYYYYMM(ts)", "number % 40", "toMonday(ts)"],
    );
    let rows = *pick(random, &[1_u32, 5, 700, 5_000, 5_000, 20_000, 20_000, 40_000, 40_000]);
    let inserts = random.random_range(1..6);
    let granularity = *pick(random, &[8, 64, 256, 1024]);
    let wide = *pick(random, &["0", "1000000000"]);
    let ratio = *pick(random, &["0.9", "1"]);
    let plain = "number UInt32, ts DateTime('UTC'), `odd, (name` String, pad String";
    let extra = columns.concat();
    let create = format!(
        "CREATE TABLE {{}}.t ({plain}{extra}) ENGINE = MergeTree PARTITION BY {partition} ORDER BY ({}) \
         SETTINGS index_granularity = {granularity}, min_bytes_for_wide_part = {wide}, \
         allow_nullable_key = 1, allow_experimental_reverse_key = 1, \
         primary_key_ratio_of_unique_prefix_values_to_skip_suffix_columns = {ratio}",
        key.join(", ")
    );
    let extra = values.concat();
    // Text that compresses to nothing tells nothing of its size: only those without are weighed.
    let unknown = f64::INFINITY;
    let pads = [
        ("''", 1.25),
        ("repeat('x', n % 50)", unknown),
        ("if(n % 9 = 0, repeat('y', 900), '')", unknown),
    ];
    let (pad, slack) = *pick(random, &pads);
    let insert = |part: u32| {
        format!(
            "INSERT INTO {{}}.t SELECT n, toDateTime(1704067200 + n * 97, 'UTC'), hex(cityHash64(n) % 300), {pad}{extra} \
             FROM (SELECT toUInt32(number * {inserts} + {part}) AS n FROM numbers({}))",
            rows / inserts
        )
    };
    let is_deleted = random.random_bool(0.15);
    Shape {
        create,
        inserts: (0..inserts).map(insert).collect(),
        after: is_deleted.then(|| "DELETE FROM {}.t WHERE number % 5 = 1".to_owned()),
        budget_share: *pick(random, &[0.003, 0.02, 0.05, 0.11, 0.3, 0.7, 2.0]),
        slack,
        partitions_max: *pick(random, &[2, 100, 100]),
    }
}

#[test]
fn random_tables_are_cut_into_disjoint_whole_and_bounded_slices() {
    let seed: u64 = std::env::var("FAULT_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().expect("FAULT_SEED is a number"));
    let cases = std::env::var("CUT_CASES").map_or(20, |text| text.parse().expect("a number"));
    println!("FAULT_SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let yard = Yard::new();
    for case in 0..cases {
        let shape = shape(&mut random);
        println!("case {case}: {}", shape.create);
        yard.run("DROP TABLE IF EXISTS {}.t SYNC");
        yard.run(&shape.create);
        if let Some(delete) = &shape.after {
            // A DELETE is work of the merges.
            shape.inserts.iter().for_each(|insert| yard.run(insert));
            yard.run(delete);
            yard.run("SYSTEM STOP MERGES {}.t");
        } else {
            yard.run("SYSTEM STOP MERGES {}.t");
            shape.inserts.iter().for_each(|insert| yard.run(insert));
        }
        let bytes = yard.admin.number(&format!(
            "SELECT ifNull(sum(data_uncompressed_bytes), 0) FROM system.parts \
             WHERE database = '{}' AND table = 't' AND active",
            yard.database
        ));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let budget = (bytes as f64 * shape.budget_share) as u64 + 1;
        let mut options = options(budget);
        options.partitions_max = shape.partitions_max;
        options.has_snapshot = random.random_bool(0.3);
        options.align = random.random_bool(0.2).then(|| random.random_range(1..3));
        if random.random_bool(0.2) {
            options.unit = Unit::Compressed;
        }
        let (made, worth) = yard.cut_about("t", &options, shape.slack);
        println!(
            "  {} rows, {} slices, fill {:.2}, over {}, bounded {}, reads {}/{}",
            worth.rows,
            made.slices.len(),
            worth.fill(budget),
            made.over_budget,
            made.is_bounded,
            worth.granules.iter().sum::<u64>(),
            worth.granules_all
        );
    }
}
