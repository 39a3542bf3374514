//! Tables made with the syntax of before 2018: `MergeTree(date, key, granularity)`.

use super::definition::engine_at;
use super::tokens::{Kind, tokens};

/// The engine of such a table in the syntax of today; none when it has that already.
#[must_use]
pub fn engine_of_today(definition: &str) -> Option<String> {
    let all = tokens(definition);
    let start = engine_at(&all)?;
    let solid: Vec<usize> = (start..all.len()).filter(|at| all[*at].kind != Kind::Gap).collect();
    let name = all[*solid.first()?].name()?;
    if !name.ends_with("MergeTree") || !all[*solid.get(1)?].is_symbol('(') {
        return None;
    }
    let (mut depth, mut arguments, mut end) = (0, vec![String::new()], None);
    for (at, token) in all.iter().enumerate().skip(solid[1]) {
        match token.kind {
            Kind::Symbol('(' | '[') => depth += 1,
            Kind::Symbol(')' | ']') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            end = Some(at);
            break;
        }
        if depth == 1 && token.is_symbol(',') {
            arguments.push(String::new());
        } else if !(depth == 1 && at == solid[1]) {
            arguments.last_mut()?.push_str(token.text);
        }
    }
    // In the syntax of today the server always writes ORDER BY.
    if all[end?..].iter().any(|token| token.is_keyword("ORDER")) {
        return None;
    }
    let arguments: Vec<&str> = arguments.iter().map(|text| text.trim()).collect();
    let skipped = if name.starts_with("Replicated") { 2 } else { 0 };
    let (replica, arguments) = arguments.split_at_checked(skipped)?;
    let granularity = arguments.iter().position(|text| text.parse::<u64>().is_ok())?;
    let (date, key) = (arguments.first()?, arguments.get(granularity.checked_sub(1)?)?);
    let sampling = (granularity == 3).then(|| format!(" SAMPLE BY {}", arguments[1]));
    let own: Vec<&str> = replica.iter().chain(&arguments[granularity + 1..]).copied().collect();
    let own = if own.is_empty() { String::new() } else { format!("({})", own.join(", ")) };
    Some(format!(
        "{name}{own} PARTITION BY toYYYYMM({date}) ORDER BY {key}{}",
        sampling.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::engine_of_today;

    fn of(engine: &str) -> Option<String> {
        engine_of_today(&format!("CREATE TABLE a.b (`id` UInt64, `d` Date) ENGINE = {engine}"))
    }

    #[test]
    fn the_old_syntax_is_written_as_today() {
        assert_eq!(
            of("MergeTree(d, (id, d), 8192)").unwrap(),
            "MergeTree PARTITION BY toYYYYMM(d) ORDER BY (id, d)"
        );
        assert_eq!(
            of("SummingMergeTree(d, id, (id, d), 8192, (a, b))").unwrap(),
            "SummingMergeTree((a, b)) PARTITION BY toYYYYMM(d) ORDER BY (id, d) SAMPLE BY id"
        );
        assert_eq!(
            of("ReplicatedMergeTree('/x/{uuid}', '{replica}', d, (id), 8192)").unwrap(),
            "ReplicatedMergeTree('/x/{uuid}', '{replica}') PARTITION BY toYYYYMM(d) ORDER BY (id)"
        );
    }

    #[test]
    fn the_syntax_of_today_is_left_alone() {
        for engine in [
            "MergeTree ORDER BY id SETTINGS index_granularity = 8192",
            "ReplacingMergeTree(d) PARTITION BY d ORDER BY (id, d)",
            "ReplicatedMergeTree('/x/{uuid}', '{replica}') ORDER BY tuple()",
            "Memory",
            "Merge('a', '^b')",
        ] {
            assert_eq!(of(engine), None, "{engine}");
        }
    }
}
