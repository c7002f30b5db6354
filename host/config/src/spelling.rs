//! Suggestions for misspelled words.

/// The one of `known` that `word` may be a misspelling of.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips = (word.chars().count() / 3).max(1);
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|near| (strsim::damerau_levenshtein(&word, near), near))
        .filter(|&(distance, _)| distance <= slips)
        .min()
        .map(|(_, near)| near)
}

/// Asks whether the nearest of `known` was meant; `None` if none is similar to `word`.
pub(super) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}
