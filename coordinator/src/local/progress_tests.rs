//! Rates, time left, and the words of a line.

use longshore_shared::task::JobState;

use super::*;
use crate::fixture;

fn look_at(census: Census) -> Look {
    Look { job: fixture::job(JobState::Running), census }
}

#[test]
fn the_template_of_the_bar_is_right() {
    assert!(ProgressStyle::with_template(BAR).is_ok());
}

#[test]
fn the_rate_is_that_of_the_last_minute() {
    let mut pace = Pace::default();
    pace.note(Duration::ZERO, 0, 0);
    assert_eq!(pace.rates(), None);
    pace.note(Duration::from_secs(10), 1_000, 10);
    assert_eq!(pace.rates(), Some((100.0, 1.0)));
    assert_eq!(pace.estimate_time_left(3_000), Some(Duration::from_secs(30)));
    // A long pause, then ten times faster: the slow beginning is forgotten.
    for second in 100u64..=170 {
        pace.note(Duration::from_secs(second), (second - 99) * 1_000, second);
    }
    assert_eq!(pace.rates().map(|(amount, _)| amount), Some(1_000.0));
    assert!(pace.marks.len() < 65);
}

#[test]
fn a_line_names_what_matters() {
    let look = look_at(fixture::census());
    let mut pace = Pace::default();
    insta::assert_snapshot!(amounts(&look, &pace), @"12,345,678 rows, 1.30 GiB of 4.00 GiB");
    insta::assert_snapshot!(state(&look, None), @"13 of 40 tasks, 0 workers, 2 failed, 1 quarantined");
    pace.note(Duration::ZERO, 0, 0);
    pace.note(Duration::from_secs(10), look.census.bytes, look.census.rows);
    insta::assert_snapshot!(amounts(&look, &pace), @"12,345,678 rows, 1.30 GiB of 4.00 GiB, 1,234,568 rows/s, 133.12 MiB/s");
    let left = pace.estimate_time_left(look.job.bytes - look.census.bytes);
    insta::assert_snapshot!(state(&look, left), @"13 of 40 tasks, about 21s left, 0 workers, 2 failed, 1 quarantined");
}

#[test]
fn only_a_finished_job_shows_a_hundred_percent() {
    let mut census = fixture::census();
    assert_eq!(look_at(census.clone()).percent(), 32);
    census.bytes = 4 << 30;
    assert_eq!(look_at(census.clone()).percent(), 99);
    census.done = census.total;
    assert_eq!(look_at(census).percent(), 100);
}

#[test]
fn a_source_without_sizes_counts_tasks() {
    let mut look = look_at(fixture::census());
    look.job.bytes = 0;
    look.census.bytes = 0;
    assert_eq!(look.percent(), 32);
    insta::assert_snapshot!(amounts(&look, &Pace::default()), @"12,345,678 rows");
}
