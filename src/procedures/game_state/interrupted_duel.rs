//! A duel the game was taken away from in the middle (row R08): its clocks stood still, it goes on from where it
//! stopped, with the turn that was next. What was posted meanwhile is decided again by the game, in the order of the
//! posts: the engine rolls no die. If nobody comes back in time it becomes a stuck duel. A person can decide instead that it
//! counts for nobody; then both stakes go back.

use wox_events::{DuelEvent, DuelId, Duration, Label, PlayerId, StreamId, Timestamp};
use wox_projections::{
    agents::Outage,
    duels::{Duel, Phase},
    late_posts::{LatePost, late_posts},
};

use super::super::{Procedure, Steps, hold, stream};
use crate::{
    command,
    recovery::{Case, Choice, Evidence, Finding, Repair},
};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "interrupted_duel", row: "R08", finds: "a duel interrupted by an outage", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let late = late_posts(state);
    let interrupted = state.duels.iter().filter_map(|(id, duel)| Interrupted::find(evidence, id, duel, &late));
    interrupted.map(|interrupted| Case { finding: interrupted.finding(), repair: interrupted.resume() }).collect()
}

/// What an operator decides about a duel that an outage cut off; nothing when none did.
pub(super) fn decided(
    evidence: &Evidence,
    id: &DuelId,
    duel: &Duel,
    late: &[LatePost<'_>],
    choice: Choice,
) -> Option<Case> {
    let interrupted = Interrupted::find(evidence, id, duel, late)?;
    let repair = match choice {
        Choice::Resume => interrupted.resumed_by_decision(),
        Choice::Void => interrupted.voided(),
    };
    Some(Case { finding: interrupted.finding(), repair })
}

/// What is to be said of a duel to which no decision fits.
pub(super) fn unfit(subject: &StreamId, duel: Option<&Duel>) -> Case {
    let (says, why, next) = match duel {
        None => {
            let next = "wox recover duel".to_owned();
            (format!("{subject} is no duel"), "only a duel can be resumed or voided", next)
        }
        Some(Duel { challenger, opponent, phase, .. }) => {
            let why = match phase {
                Phase::Active => "no outage interrupted it, or its interruption is dealt with already",
                _ => "only a duel that is being fought can be resumed or voided",
            };
            (format!("{challenger} against {opponent} is {phase}"), why, command::wox(["recover", subject.as_str()]))
        }
    };
    let since = duel.map(|duel| duel.last.on(subject));
    Case {
        finding: Finding { since, ..PROCEDURE.finding("WOX-GAME-DUEL-005", subject, says) },
        repair: hold(why, next),
    }
}

/// A duel that an outage cut off and nobody has dealt with.
struct Interrupted<'a> {
    evidence: &'a Evidence,
    stream: StreamId,
    duel: &'a Duel,
    next: &'a PlayerId,
    outage: &'a Outage,
    /// How much of the time since the last move the game was away: windows that overlap count once.
    away: Duration,
    /// True when every window has ended.
    over: bool,
    /// What was posted meanwhile and is in time, in order.
    late: Vec<&'a LatePost<'a>>,
    /// What was posted meanwhile and nobody has read as a command.
    unread: Vec<&'a LatePost<'a>>,
}

impl<'a> Interrupted<'a> {
    fn find(evidence: &'a Evidence, id: &DuelId, duel: &'a Duel, late: &'a [LatePost<'a>]) -> Option<Interrupted<'a>> {
        let (state, now) = (&evidence.replay.state, evidence.now());
        let (Phase::Active, Some(next)) = (duel.phase, &duel.next) else { return None };
        let away = state.agents.away(duel.last_action, now);
        if away == Duration::ZERO || super::is_stuck(evidence, id, duel, late) {
            return None;
        }
        let outages = || state.agents.during(duel.last_action, now);
        let outage = outages().find(|outage| !duel.interruptions.contains(&outage.from))?;
        let over = outages().all(|outage| outage.until.is_some());
        let unread = super::unordered(late, id).map(|(late, _)| late).filter(|late| late.verb.is_none()).collect();
        let late = super::waiting(evidence, late, id);
        Some(Interrupted {
            evidence,
            stream: stream("duel", id.as_str()),
            duel,
            next,
            outage,
            away,
            over,
            late,
            unread,
        })
    }

    fn finding(&self) -> Finding {
        let Duel { challenger, opponent, turn, .. } = self.duel;
        let long = if self.over { format!("of {} s", self.away.as_seconds()) } else { "that is not over".into() };
        let mut says = format!("{challenger} against {opponent} was interrupted after turn {turn} by an outage {long}");
        if !self.late.is_empty() {
            says.push_str("; posted meanwhile: ");
            says.push_str(&super::told(&self.late));
        }
        Finding { since: Some(self.outage.event.clone()), ..PROCEDURE.finding("WOX-GAME-DUEL-005", &self.stream, says) }
    }

    /// Until when it was interrupted: the clocks get as much back as the record says, windows that overlap being one.
    fn back(&self) -> Option<Timestamp> {
        self.evidence.replay.state.agents.back_from(self.outage)
    }

    fn resume(&self) -> Repair {
        if self.over && !self.unread.is_empty() {
            return hold(
                format!("nobody has read {} as a command: it may be the next move", super::told(&self.unread)),
                format!(
                    "have the game read it and plan again, or decide without it: {} --resume --why REASON",
                    command::wox(["recover", "duel", self.stream.subject()])
                ),
            );
        }
        self.resumed_by_decision()
    }

    fn resumed_by_decision(&self) -> Repair {
        let Some(until) = self.back().filter(|_| self.over) else {
            return hold(
                "the game is still away: nobody could go on",
                "bring the agent back, record it, and plan again",
            );
        };
        let (turn, away, next) = (self.duel.turn, self.away, self.next);
        let cause = self.outage.event.id;
        let interrupted = DuelEvent::DuelInterrupted { at_turn: turn, from: self.outage.from, until };
        let resumed = DuelEvent::DuelResumed { from_turn: turn + 1, player: next.clone() };
        let steps = Steps::on(self.evidence, self.stream.clone())
            .add(cause, "", interrupted, format!("record the interruption after turn {turn}"))
            .add(cause, "", DuelEvent::TimersExtended { by: away }, format!("give back {} s", away.as_seconds()))
            .add(cause, "", resumed, format!("go on with turn {} of player {next}", turn + 1));
        super::order_posts(steps, &self.late).repair()
    }

    fn voided(&self) -> Repair {
        let mut steps = Steps::on(self.evidence, self.stream.clone());
        if let Some(until) = self.back() {
            let (turn, from) = (self.duel.turn, self.outage.from);
            let interrupted = DuelEvent::DuelInterrupted { at_turn: turn, from, until };
            let says = format!("record the interruption after turn {turn}");
            steps = steps.add(self.outage.event.id, "", interrupted, says);
        }
        let voided = DuelEvent::DuelVoided { reason: Label::new("interrupted").expect("an identity") };
        steps = steps.add(self.duel.opened.id, "", voided, "void the duel: it counts for nobody");
        super::release_stakes(steps, self.duel).repair()
    }
}
