//! Guests that compute without end, and their neighbours.

use std::num::NonZeroUsize;

use soloist_config::{Grants, Limits};
use tokio::time::{Instant, timeout};

use crate::rig::{PATIENCE, RunningAction, TestStore, prepare_within, read_until};

const SPIN: &str = "POST /spin-later HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n";

/// This many guests, all of them computing.
async fn spinning(count: usize, cpu: Option<usize>) -> (RunningAction, Vec<tokio::net::TcpStream>) {
    let cpu = cpu.and_then(NonZeroUsize::new);
    let limits =
        Limits { max_concurrent_requests: count, max_busy_instances: cpu, ..Limits::default() };
    let rig = TestStore::new().start(prepare_within("spin", limits, Grants::default())).await;
    let mut streams = rig.begin(SPIN, count).await;
    for stream in &streams {
        assert_eq!(stream.try_write(b"go").unwrap(), 2);
    }
    read_until(&mut streams[0], "go").await;
    (rig, streams)
}

/// If each of them got a turn before the neighbour's turn, the neighbour would wait for seconds at
/// each of its many steps.
async fn a_neighbour_of_two_hundred_answers() {
    let (rig, streams) = spinning(200, None).await;
    let neighbour = rig.neighbour().await;
    let answers = async {
        for _ in 0..10 {
            neighbour.answers().await;
        }
    };
    timeout(PATIENCE, answers).await.expect("the neighbour is held up");
    neighbour.stop().await;
    rig.stop().await;
    drop(streams);
}

#[tokio::test]
async fn a_neighbour_of_two_hundred_answers_on_one_thread() {
    a_neighbour_of_two_hundred_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_of_two_hundred_answers_on_several_threads() {
    a_neighbour_of_two_hundred_answers().await;
}

/// The figures for the documentation: how long a neighbour takes to answer, alone and next to
/// guests that compute. `cargo test -- --ignored --nocapture` prints them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and asserts nothing"]
#[allow(clippy::print_stdout, reason = "figures")]
async fn figures() {
    for (count, cpu) in [(0, None), (1, None), (16, None), (256, None)] {
        let (rig, streams) = match count {
            0 => (RunningAction::up("spin").await, Vec::new()),
            _ => spinning(count, cpu).await,
        };
        let neighbour = rig.neighbour().await;
        let mut took = Vec::new();
        for _ in 0..100 {
            let began = Instant::now();
            neighbour.answers().await;
            took.push(began.elapsed());
        }
        took.sort();
        println!("{count} spin, cpu {cpu:?}: median {:?}, 95 % {:?}", took[50], took[95]);
        neighbour.stop().await;
        rig.stop().await;
        drop(streams);
    }
}
