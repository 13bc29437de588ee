//! The embedded event log from outside: model, crashes, damage, bad places.

#[path = "log/helpers.rs"]
mod helpers;
#[path = "log/model.rs"]
mod model;
