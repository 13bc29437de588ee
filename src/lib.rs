#![doc = include_str!("../README.md")]

pub mod assess;
pub mod audit;
pub mod cli;
pub mod demo;
pub mod exit_code;
pub mod import;
pub mod interchange;
pub mod log;
pub mod procedures;
pub mod rebuild;
pub mod recovery;
pub mod replay;
pub mod rfc3339;
pub mod snapshot;
pub mod tables;
pub mod world;
