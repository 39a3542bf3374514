//! Which server versions have a fault that matters to a load. One table, with the issue to read.

use std::fmt;

use super::Finding;

const CHECK: &str = "version";
/// Version this release was tested against, end to end.
pub(crate) const TESTED: &str = "26.7";

/// Year, month, patch and build of a ClickHouse version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version([u32; 4]);

impl Version {
    /// `26.7.2.1`; what follows the fourth number is left out.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = [0; 4];
        let mut parts = text.split(|symbol: char| !symbol.is_ascii_digit());
        for (at, number) in numbers.iter_mut().enumerate() {
            match parts.next().map(str::parse) {
                Some(Ok(value)) => *number = value,
                _ if at >= 2 => break,
                _ => return None,
            }
        }
        Some(Self(numbers))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().rposition(|number| *number > 0).unwrap_or(0).max(1);
        let texts: Vec<String> = self.0[..=shown].iter().map(u32::to_string).collect();
        f.write_str(&texts.join("."))
    }
}

/// A fault of the server.
struct Bug {
    /// First version that has it; `None` for as long as anybody knows.
    since: Option<[u32; 4]>,
    /// First versions that do not have it any more, one a release line; empty while it is open.
    fixed: &'static [[u32; 4]],
    /// Loads are at risk, whatever Longshore does.
    is_dangerous: bool,
    what: &'static str,
    remedy: &'static str,
    /// Of github.com/ClickHouse/ClickHouse.
    issues: &'static [u32],
}

const BUGS: &[Bug] = &[
    Bug {
        since: None,
        fixed: &[[26, 1, 0, 0]],
        is_dangerous: true,
        what: "parts that were moved away can come back after a restart, so rows can be twice",
        remedy: "upgrade ClickHouse to 26.1 or newer, and do not restart it while a job publishes",
        issues: &[92853],
    },
    Bug {
        since: Some([26, 6, 0, 0]),
        fixed: &[[26, 6, 4, 59], [26, 7, 6, 52], [26, 8, 1, 2014]],
        is_dangerous: false,
        what: "servers of other versions on the same Keeper may refuse KeeperMap tables made here",
        remedy: "upgrade all servers that share the Keeper ensemble to the same, newer version",
        issues: &[115_642, 116_369],
    },
    Bug {
        since: Some([23, 3, 0, 0]),
        fixed: &[[26, 8, 0, 0]],
        is_dangerous: false,
        what: "DELETE on KeeperMap can leave rows, or take a row that was just changed; Longshore deletes one key at a time",
        remedy: "do not DELETE in the control tables by hand, or do it one key at a time",
        issues: &[112_244],
    },
];

impl Bug {
    fn is_in(&self, version: Version) -> bool {
        if self.since.is_some_and(|since| version < Version(since)) {
            return false;
        }
        // A fix counts for its own release line and, the newest one, for everything after it.
        let line = |numbers: &[u32; 4]| (numbers[0], numbers[1]);
        let own = self.fixed.iter().find(|fixed| line(fixed) == line(&version.0));
        match (own, self.fixed.iter().max()) {
            (Some(fixed), _) => version < Version(*fixed),
            (None, Some(newest)) => version < Version(*newest),
            (None, None) => true,
        }
    }

    fn finding(&self, version: Version) -> Finding {
        let issues: Vec<String> = self.issues.iter().map(|number| format!("#{number}")).collect();
        let message = format!("{version}: {} (ClickHouse {})", self.what, issues.join(", "));
        if self.is_dangerous {
            Finding::problem(CHECK, message, self.remedy)
        } else {
            Finding::warning(CHECK, message, self.remedy)
        }
    }
}

/// What is known of this version.
pub(crate) fn check(text: &str) -> Vec<Finding> {
    let Some(version) = Version::parse(text) else {
        let message = format!("cannot read the server's version `{text}`");
        return vec![Finding::warning(CHECK, message, "compare it with docs/doctor.md yourself")];
    };
    let found: Vec<Finding> =
        BUGS.iter().filter(|bug| bug.is_in(version)).map(|bug| bug.finding(version)).collect();
    if found.is_empty() {
        let message = format!("{version}: no fault is known that matters (tested with {TESTED})");
        return vec![Finding::ok(CHECK, message)];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The issues told of a version.
    fn told(version: &str) -> Vec<&'static [u32]> {
        let version = Version::parse(version).unwrap();
        BUGS.iter().filter(|bug| bug.is_in(version)).map(|bug| bug.issues).collect()
    }

    #[test]
    fn each_version_is_told_its_own_faults() {
        let (moved, metadata, delete): (&[u32], &[u32], &[u32]) =
            (&[92853], &[115_642, 116_369], &[112_244]);
        assert_eq!(told("22.8.1.1"), [moved]);
        assert_eq!(told("25.12.3.4"), [moved, delete]);
        assert_eq!(told("26.5.1.1"), [delete]);
        assert_eq!(told("26.6.4.58"), [metadata, delete]);
        assert_eq!(told("26.6.4.59"), [delete]);
        assert_eq!(told("26.7.2.1"), [metadata, delete]);
        assert_eq!(told("26.7.6.52"), [delete]);
        assert_eq!(told("26.8.1.1"), [metadata]);
        assert!(told("26.8.1.2014").is_empty());
        assert!(told("27.1").is_empty());
    }

    #[test]
    fn reads_versions_of_all_builds() {
        let text = |text| Version::parse(text).map(|version| version.to_string());
        assert_eq!(text("26.7.2.1").as_deref(), Some("26.7.2.1"));
        assert_eq!(text("25.3.2.39.altinitystable").as_deref(), Some("25.3.2.39"));
        assert_eq!(text("24.8").as_deref(), Some("24.8"));
        assert_eq!(text("head"), None);
    }

    #[test]
    fn a_dangerous_fault_is_a_problem_and_no_fault_is_well() {
        use crate::doctor::Level;
        assert_eq!(check("25.8.1.1")[0].level, Level::Problem);
        assert_eq!(check("26.7.2.1")[0].level, Level::Warning);
        assert_eq!(check("26.9.1.1")[0].level, Level::Ok);
        assert_eq!(check("head")[0].level, Level::Warning);
    }
}
