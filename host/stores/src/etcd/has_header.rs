//! What answers say of the etcd that gave them.
//!
//! All calls go through one place, [`Client::call`](super::client::Client::call), which takes
//! nothing but what says so. A call whose answer has nothing to say has to say that.

use etcd_client::{
    DeleteResponse, Error, GetResponse, LeaseGrantResponse, LeaseRevokeResponse, PutResponse,
    ResponseHeader, StatusResponse, TxnResponse,
};

/// An answer, or what was made of one.
pub(super) trait HasHeader {
    /// The etcd that gave it, and the revision that it had come to.
    fn header(&self) -> Option<&ResponseHeader>;
}

macro_rules! headed {
    ($($answer:ty),+ $(,)?) => {
        $(impl HasHeader for $answer {
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
pub(super) fn missing_header() -> Error {
    Error::Internal("an answer without header".into())
}

/// What was made of an answer, with its header.
pub(super) struct WithHeader<T> {
    pub(super) header: Option<ResponseHeader>,
    pub(super) value: T,
}

impl<T> HasHeader for WithHeader<T> {
    fn header(&self) -> Option<&ResponseHeader> {
        self.header.as_ref()
    }
}

impl<T> WithHeader<T> {
    /// Of an answer.
    pub(super) fn of(answer: &impl HasHeader, value: T) -> Self {
        Self { header: answer.header().cloned(), value }
    }

    /// Of a stream, whose answers are still to come, or of an error, which has no header.
    pub(super) const fn without_header(value: T) -> Self {
        Self { header: None, value }
    }
}
