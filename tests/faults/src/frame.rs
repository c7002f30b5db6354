//! A packet of the store network: a VXLAN header, and an Ethernet frame.
//!
//! The kernel leaves a TCP checksum to the network card; here the switch has to compute it.

/// The length of a VXLAN header, in bytes.
const VXLAN: usize = 8;
/// The length of an Ethernet header, in bytes.
const ETHERNET: usize = 14;
const TCP: u8 = 6;
/// The offset of the checksum in a TCP segment.
const TCP_SUM: usize = 16;

/// A packet from one node to another.
pub(super) struct Frame<'a> {
    ethernet: &'a mut [u8],
}

impl<'a> Frame<'a> {
    /// Parses a packet. None if it is not from one node to another, such as a node's search for
    /// neighbours.
    pub(super) fn parse(packet: &'a mut [u8]) -> Option<Self> {
        let ethernet = packet.get_mut(VXLAN..)?;
        let is_for_a_node = ethernet.len() >= ETHERNET && ethernet[..5] == [2, 0, 0, 0, 0];
        let is_of_a_node = is_for_a_node && ethernet[5] < 16 && ethernet[11] < 16;
        is_of_a_node.then_some(Self { ethernet })
    }

    /// The id of the node that sent it.
    pub(super) fn from(&self) -> u8 {
        self.ethernet[11]
    }

    /// The id of the node that it is for.
    pub(super) fn to(&self) -> u8 {
        self.ethernet[5]
    }

    /// Computes the checksum of a TCP segment. Other packets are complete already.
    pub(super) fn complete(&mut self) -> Option<()> {
        if self.ethernet.get(12..14)? != [8, 0] {
            return None;
        }
        let ip = self.ethernet.get_mut(ETHERNET..)?;
        let header = usize::from(ip.first()? & 15) * 4;
        let total = usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?]));
        if *ip.get(9)? != TCP || total < header + TCP_SUM + 2 {
            return None;
        }
        let addresses = add(0, ip.get(12..20)?);
        let segment = ip.get_mut(header..total)?;
        segment[TCP_SUM..TCP_SUM + 2].fill(0);
        let length = u64::try_from(segment.len()).ok()?;
        let sum = !fold(add(addresses + u64::from(TCP) + length, segment));
        segment[TCP_SUM..TCP_SUM + 2].copy_from_slice(&sum.to_be_bytes());
        Some(())
    }
}

/// Adds big-endian words; an odd last byte is the high half of a word.
fn add(sum: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(2).fold(sum, |sum, word| {
        let low = word.get(1).copied().unwrap_or_default();
        sum + u64::from(u16::from_be_bytes([word[0], low]))
    })
}

/// Adds the carries to the sum until none is left.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment with a payload of an odd length, without a checksum.
    fn packet() -> Vec<u8> {
        let mut packet = vec![0; VXLAN];
        packet.extend([2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 11, 8, 0]);
        packet.extend([0x45, 0, 0, 43, 0, 0, 0, 0, 64, TCP, 0, 0, 10, 97, 0, 11, 10, 97, 0, 3]);
        packet.extend([0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0]);
        packet.extend([0xab, 0xcd, 0, 0, b'a', b'b', b'c']);
        packet
    }

    #[test]
    fn the_nodes_are_read() {
        let mut packet = packet();
        let frame = Frame::parse(&mut packet).unwrap();
        assert_eq!((frame.from(), frame.to()), (11, 3));
        let mut broadcast = packet.clone();
        broadcast[VXLAN..VXLAN + 6].fill(255);
        assert!(Frame::parse(&mut broadcast).is_none());
        assert!(Frame::parse(&mut [0; 12]).is_none());
    }

    #[test]
    fn a_completed_segment_sums_up() {
        let mut packet = packet();
        Frame::parse(&mut packet).unwrap().complete().unwrap();
        let segment = &packet[VXLAN + ETHERNET + 20..];
        let addresses = &packet[VXLAN + ETHERNET + 12..VXLAN + ETHERNET + 20];
        // Over a complete segment with its checksum, the sum is all ones.
        let length = segment.len() as u64;
        assert_eq!(fold(add(add(u64::from(TCP) + length, addresses), segment)), 0xffff);
    }
}
