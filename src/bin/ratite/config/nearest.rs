//! The known name that somebody may have meant.

/// `; did you mean X?` with the nearest of `known`, or nothing if none is near.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let (lower, most) = (name.to_ascii_lowercase(), 1 + name.len() / 3);
    // What is much longer is not near, and a file's name for an option may be as long as the file.
    let known = known.filter(|known| known.len() + most >= name.len());
    let by_distance = known.map(|known| (distance(&lower, &known.to_ascii_lowercase()), known));
    let near = by_distance.filter(|(far, _)| *far <= most).min();
    near.map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"))
}

/// Letters to be added, dropped or changed, or neighbours to be exchanged, to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                rows[i][j] = i + j;
                continue;
            }
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        assert_eq!(distance("snyc", "sync"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        let of = |name| nearest(name, ["sync", "memtable", "log-file"].into_iter());
        assert_eq!(of("snyc"), "; did you mean sync?");
        assert_eq!(of("log_file"), "; did you mean log-file?");
        assert_eq!(of("MemTables"), "; did you mean memtable?");
        assert_eq!(of("memtable-mib"), "; did you mean memtable?");
        assert_eq!(of("quotas"), "");
    }
}
