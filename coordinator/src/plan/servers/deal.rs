//! Which chunk goes to which of several servers.

use longshore_shared::task::Chunk;

/// Orders chunks so that dealing them out in turn gives every server about as many bytes.
///
/// Neighbours stay near each other: of each round, the largest goes to the server that has least.
pub(crate) fn deal(chunks: &[Chunk], servers: usize) -> Vec<Chunk> {
    let servers = servers.max(1);
    let mut bytes = vec![0u64; servers];
    let mut dealt = Vec::with_capacity(chunks.len());
    for round in chunks.chunks(servers) {
        let mut largest: Vec<&Chunk> = round.iter().collect();
        largest.sort_by_key(|chunk| std::cmp::Reverse(chunk.bytes()));
        // The last round may be short: its chunks go to the first servers.
        let mut least: Vec<usize> = (0..round.len()).collect();
        least.sort_by_key(|server| bytes[*server]);
        let mut hand: Vec<(usize, &Chunk)> = least.into_iter().zip(largest).collect();
        hand.sort_by_key(|(server, _)| *server);
        for (server, chunk) in hand {
            bytes[server] += chunk.bytes();
            dealt.push(chunk.clone());
        }
    }
    dealt
}

/// Each chunk once for every server, which reads its share of the rows.
pub(crate) fn divide(chunks: &[Chunk], servers: usize) -> Vec<Chunk> {
    chunks.iter().flat_map(|chunk| std::iter::repeat_n(chunk.clone(), servers)).collect()
}

#[cfg(test)]
mod tests {
    use longshore_shared::task::SourceFile;

    use super::*;

    fn chunks(sizes: &[u64]) -> Vec<Chunk> {
        let file = |(at, size): (usize, &u64)| SourceFile::listed(at.to_string(), *size, "");
        sizes.iter().enumerate().map(|at| Chunk::of_files(vec![file(at)])).collect()
    }

    fn shares(dealt: &[Chunk], servers: usize) -> Vec<u64> {
        let of = |server| dealt.iter().skip(server).step_by(servers).map(Chunk::bytes).sum();
        (0..servers).map(of).collect()
    }

    #[test]
    fn every_chunk_is_dealt_once_and_bytes_are_even() {
        let given = chunks(&[90, 10, 80, 20, 70, 30, 60, 40, 5]);
        for servers in 1..4 {
            let dealt = deal(&given, servers);
            let mut paths: Vec<&str> = dealt.iter().map(|c| c.files()[0].path.as_str()).collect();
            paths.sort_unstable();
            assert_eq!(paths, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
        }
        assert_eq!(deal(&given, 1), given);
        let divided = divide(&given[..2], 2);
        assert_eq!(divided.iter().map(Chunk::bytes).collect::<Vec<_>>(), [90, 90, 10, 10]);
        let shares = shares(&deal(&given, 2), 2);
        assert!(shares[0].abs_diff(shares[1]) <= 45, "{shares:?}");
    }
}
