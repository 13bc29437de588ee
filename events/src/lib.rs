//! **Facts**: what happened in Wizards of X, in memory and on the wire.
//!
//! This crate is pure: it knows no clock, randomness, I/O, floats or hash-map order (law 1). Read it in this order:
//! [`money`], [`id`], [`time`] and [`stream`] are the words; [`record`] is one event as the log holds it; the family
//! modules ([`player`], [`duel`], …) say what can happen; [`wire`] turns stored text into those types, through
//! [`upcast`]; [`digest`] and [`tree`] put every byte under one Merkle root; [`schema`] publishes the shapes.
//!
//! Events carry *outcomes* (damage, the split of a stake, the split of a fee) and the version of the rules they were
//! decided under, so replay never rolls dice and never recomputes a rule (mission.md G1, G2).
#![forbid(unsafe_code)]

pub mod agent;
pub mod burn;
pub mod chain;
pub mod command;
pub mod deposit;
pub mod digest;
pub mod duel;
pub mod id;
pub mod money;
pub mod ops;
pub mod player;
pub mod pool;
pub mod record;
pub mod recovery;
pub mod schema;
pub mod stream;
pub mod time;
pub mod tournament;
pub mod tree;
pub mod upcast;
pub mod wire;
pub mod withdrawal;

pub use agent::AgentEvent;
pub use burn::BurnEvent;
pub use chain::ChainEvent;
pub use command::CommandEvent;
pub use deposit::DepositEvent;
pub use digest::Digest;
pub use duel::DuelEvent;
pub use id::{DuelId, EventId, Handle, Label, LogId, Name, PlayerId, TournamentId, TxHash, WithdrawalId};
pub use money::{Amount, AmountError, Bucket, Split};
pub use ops::OpsEvent;
pub use player::PlayerEvent;
pub use pool::PoolEvent;
pub use record::{Actor, Json, NewEvent, Position, Provenance, RawEvent, Recorded, Revision};
pub use recovery::RecoveryEvent;
pub use stream::{Family, StreamId, StreamIdError};
pub use time::{Duration, Timestamp};
pub use tournament::TournamentEvent;
pub use wire::{DecodeError, Event};
pub use withdrawal::WithdrawalEvent;
