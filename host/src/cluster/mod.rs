//! The other hosts of the cluster: requests to them, the list of known hosts, the comparison of
//! clocks, and the commands that people give to the whole cluster.

mod clock_comparer;
mod commands;
mod peer_client;
mod registrar;

pub use clock_comparer::ClockComparer;
pub use commands::{
    CommandAnswer, CommandError, CommandErrorKind, Commands, DrainOrder, HandedOver, PauseOrder,
    RemoveOrder, SwitchoverOrder,
};
pub use peer_client::{CREDENTIAL, LineStream, PASSED_ON, PeerClient, PeerCredentials, PeerError};
pub(crate) use peer_client::{STRANGER, is_unauthorized};
pub use registrar::Registrar;
