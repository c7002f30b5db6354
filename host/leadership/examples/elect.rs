//! Only one of several processes works at a time: start this twice, and stop the one that is
//! counting.
//!
//! ```text
//! cargo run -p soloist-leadership --example elect -- sqlite:/tmp/elect.db a
//! ```

use std::{env, error::Error, time::Duration};

use soloist_heart::{Group, Timings};
use soloist_leadership::{Candidacy, Leadership, Performer, RunningTerm, TermOrder};
use soloist_stores::Member;
use tokio::{signal::ctrl_c, time::interval};

/// Stands for election at `store` under the name `name`; `performer` is called for each term that
/// this process wins.
pub(crate) fn elect(
    store: &str,
    name: &str,
    performer: impl Performer,
) -> Result<Leadership, Box<dyn Error + Send + Sync>> {
    let (ttl, stop) = (Duration::from_secs(5), Duration::from_millis(500));
    let candidacy = Candidacy {
        store: store.parse()?,
        cluster: "example".into(),
        member: Member::of_this_process(name),
        groups: [Group::main()].into(),
        timings: Timings::derive(ttl, stop, Duration::from_secs(10)),
    };
    Ok(candidacy.stand(performer)?)
}

/// Counts until the term ends. Nothing of the term is left when this returns.
async fn count(mut term: RunningTerm) {
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            order = term.order() => match order {
                TermOrder::Drain => term.drained(),
                TermOrder::Stop => return,
            },
            _ = ticks.tick() => println!("leading under fencing token {}", term.key().fencing_token),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut words = env::args().skip(1);
    let (store, name) = words.next().zip(words.next()).ok_or("name a store and this process")?;
    let leadership = elect(&store, &name, count)?;
    ctrl_c().await?;
    Ok(leadership.stop().await?)
}
