//! Suggestions for misspelled names.

/// More would be a list, not a suggestion.
const MAX_SUGGESTIONS: usize = 3;
/// How similar two names must be, of 1.
const MIN_SIMILARITY: f64 = 0.6;
/// How much less similar than the nearest name another suggestion may be.
const MAX_DISTANCE: f64 = 0.1;
/// Longer texts are no misspelled names.
const MAX_NAME_LEN: usize = 64;

/// The names that are most similar to a text, the nearest first. Case, hyphens and underscores do not matter.
pub fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if text.len() > MAX_NAME_LEN {
        return Vec::new();
    }
    let text = fold(text);
    let mut similar: Vec<(f64, &str)> = names
        .filter_map(|name| {
            let folded = fold(name);
            let is_part =
                text.len() > 2 && (folded.starts_with(&text) || text.starts_with(&folded));
            let similarity = strsim::normalized_damerau_levenshtein(&text, &folded);
            let similarity = if is_part { similarity.max(MIN_SIMILARITY) } else { similarity };
            (similarity >= MIN_SIMILARITY).then_some((similarity, name))
        })
        .collect();
    similar.sort_by(|(a, first), (b, second)| b.total_cmp(a).then(first.cmp(second)));
    let best = similar.first().map_or(0.0, |(similarity, _)| *similarity);
    similar.retain(|(similarity, _)| best - similarity < MAX_DISTANCE);
    similar.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name).collect()
}

fn fold(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_come_first() {
        let names = ["github", "gitlab", "google", "slack", "hubspot", "stripe"];
        let suggest = |text: &str| nearest(text, names.into_iter());
        assert_eq!(suggest("githib"), ["github"]);
        assert_eq!(suggest("GitLab"), ["gitlab"]);
        assert_eq!(suggest("git-hub"), ["github"]);
        assert_eq!(suggest("gitlub"), ["github", "gitlab"]);
        assert_eq!(suggest("hubspot-crm"), ["hubspot"]);
        assert!(suggest("nothing-like-it").is_empty());
        assert!(suggest("").is_empty());
        assert!(suggest(&"g".repeat(10_000)).is_empty());
    }
}
