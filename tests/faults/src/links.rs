//! What the store network does to packets, for each direction between two nodes.

use std::time::Duration;

use fastrand::Rng;

/// Nodes have the numbers from 1 to 15.
const NODES: usize = 16;

/// One direction between two nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// Drops all packets.
    pub(super) cut: bool,
    /// The loss, in percent.
    pub(super) loss: u8,
    /// The minimum and the maximum delay, in milliseconds.
    pub(super) delay: Option<(u16, u16)>,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Immediate,
    Delayed(Duration),
    Dropped,
}

impl Link {
    /// Decides on one packet.
    pub(super) fn delivery(self, rng: &mut Rng) -> Delivery {
        if self.cut || rng.u8(..100) < self.loss {
            return Delivery::Dropped;
        }
        match self.delay {
            Some((least, most)) => {
                Delivery::Delayed(Duration::from_millis(rng.u16(least..=most).into()))
            }
            None => Delivery::Immediate,
        }
    }
}

/// The state of all directions.
#[derive(Clone, Debug, Default)]
pub(super) struct Links([[Link; NODES]; NODES]);

impl Links {
    /// The direction from one node to another; none if there is no such node.
    pub(super) fn get(&self, from: u8, to: u8) -> Option<Link> {
        self.0.get(usize::from(from))?.get(usize::from(to)).copied()
    }

    /// Sets the direction from one node to another.
    pub(super) fn set(&mut self, from: u8, to: u8, link: Link) {
        if let Some(slot) =
            self.0.get_mut(usize::from(from)).and_then(|to_all| to_all.get_mut(usize::from(to)))
        {
            *slot = link;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_one_way_and_whole() {
        let mut links = Links::default();
        links.set(1, 2, Link { cut: true, ..Link::default() });
        let mut rng = Rng::with_seed(1);
        assert_eq!(links.get(1, 2).unwrap().delivery(&mut rng), Delivery::Dropped);
        assert_eq!(links.get(2, 1).unwrap().delivery(&mut rng), Delivery::Immediate);
        assert_eq!(links.get(16, 1), None);
    }

    #[test]
    fn loss_and_delay_are_as_much_as_they_say() {
        let link = Link { cut: false, loss: 30, delay: Some((20, 40)) };
        let mut rng = Rng::with_seed(1);
        let deliveries: Vec<_> = (0..10_000).map(|_| link.delivery(&mut rng)).collect();
        let lost = deliveries.iter().filter(|delivery| **delivery == Delivery::Dropped).count();
        assert!((2700..3300).contains(&lost), "{lost}");
        for delivery in deliveries {
            if let Delivery::Delayed(by) = delivery {
                assert!((20..=40).contains(&by.as_millis()), "{by:?}");
            }
        }
    }
}
