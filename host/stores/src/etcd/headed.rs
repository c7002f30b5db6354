//! What answers say of the etcd that gave them.
//!
//! All calls go through one place, [`Client::call`](super::client::Client::call), which takes
//! nothing but what says so. A call whose answer has nothing to say has to say that.

use etcd_client::{
    DeleteResponse, Error, GetResponse, LeaseGrantResponse, LeaseRevokeResponse, PutResponse,
    ResponseHeader, StatusResponse, TxnResponse,
};

/// An answer, or what was made of one.
pub(super) trait Headed {
    /// The etcd that gave it, and the revision that it had come to.
    fn header(&self) -> Option<&ResponseHeader>;
}

macro_rules! headed {
    ($($answer:ty),+ $(,)?) => {
        $(impl Headed for $answer {
            fn header(&self) -> Option<&ResponseHeader> {
                self.header()
            }
        })+
    };
}

headed!(
    DeleteResponse,
    GetResponse,
    LeaseGrantResponse,
    LeaseRevokeResponse,
    PutResponse,
    StatusResponse,
    TxnResponse,
);

/// What is wrong with an answer that ought to say it and does not.
pub(super) fn headless() -> Error {
    Error::Internal("an answer without header".into())
}

/// What was made of an answer, with its header.
pub(super) struct Made<T> {
    pub(super) of: Option<ResponseHeader>,
    pub(super) it: T,
}

impl<T> Headed for Made<T> {
    fn header(&self) -> Option<&ResponseHeader> {
        self.of.as_ref()
    }
}

impl<T> Made<T> {
    /// Of an answer.
    pub(super) fn of(answer: &impl Headed, it: T) -> Self {
        Self { of: answer.header().cloned(), it }
    }

    /// Of a stream, whose answers are still to come, or of an error, which has no header.
    pub(super) const fn of_none(it: T) -> Self {
        Self { of: None, it }
    }
}
