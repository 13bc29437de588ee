//! From the outside into the log: each file turns one foreign form into events, as pure functions of its text. Reading
//! files and appending is the caller's; nothing here knows a store.

pub mod base_receipts;
pub mod game_tables;
pub mod table_dump;
