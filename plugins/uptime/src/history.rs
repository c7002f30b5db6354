//! What came of the checks of one URL.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How many are kept.
const KEPT: usize = 500;

/// What came of one check.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Sample {
    /// When it began, in milliseconds since 1970.
    pub(crate) at: u64,
    /// How long the answer took, in milliseconds.
    pub(crate) took: u64,
    /// The status; none if there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// Why there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The fencing token of the term that it was made in.
    pub(crate) fencing_token: u64,
}

impl Sample {
    pub(crate) fn is_up(&self) -> bool {
        self.status.is_some_and(|status| status < 400)
    }
}

/// The last samples of one URL.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct History {
    /// The URL.
    pub(crate) url: String,
    /// The oldest first.
    pub(crate) samples: VecDeque<Sample>,
}

impl History {
    /// The history of `url`: this one, if it is that, else a new one.
    pub(crate) fn of(self, url: &str) -> Self {
        if self.url == url { self } else { Self { url: url.to_owned(), ..Self::default() } }
    }

    pub(crate) fn push(&mut self, sample: Sample) {
        self.samples.push_back(sample);
        while self.samples.len() > KEPT {
            self.samples.pop_front();
        }
    }

    pub(crate) fn last(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// Which part of the samples were up, in hundredths of a percent, so that
    /// nothing is rounded up to 100 %.
    pub(crate) fn up(&self) -> Option<u64> {
        let up = self.samples.iter().filter(|sample| sample.is_up()).count() as u64;
        (up * 10_000).checked_div(self.samples.len() as u64)
    }

    /// The median time of the answers, in milliseconds.
    pub(crate) fn median(&self) -> Option<u64> {
        let answers = self.samples.iter().filter(|sample| sample.is_up());
        let mut times: Vec<_> = answers.map(|sample| sample.took).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(took: u64, status: Option<u16>) -> Sample {
        Sample { at: 0, took, status, error: None, fencing_token: 1 }
    }

    #[test]
    fn the_oldest_go_first() {
        let mut history = History::default().of("http://a");
        assert_eq!((history.up(), history.median()), (None, None));
        (0..=KEPT as u64).for_each(|took| history.push(sample(took, Some(200))));
        assert_eq!(history.samples.len(), KEPT);
        assert_eq!(history.samples[0].took, 1);
        assert_eq!(history.clone().of("http://a"), history);
        assert_eq!(history.of("http://b").samples.len(), 0);
    }

    #[test]
    fn a_part_of_the_answers_is_up() {
        let mut history = History::default();
        for (took, status) in [(9, Some(200)), (7, Some(301)), (1, Some(404)), (1, None)] {
            history.push(sample(took, status));
        }
        assert_eq!((history.up(), history.median()), (Some(5_000), Some(9)));
    }
}
