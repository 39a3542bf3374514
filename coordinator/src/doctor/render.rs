//! Findings as people read them: one line each, and what to do below it.

use super::{Finding, Level};

/// Columns of the level and the check.
const LEVEL_CHARS: usize = 9;
const CHECK_CHARS: usize = 18;

/// How many findings are of each level.
pub(crate) fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

/// One line a finding, its remedy indented below.
pub(crate) fn lines(findings: &[Finding]) -> String {
    let mut text = Vec::with_capacity(findings.len());
    for finding in findings {
        let (level, check) = (finding.level.as_str(), finding.check);
        text.push(format!("{level:LEVEL_CHARS$}{check:CHECK_CHARS$}{}", finding.message));
        for line in finding.remedy.iter().flat_map(|remedy| remedy.lines()) {
            text.push(format!("{:LEVEL_CHARS$}{line}", ""));
        }
    }
    text.join("\n")
}

/// The last line: `2 problems, 1 warning.`
pub(crate) fn verdict(findings: &[Finding]) -> String {
    let of = |level, noun| (count(findings, level) as u64, noun);
    let parts: Vec<String> = [of(Level::Problem, "problem"), of(Level::Warning, "warning")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| crate::ui::text::plural(count, noun))
        .collect();
    if parts.is_empty() { "All is well.".to_owned() } else { format!("{}.", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_with_its_remedy_below() {
        let findings = [
            Finding::ok("server", "it answers"),
            Finding::problem("control tables", "there are none", "longshore init"),
            Finding::warning("disk", "nearly full", "make room\nor buy a disk"),
        ];
        insta::assert_snapshot!(lines(&findings), @"
        ok       server            it answers
        problem  control tables    there are none
                 longshore init
        warning  disk              nearly full
                 make room
                 or buy a disk
        ");
        assert_eq!(verdict(&findings), "1 problem, 1 warning.");
        assert_eq!(verdict(&findings[..1]), "All is well.");
    }
}
