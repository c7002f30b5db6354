//! Reading ranges of keys, page by page.

use std::ops::ControlFlow;

use etcd_client::{
    Client as Connection, Error, GetOptions, GetResponse, KeyValue, SortOrder, SortTarget,
};

use super::{client::EtcdClient, has_header::WithHeader, keys::KeyRange, requests::kv};
use crate::StoreError;

/// How many keys are requested at once, at first.
const PAGE: i64 = 500;
/// How many values of actions are read at once, of up to 256 KiB each.
pub(super) const VALUES: i64 = 32;
/// The error text for a response that is larger than accepted (tonic: `Streaming::decode_chunk`).
const TOO_LARGE: &str = "message length too large";

/// Where to begin reading `range`: right after the key `after`, which is named without the prefix
/// of the range; or at the beginning.
pub(super) fn page_start(range: &KeyRange, after: Option<&str>) -> String {
    match after {
        // The smallest name after a name is the same name followed by a zero byte.
        Some(after) => format!("{}{after}\0", range.first),
        None => range.first.clone(),
    }
}

/// The options for a page of up to `limit` keys before `end`, in their order.
pub(super) fn page_options(end: &str, limit: i64) -> GetOptions {
    GetOptions::new()
        .with_range(end)
        .with_sort(SortTarget::Key, SortOrder::Ascend)
        .with_limit(limit)
}

/// Reads the keys of `range`, page by page at one revision, which it returns.
pub(super) async fn read(
    client: &EtcdClient,
    attempted: &'static str,
    range: &KeyRange,
    mut take_in: impl FnMut(&KeyValue),
) -> Result<i64, StoreError> {
    let mut pages = RangePages::new(client, attempted, range, 0);
    while let Some(page) = pages.next().await? {
        page.iter().for_each(&mut take_in);
    }
    Ok(pages.revision)
}

/// The keys of a range, page by page at one revision.
pub(super) struct RangePages<'a> {
    client: &'a EtcdClient,
    attempted: &'static str,
    end: String,
    /// Where the next page begins; `None` after the last one.
    next: Option<Vec<u8>>,
    page: i64,
    revision: i64,
}

impl<'a> RangePages<'a> {
    /// The pages at `revision`, or at the present one if that is zero.
    pub(super) fn new(
        client: &'a EtcdClient,
        attempted: &'static str,
        range: &KeyRange,
        revision: i64,
    ) -> Self {
        let next = Some(range.first.clone().into_bytes());
        Self { client, attempted, end: range.end.clone(), next, page: PAGE, revision }
    }

    /// The same with up to `page` keys at once, for large values.
    pub(super) fn with_page(self, page: i64) -> Self {
        Self { page, ..self }
    }

    /// The next page; `None` after the last one.
    ///
    /// If a page is larger than the largest accepted response, smaller pages are requested. A key
    /// and its value are no larger than a request to etcd may be (`--max-request-bytes`, 1.5 MiB).
    pub(super) async fn next(&mut self) -> Result<Option<Vec<KeyValue>>, StoreError> {
        let Some(from) = self.next.take() else { return Ok(None) };
        let mut found = self.page(&from).await?;
        if self.revision == 0 {
            let headless = || self.client.unavailable(self.attempted, "an answer without header");
            self.revision = found.header().ok_or_else(headless)?.revision();
        }
        let (more, keys) = (found.more(), found.take_kvs());
        self.next = keys.last().filter(|_| more).map(|last| [last.key(), b"\0"].concat());
        Ok(Some(keys))
    }

    async fn page(&mut self, from: &[u8]) -> Result<GetResponse, StoreError> {
        let Self { client, attempted, .. } = *self;
        loop {
            let options = page_options(&self.end, self.page).with_revision(self.revision);
            let get = |etcd: Connection| get(etcd, from.to_vec(), options.clone());
            match client.call(attempted, get).await?.value {
                ControlFlow::Continue(found) => return Ok(found),
                ControlFlow::Break(too_large) if self.page == 1 => {
                    return Err(client.store_error(attempted, too_large));
                }
                ControlFlow::Break(_) => self.page = (self.page / 8).max(1),
            }
        }
    }
}

/// One page; or, if it is too large, that error, which is not the member's fault.
async fn get(
    etcd: Connection,
    from: Vec<u8>,
    options: GetOptions,
) -> Result<WithHeader<ControlFlow<Error, GetResponse>>, Error> {
    match kv(&etcd).get(from, Some(options)).await {
        Ok(found) => {
            Ok(WithHeader { header: found.header().cloned(), value: ControlFlow::Continue(found) })
        }
        Err(Error::GRpcStatus(status)) if status.message().contains(TOO_LARGE) => {
            Ok(WithHeader::without_header(ControlFlow::Break(Error::GRpcStatus(status))))
        }
        Err(error) => Err(error),
    }
}
