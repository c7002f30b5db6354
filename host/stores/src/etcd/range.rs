//! Reading ranges of keys, page by page.

use std::ops::ControlFlow;

use etcd_client::{
    Client as Connection, Error, GetOptions, GetResponse, KeyValue, SortOrder, SortTarget,
};

use super::{client::SharedClient, has_header::WithHeader, keys::KeyRange, requests::kv};
use crate::StoreError;

/// How many keys are requested at once, at first.
const PAGE: i64 = 500;
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

/// The options for a page of up to `limit` keys of `range`, in their order.
pub(super) fn page_options(range: &KeyRange, limit: i64) -> GetOptions {
    GetOptions::new()
        .with_range(range.end.as_str())
        .with_sort(SortTarget::Key, SortOrder::Ascend)
        .with_limit(limit)
}

/// Reads the keys of `range`, page by page at one revision, which it returns.
///
/// If a page is larger than the largest accepted response, smaller pages are requested. A key and
/// its value are no larger than a request to etcd may be (`--max-request-bytes`, 1.5 MiB).
pub(super) async fn read(
    client: &SharedClient,
    attempted: &'static str,
    range: &KeyRange,
    mut take_in: impl FnMut(&KeyValue),
) -> Result<i64, StoreError> {
    let (mut from, mut page, mut revision) = (range.first.clone().into_bytes(), PAGE, 0);
    loop {
        // The revision zero means the current one.
        let options = page_options(range, page).with_revision(revision);
        let get = |etcd: Connection| get(etcd, from.clone(), options.clone());
        let found = match client.call(attempted, get).await?.value {
            ControlFlow::Continue(found) => found,
            ControlFlow::Break(too_large) if page == 1 => {
                return Err(client.store_error(attempted, too_large));
            }
            ControlFlow::Break(_) => {
                page = (page / 8).max(1);
                continue;
            }
        };
        if revision == 0 {
            let headless = || client.unavailable(attempted, "an answer without header");
            revision = found.header().ok_or_else(headless)?.revision();
        }
        found.kvs().iter().for_each(&mut take_in);
        match found.kvs().last() {
            Some(last) if found.more() => from = [last.key(), b"\0"].concat(),
            _ => return Ok(revision),
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
