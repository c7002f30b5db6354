//! Size and name checks on queued calls, before they reach the store.

use super::{
    data::{QueuedCallKey, QueuedCallRequest, QueuedCallResult},
    limits::{ANSWER_MAX, CONTENT_TYPE_MAX, ID_MAX, PAYLOAD_MAX},
};
use crate::{error::StoreError, name::check_name};

/// Refuses a key whose names would point outside its place in the store.
pub(crate) fn check_key(key: &QueuedCallKey) -> Result<(), StoreError> {
    check_task(&key.task)?;
    check_name("the queued call's id", &key.id)?;
    if key.id.len() > ID_MAX {
        let length = key.id.len();
        return Err(StoreError::Limit(format!("an id of {length} bytes: {ID_MAX} at most")));
    }
    Ok(())
}

pub(crate) fn check_task(task: &str) -> Result<(), StoreError> {
    check_name("the task's name", task)
}

/// Refuses a request that is too large.
pub(crate) fn check_request(order: &QueuedCallRequest) -> Result<(), StoreError> {
    check_content_type(order.content_type.as_deref())?;
    check_length("a payload", order.payload.len(), PAYLOAD_MAX)
}

/// Refuses an answer that is too large.
pub(crate) fn check_answer(answer: &QueuedCallResult) -> Result<(), StoreError> {
    check_content_type(answer.content_type.as_deref())?;
    check_length("an answer", answer.payload.len(), ANSWER_MAX)
}

fn check_content_type(content_type: Option<&str>) -> Result<(), StoreError> {
    let length = content_type.map_or(0, str::len);
    check_length("a content type", length, CONTENT_TYPE_MAX)
}

fn check_length(what: &str, length: usize, most: usize) -> Result<(), StoreError> {
    if length <= most {
        return Ok(());
    }
    Err(StoreError::Limit(format!("{what} of {length} bytes: {most} at most")))
}

/// Refuses another queued call of a task that has reached its limit.
pub(crate) fn check_capacity(
    task: &str,
    queued: usize,
    dead: usize,
    limit: usize,
) -> Result<(), StoreError> {
    if queued + dead < limit {
        return Ok(());
    }
    let help = if dead > queued {
        format!(": `soloist task dead-letters retry {task}`, or `delete`")
    } else {
        String::new()
    };
    Err(StoreError::Limit(format!(
        "{task} has {queued} queued calls to do and {dead} dead letters, {limit} together at \
         most{help}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_told_with_what_to_do_about_it() {
        check_capacity("resize", 1, 1, 3).unwrap();
        let told =
            |queued, dead| check_capacity("resize", queued, dead, 3).unwrap_err().to_string();
        assert!(told(3, 0).ends_with("0 dead letters, 3 together at most"));
        assert!(told(1, 2).contains("1 queued calls to do and 2 dead letters"));
        assert!(told(1, 2).contains("soloist task dead-letters retry resize"));
        assert!(check_capacity("resize", 0, 0, 0).is_err());
    }

    #[test]
    fn keys_stay_in_their_place() {
        check_key(&QueuedCallKey::new("resize", "1-2")).unwrap();
        for (task, id) in [("a/b", "1"), ("", "1"), ("a", "1/2"), ("a", ""), ("a", "1\0")] {
            check_key(&QueuedCallKey::new(task, id)).unwrap_err();
        }
        check_key(&QueuedCallKey::new("a", "i".repeat(ID_MAX + 1))).unwrap_err();
    }
}
