//! One recovery, in this order on one screen: gather (reads) → diagnose (pure) → plan (pure) → approve → apply (one
//! conditional append an item) → verify (reads again). The dry run is the same code without the append.
//!
//! - [`evidence`]: what was seen, up to where, and what could not be seen.
//! - [`diagnosis`]: findings and the last valid state, from evidence alone.
//! - [`scope`]: what a plan is about; a person's decision is one, and `src/decisions.rs` says what becomes of it.
//! - [`plan`](mod@plan): what would be appended, bound to stream revisions; its id is the digest of its content.
//! - [`standstill`]: while it is so, no money moves.
//! - [`notice`]: who is told of it, once it stands in the log.
//! - [`approval`]: who may let a plan move money.
//! - [`gather`](mod@gather), [`apply`](mod@apply), [`verify`](mod@verify): the three that touch the log, through its
//!   port only; [`observe`](mod@observe) looks at the chain too, and records what it saw before anything is decided.

pub mod apply;
pub mod approval;
pub mod diagnosis;
pub mod evidence;
pub mod finding;
pub mod gather;
pub mod notice;
pub mod observe;
pub mod plan;
pub mod policy;
mod proposal;
pub mod scope;
pub mod standstill;
pub mod verify;

pub use apply::{Applied, ApplyError, apply, approve, propose};
pub use diagnosis::{Diagnosis, diagnose};
pub use evidence::{Damage, Evidence};
pub use finding::{Case, Finding, Repair, Severity, Step};
pub use gather::{GatherError, gather, gather_upto};
pub use notice::{Notice, Person, TakenBack};
pub use observe::{ObserveError, Seen, Targets, observe};
pub use plan::{Hold, Item, Plan, plan};
pub use scope::{Choice, Scope};
pub use standstill::Standstill;
pub use verify::{Verdict, verify};
