//! Sweeps over all points of a protocol: a test at every one of them takes minutes.
//!
//! Each run of the suite visits a drawn part of each sweep, and with `NEXTEST_PROFILE=long` all of it.
//! One sweep is always whole ([`crashes`](../e2e/crashes.rs), deaths at a named point), and the others
//! draw for themselves: a run meets nearly every point in one of them.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{SeedableRng, random};

/// At least so many places of a sweep are visited.
const LEAST: usize = 4;

/// Was the whole of every sweep asked for?
fn is_long() -> bool {
    std::env::var("NEXTEST_PROFILE").is_ok_and(|profile| profile == "long")
}

/// What a test visits of a sweep: a drawn third, in the order of the whole. The seed is printed; `SWEEP_SEED` repeats a run.
///
/// # Panics
/// When `SWEEP_SEED` is no number.
pub fn drawn<T: Clone>(whole: &[T]) -> Vec<T> {
    draw(whole, whole.len().div_ceil(3).max(LEAST))
}

/// The same for a sweep whose every place is costly: a drawn quarter, and at least so many.
///
/// # Panics
/// When `SWEEP_SEED` is no number.
pub fn drawn_few<T: Clone>(whole: &[T], least: usize) -> Vec<T> {
    draw(whole, whole.len().div_ceil(4).max(least))
}

/// How much of something a test does (rounds, kills, tasks): `short` in a run of the suite, and `long`
/// with `NEXTEST_PROFILE=long`.
pub fn long_or<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

fn draw<T: Clone>(whole: &[T], count: usize) -> Vec<T> {
    if is_long() {
        return whole.to_vec();
    }
    let seed = std::env::var("SWEEP_SEED")
        .map_or_else(|_| random(), |text| text.parse().expect("SWEEP_SEED is a number"));
    println!("SWEEP_SEED={seed}");
    let mut places: Vec<usize> = (0..whole.len()).collect();
    places.shuffle(&mut StdRng::seed_from_u64(seed));
    places.truncate(count);
    places.sort_unstable();
    places.into_iter().map(|place| whole[place].clone()).collect()
}
