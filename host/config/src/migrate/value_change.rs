//! The value of a renamed setting, where its meaning changed together with its name.

use toml_edit::{Item, Value};

use crate::renames::{Change, ONCE};

/// The new value, if it differs from `old`. A value of a wrong type stays: the host reports it.
pub(super) fn new_value(change: Change, old: &Value) -> Option<Value> {
    match (change, old) {
        (Change::AllAttempts, Value::Integer(further)) => {
            further.value().checked_add(1).map(Value::from)
        }
        (Change::Latest, Value::String(word)) if word.value() == ONCE => Some("latest".into()),
        (Change::PerSecond, Value::String(size)) => {
            Some(format!("{}/s", size.value().trim_end()).into())
        }
        (Change::Inverted, Value::Boolean(flag)) => Some((!flag.value()).into()),
        _ => None,
    }
}

/// Gives `item` its new value. The comment behind it stays.
pub(super) fn apply(change: Change, item: &mut Item) {
    let Some(old) = item.as_value_mut() else { return };
    if let Some(mut new) = new_value(change, old) {
        *new.decor_mut() = old.decor().clone();
        *old = new;
    }
}
