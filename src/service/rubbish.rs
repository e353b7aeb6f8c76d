//! For tests of what reads files that anybody may have written to.

/// Calls `check` with many variations of `samples`: changed, cut short, made longer, mixed; the same each time.
pub fn variations(samples: &[&[u8]], mut check: impl FnMut(&[u8])) {
    const BYTES: &[u8] = b"\0\n\t '=-/.\\$0129axz~\x7f\x80\xff";
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        // xorshift
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below.max(1)).unwrap_or(1)).unwrap_or(0)
    };
    for _ in 0..4_000 {
        let mut content = samples[random(samples.len())].to_vec();
        for _ in 0..=random(4) {
            let (at, to) = (random(content.len() + 1), random(content.len() + 1));
            let (begin, end) = (at.min(to), at.max(to));
            match random(6) {
                0 if begin < content.len() => content[begin] = BYTES[random(BYTES.len())],
                1 => content.truncate(begin),
                2 => drop(content.drain(begin..end)),
                3 => content.insert(begin, BYTES[random(BYTES.len())]),
                4 => content.extend_from_within(begin..end),
                _ => {
                    let other = samples[random(samples.len())];
                    content.splice(begin..end, other[random(other.len())..].iter().copied());
                }
            }
        }
        check(&content);
    }
}
