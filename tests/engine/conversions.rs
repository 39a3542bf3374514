//! Conversions that must not lose a value: every pair of numeric types, alone and inside of lists,
//! tuples and maps, with the values at the borders. The oracle is arithmetic on the digits.

use std::collections::BTreeMap;

use clickhouse::Row;
use longshore_shared::types::{Nulls, Type, conversion};
use longshore_tests::{Admin, Bed};
use serde::Deserialize;

use crate::server;

const TYPES: &[&str] = &[
    "Int8",
    "UInt8",
    "Int16",
    "UInt16",
    "Int32",
    "UInt32",
    "Int64",
    "UInt64",
    "Int128",
    "UInt128",
    "Int256",
    "UInt256",
    "Float32",
    "Float64",
    "Decimal(9, 2)",
    "Decimal(18, 4)",
    "Decimal(38, 0)",
    "Decimal(76, 10)",
];
/// Inside of other types every so many-th of the values that do not fit is tried.
const FEW: usize = 4;
/// As text, so that none is cut before the server sees it.
const VALUES: &[&str] = &[
    "0",
    "1",
    "-1",
    "127",
    "128",
    "-128",
    "-129",
    "255",
    "256",
    "32767",
    "32768",
    "65535",
    "65536",
    "16777217",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "170141183460469231731687303715884105727",
    "170141183460469231731687303715884105728",
    "340282366920938463463374607431768211455",
    "57896044618658097711785492504343953926634992332820282019728792003956564819967",
    "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    "0.5",
    "-0.25",
    "1.005",
    "99999.99",
];
/// What stands around a type, and around a value of it.
const SHAPES: &[(&str, &str)] = &[
    ("{}", "{}"),
    ("Array({})", "[{}]"),
    ("Tuple(a {}, b String)", "({}, 'x')"),
    ("Map(String, Array({}))", "map('k', [{}])"),
];

/// Digits without a sign for zero, zeros in front, or zeros behind the point.
fn plain(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let digits = match digits.split_once('.') {
        Some(_) => digits.trim_end_matches('0').trim_end_matches('.'),
        None => digits,
    };
    let digits = digits.trim_start_matches('0');
    let digits = if digits.is_empty() || digits.starts_with('.') {
        format!("0{digits}")
    } else {
        digits.to_owned()
    };
    if digits == "0" { digits } else { format!("{sign}{digits}") }
}

/// Are the two texts one value? Of floating point numbers the server prints the shortest digits that
/// tell them apart, so those are compared as such numbers.
#[allow(clippy::float_cmp, reason = "the same number, not one that is near")]
fn is_same(from: &str, to: &str, kinds: [&str; 2]) -> bool {
    let number = |text: &str| text.parse::<f64>().expect("a number");
    let single = |text: &str| text.parse::<f32>().expect("a number");
    match kinds {
        kinds if kinds.contains(&"Float32") => single(from) == single(to),
        kinds if kinds.contains(&"Float64") => number(from) == number(to),
        _ => plain(from) == plain(to),
    }
}

/// The values that the type holds: by its SQL, with the text that the server gives it.
fn values(admin: &Admin, kind: &str) -> Vec<(String, String)> {
    let values = VALUES.iter().filter_map(|text| {
        let sql = format!("accurateCastOrNull('{text}', '{kind}')");
        let said = admin.run(&format!("SELECT toString({sql})"));
        let said = said.trim();
        // A value that the type rounds is one that it does not hold.
        let is_float = kind.starts_with("Float");
        (said != "\\N" && (is_float || plain(said) == plain(text)))
            .then(|| (format!("CAST('{text}', '{kind}')"), said.to_owned()))
    });
    values.collect()
}

#[derive(Deserialize, Row)]
struct Got {
    text: String,
}

/// The same expression comes often enough here for the server to compile it, as it would for the
/// chunks of a job.
#[tokio::test]
async fn no_number_becomes_another_one() {
    let bed = Bed::from_env();
    let (admin, server) = (Admin::new(&bed.clickhouse_url), server(&bed));
    let held: BTreeMap<&str, Vec<(String, String)>> =
        TYPES.iter().map(|kind| (*kind, values(&admin, kind))).collect();
    let mut wrong = Vec::new();
    let mut asked = 0_usize;
    let pairs = TYPES.iter().flat_map(|from| TYPES.iter().map(move |to| (*from, *to)));
    for (number, (from, to)) in pairs.filter(|(from, to)| from != to).enumerate() {
        let can_hold =
            |text: &str| held[to].iter().any(|(_, other)| is_same(text, other, [to, to]));
        for (shape, (around_type, around_value)) in SHAPES.iter().enumerate() {
            let shaped = |kind: &str| Type::parse(&around_type.replace("{}", kind));
            let made = conversion("c", "c", &shaped(from), &shaped(to), Nulls::Fail);
            let inner = ["v", "v[1]", "v.1", "v['k'][1]"][shape];
            let ask = |values: &[&str]| {
                let values: Vec<String> =
                    values.iter().map(|sql| around_value.replace("{}", sql)).collect();
                let text = format!(
                    "SELECT toString({inner}) AS text FROM (SELECT {} AS v FROM (SELECT arrayJoin([{}]) AS c))",
                    made.expression,
                    values.join(", ")
                );
                server.call_text("convert", text).fetch_all::<Got>()
            };
            // Digits beyond those of a floating point number are no loss that is told.
            if is_rounded(from, to) {
                continue;
            }
            let (fit, rest): (Vec<_>, Vec<_>) =
                held[from].iter().partition(|(_, text)| can_hold(text));
            let sql: Vec<&str> = fit.iter().map(|(sql, _)| sql.as_str()).collect();
            let place = format!("of {from} into {to} in {around_type}");
            asked += 1;
            match ask(&sql).await {
                Ok(got) => {
                    let differs =
                        fit.iter().zip(&got).find(|(a, b)| !is_same(&a.1, &b.text, [from, to]));
                    wrong
                        .extend(differs.map(|(a, b)| format!("{} became {} {place}", a.1, b.text)));
                }
                // The server has no way from one to the other, for nobody.
                Err(error) if error.message.contains("is not supported") => continue,
                Err(_) if to.starts_with("Float") || from.starts_with("Float") => {}
                Err(error) => wrong.push(format!("values that fit are refused {place}: {error}")),
            }
            // What does not fit is looked at one by one; inside of other types a part of it.
            let few = rest.iter().skip(if shape == 0 { 0 } else { number % FEW });
            for (sql, text) in few.step_by(if shape == 0 { 1 } else { FEW }) {
                asked += 1;
                let Ok(got) = ask(&[sql]).await else { continue };
                if !is_same(text, &got[0].text, [from, to]) {
                    wrong.push(format!("{text} became {} {place}", got[0].text));
                }
            }
        }
    }
    assert!(asked > 3_000, "{asked} statements");
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Is it a way to floating point numbers that rounds by its nature?
fn is_rounded(from: &str, to: &str) -> bool {
    to.starts_with("Float") && (from.starts_with("Float") || from.starts_with("Decimal"))
}
