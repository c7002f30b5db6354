//! Trailers, and gRPC, which reports the result of a call in them.

use ::http::uri::PathAndQuery;
use futures::stream;
use tokio::{sync::mpsc, time::timeout};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

use super::{Way, Ways, all_is_well, case::Talk};
use crate::harness::PATIENCE;

/// A codec that leaves messages as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(to, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; bytes::Buf::remaining(from)];
        bytes::Buf::copy_to_slice(from, &mut message);
        Ok(Some(message))
    }
}

/// Begins a call in which both sides stream.
async fn call(way: Way) -> Result<(mpsc::Sender<Vec<u8>>, Streaming<Vec<u8>>), String> {
    let endpoint = Endpoint::from_shared(format!("http://{}", way.to)).expect("a URL");
    let channel: Channel = endpoint.connect().await.map_err(|error| error.to_string())?;
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| error.to_string())?;
    let (sender, receiver) = mpsc::channel(1);
    let messages = stream::unfold(receiver, |mut from| async { Some((from.recv().await?, from)) });
    let path = PathAndQuery::try_from(format!("{}/test.Echo/Both", way.prefix)).expect("a path");
    let answer = client.streaming(Request::new(messages), path, Raw).await;
    Ok((sender, answer.map_err(|status| status.to_string())?.into_inner()))
}

/// Each message is echoed before the next one is sent.
async fn talks(way: Way) -> Result<(), String> {
    let (sender, mut answers) = call(way).await?;
    for number in 0..20_usize {
        // Some messages are larger than one frame of HTTP/2.
        let message = vec![b'm'; number * 5_000 + 1];
        sender.send(message.clone()).await.map_err(|error| error.to_string())?;
        let answer = answers.message().await.map_err(|status| status.to_string())?;
        if answer.as_ref() != Some(&message) {
            return Err(format!(
                "another message than the {number}th: {:?}",
                answer.map(|it| it.len())
            ));
        }
    }
    drop(sender);
    let end = answers.message().await.map_err(|status| format!("it ended with {status}"))?;
    let trailers = answers.trailers().await.map_err(|status| status.to_string())?;
    let trailers = trailers.unwrap_or_default();
    if end.is_some()
        || trailers.contains_key("soloist-fencing-token")
        || trailers.contains_key("content-length")
    {
        return Err(format!("{end:?} and {trailers:?}"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_streams_both_ways() {
    let ways = Ways::to("spin.wasm", "").await;
    let talk = async |way| {
        timeout(PATIENCE, talks(way)).await.map_err(|_| "it stands still".to_owned())?
    };
    let mut wrong = ways.hold("a call", talk).await;
    // Over connections that already exist.
    wrong.extend(ways.hold("another call", talk).await);
    all_is_well(&wrong, 10);
}

/// In HTTP/1 both sides have to announce their trailers.
#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_in_both_directions() {
    let ways = Ways::to("spin.wasm", "").await;
    let both = async |way: Way| {
        let mut talk = Talk::with(way).await?;
        // The request's trailer is not announced.
        let request = format!(
            "POST {}/echo HTTP/1.1\r\nhost: localhost\r\nconnection: te\r\nte: trailers\r\n\
             transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
            way.prefix
        );
        talk.send(request.as_bytes()).await?;
        let answer = timeout(PATIENCE, talk.answer("POST")).await.map_err(|_| "no answer")??;
        if answer.body == "hellox-sum: 1\r\n" { Ok(()) } else { Err(format!("{answer:?}")) }
    };
    all_is_well(&ways.hold("trailers", both).await, 5);
}
