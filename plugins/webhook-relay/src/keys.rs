//! Where things are in the state.
//!
//! | key | what |
//! |---|---|
//! | `topic/<topic>` | a [`Topic`](crate::topic::Topic): written by people alone |
//! | `turn/<topic>` | a [`Turn`](crate::topic::Turn): written by the sender alone |
//! | `last/<topic>` | how many webhooks were ever taken: the number of the last |
//! | `queue/<topic>/<id>` | a [`Delivery`](crate::delivery::Delivery) that waits |
//! | `dead/<topic>/<id>` | one that failed too often |
//! | `why/<topic>/<id>` | what came of its last attempt |
//! | `full` | is there while no more are taken, so that there is room for the rest |

use std::collections::{BTreeMap, BTreeSet};

use kit::state::{State, StateError};

pub(crate) fn topic(topic: &str) -> String {
    format!("topic/{topic}")
}

pub(crate) fn turn(topic: &str) -> String {
    format!("turn/{topic}")
}

pub(crate) fn last(topic: &str) -> String {
    format!("last/{topic}")
}

pub(crate) fn waiting(topic: &str, id: &str) -> String {
    format!("queue/{topic}/{id}")
}

pub(crate) fn dead(topic: &str, id: &str) -> String {
    format!("dead/{topic}/{id}")
}

pub(crate) fn why(topic: &str, id: &str) -> String {
    format!("why/{topic}/{id}")
}

/// The id of a webhook: its number, so that ids are in the order of arrival, and
/// a part that nobody guesses, so that it is none of another state's either.
pub(crate) fn id(number: u64, random: u64) -> String {
    format!("{number:012}-{random:016x}")
}

/// The number in an id.
pub(crate) fn number(id: &str) -> Option<u64> {
    id.split_once('-')?.0.parse().ok()
}

/// Where it says that there is no more room.
pub(crate) const FULL: &str = "full";

/// How many keys are too many for more webhooks. The host keeps 10 000 for an action;
/// the sender needs some itself, and it looks at intervals only.
const KEYS: usize = 9_000;

/// Keeps [`FULL`] true to what there is. Whoever takes webhooks in cannot count.
pub(crate) fn tell_room(state: &State, index: &Index) -> Result<(), StateError> {
    match (index.keys > KEYS, index.full) {
        (true, false) => state.set(FULL, b""),
        (false, true) => state.delete(&[FULL.to_owned()]),
        _ => Ok(()),
    }
}

/// The ids of each topic, in their order.
pub(crate) type Ids = BTreeMap<String, BTreeSet<String>>;

/// All that there is at a moment, by its keys.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) topics: BTreeSet<String>,
    pub(crate) waiting: Ids,
    pub(crate) dead: Ids,
    keys: usize,
    full: bool,
}

impl Index {
    pub(crate) fn read(state: &State) -> Result<Self, StateError> {
        Ok(Self::of(&state.keys()?))
    }

    fn of(keys: &[String]) -> Self {
        let mut index = Self { keys: keys.len(), ..Self::default() };
        for key in keys {
            let steps: Vec<_> = key.split('/').collect();
            let mut enter = |list: fn(&mut Self) -> &mut Ids, topic: &str, id: &str| {
                list(&mut index).entry(topic.to_owned()).or_default().insert(id.to_owned());
            };
            match steps[..] {
                ["queue", topic, id] => enter(|index| &mut index.waiting, topic, id),
                ["dead", topic, id] => enter(|index| &mut index.dead, topic, id),
                ["topic", topic] => {
                    index.topics.insert(topic.to_owned());
                }
                [FULL] => index.full = true,
                _ => {}
            }
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_arrival() {
        assert!(id(9, u64::MAX) < id(10, 0));
        assert_eq!(id(7, 255), "000000000007-00000000000000ff");
        assert_eq!(number(&id(7, 255)), Some(7));
        assert_eq!(number("by-hand"), None);
    }

    #[test]
    fn keys_are_found_again() {
        let keys = [
            topic("a"),
            turn("a"),
            last("a"),
            waiting("a", "2"),
            waiting("a", "1"),
            dead("b", "3"),
        ];
        let index = Index::of(&keys);
        assert_eq!(index.topics, BTreeSet::from(["a".to_owned()]));
        assert_eq!(index.waiting["a"].first().map(String::as_str), Some("1"));
        assert_eq!((index.waiting.len(), index.dead["b"].len()), (1, 1));
    }
}
