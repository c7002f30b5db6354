//! Response headers: which etcd cluster answered, and at which revision.
//!
//! All requests go through [`EtcdClient::call`](super::client::EtcdClient::call), which accepts
//! only results that implement [`HasHeader`]. A result without a header has to say so explicitly.

use etcd_client::{
    DeleteResponse, Error, GetResponse, LeaseGrantResponse, LeaseRevokeResponse,
    LeaseTimeToLiveResponse, PutResponse, ResponseHeader, StatusResponse, TxnResponse,
};

/// A response, or something derived from one.
pub(super) trait HasHeader {
    /// The response header, which names the etcd cluster and its revision.
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
    LeaseTimeToLiveResponse,
    PutResponse,
    StatusResponse,
    TxnResponse,
);

/// The error for a response without the header that it should have.
pub(super) fn missing_header() -> Error {
    Error::Internal("an answer without header".into())
}

/// A value derived from a response, with that response's header.
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
    /// Derived from `answer`.
    pub(super) fn of(answer: &impl HasHeader, value: T) -> Self {
        Self { header: answer.header().cloned(), value }
    }

    /// For a stream, whose responses are still to come, or an error, which has no header.
    pub(super) const fn without_header(value: T) -> Self {
        Self { header: None, value }
    }
}
