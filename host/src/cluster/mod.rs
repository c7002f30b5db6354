//! Who is there, who leads, and what people tell a cluster to do.

mod clock_comparer;
mod commands;
mod peer_client;
mod registrar;

pub use clock_comparer::ClockComparer;
pub use commands::{
    CommandAnswer, CommandError, CommandErrorKind, Commands, DrainOrder, HandedOver, PauseOrder,
    RemoveOrder, ResignOrder,
};
pub use peer_client::{CREDENTIAL, LineStream, PASSED_ON, PeerClient, PeerCredentials, PeerError};
pub(crate) use peer_client::{STRANGER, is_unauthorized};
pub use registrar::Registrar;
