//! What the host may hold in its memory for others, guests and clients: one budget for all of
//! it, in which each action has an account, and all clients of the control API share one.
//!
//! Whatever a guest or a client makes the host keep is charged before it is kept, and given
//! back when the last of it is dropped. An action that has used up its part is refused what it
//! asks for next; the others go on.
//!
//! | what | charged to | until |
//! |---|---|---|
//! | bodies of requests to the control API | the clients, each of whom has a share ([`Tab`]) | it is answered |
//! | payloads of calls and casts of tasks, and their answers | the action that calls, or the task | they are dropped |
//! | values of state that a guest reads or writes (`capability/keyvalue`) | the action | the guest has them, or they are in the store |
//! | bodies that a guest writes (`capability/http`) | the action | they are sent |
//! | what outgoing requests have under way in their connections (`capability/http`) | the action | the answer was taken |
//! | what the relay keeps of a request, so that it can be sent again (`action/inbound.rs`) | the action | it is answered |
//!
//! What is not here is bounded where it is held, by a number of places and the size of each:
//!
//! | what | places | bytes each | together |
//! |---|---|---|---|
//! | what a connection has read and nobody has taken, and what it is to write (`action/limits.rs`) | 4,096 an address | 2 × 64 KiB by HTTP/1, 256 KiB by HTTP/2 | 1 GiB an address |
//! | headers and other resources of an instance (`capability/limits.rs`) | 4,096 | 64 KiB | 256 MiB an instance: no more than its own memory |
//! | lines that guests have begun (`capability/log.rs`) | 2 an instance | 8 KiB | 16 MiB |
//! | the latest lines of actions (`capability/lines.rs`) | 256 actions | 256 KiB | 64 MiB |
//! | lines of the log that nobody has read (`cli/backlog.rs`) | 1 | 16 MiB | 16 MiB |
//! | tunnels of the relay (`relay/tunnel.rs`) | 512 an address | 2 × 8 KiB | 8 MiB an address |

mod account;
mod tab;

pub use account::{Account, Overdrawn};
pub use account::{Budget, Charge, Missing};
pub use tab::Clients;
pub use tab::Tab;
