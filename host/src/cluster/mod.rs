//! The other hosts of the cluster: requests to them, the list of known hosts, their addresses, the
//! comparison of clocks, and the commands that people give to the whole cluster.

mod address_warnings;
mod address_watch;
mod clock_comparer;
mod commands;
mod peer_client;
mod registrar;

pub use address_warnings::AddressWarning;
pub use address_watch::AddressWatch;
pub use clock_comparer::ClockComparer;
pub(crate) use commands::current_roster;
pub use commands::{
    CommandAnswer, CommandError, CommandErrorKind, Commands, DrainOrder, HandedOver, PauseOrder,
    RemoveOrder, SwitchoverOrder,
};
pub use peer_client::{
    CREDENTIAL, LineStream, MisdirectedRequest, PASSED_ON, PeerAddress, PeerClient,
    PeerCredentials, PeerError,
};
pub(crate) use peer_client::{
    MISDIRECTED, OwnTerms, PASSED_TO, REACHED, UNAUTHORIZED, is_unauthorized, meant_for_another,
    reached,
};
pub use registrar::Registrar;
