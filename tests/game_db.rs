//! The game's database, against a real MariaDB that every test starts for itself.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on panics with the place")]

#[path = "support/mariadb.rs"]
mod mariadb;

#[path = "game_db/assess.rs"]
mod assess;
#[path = "game_db/connecting.rs"]
mod connecting;
#[path = "game_db/diff.rs"]
mod diff;
#[path = "game_db/game.rs"]
mod game;
#[path = "game_db/genesis.rs"]
mod genesis;
#[path = "game_db/killed.rs"]
mod killed;
#[path = "game_db/rebuild.rs"]
mod rebuild;
#[path = "game_db/rebuild_refused.rs"]
mod rebuild_refused;
#[path = "game_db/row.rs"]
mod row;
#[path = "game_db/switch.rs"]
mod switch;
