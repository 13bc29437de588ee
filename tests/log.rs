//! The embedded event log from outside: model, crashes, damage, bad places.

#[path = "log/crash.rs"]
mod crash;
#[path = "log/damage.rs"]
mod damage;
#[path = "log/helpers.rs"]
mod helpers;
#[path = "log/model.rs"]
mod model;
#[path = "log/places.rs"]
mod places;
