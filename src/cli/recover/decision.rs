//! What a person decides where no proof does, as it is typed: one decision a command, about one thing, with a reason.

use wox_events::{
    Label, PlayerId, StreamId,
    chain::Intent,
    id::{TextIdError, is_same_person},
};

use super::RecoverArgs;
use crate::{
    cli::{CliError, Context, is_a_person},
    recovery::{Choice, Scope},
};

/// A decision. Which things it can be about, [`Decision::goes_with`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// A signer is to do something about a payment or a burn.
    Ask(Intent),
    /// An interrupted or stuck duel goes on, or counts for nobody.
    Interrupted(Choice),
    /// Another player won a match.
    Correct {
        /// From 1.
        round: u8,
        /// From 0.
        slot: u16,
        /// Who won it.
        winner: PlayerId,
    },
    /// A deposit in suspense is this player's.
    Player(PlayerId),
    /// Together with this person: what is found about it was dealt with outside the engine.
    Accept(Label),
    /// Together with this person: a withdrawal goes back; of a deposit whose final block went away, what the chain says now
    /// is true; a transfer out of our wallets paid nothing that was due.
    Second(Label),
}

impl Decision {
    /// The decision that was typed, when it fits a thing of this category.
    pub(super) fn of(args: &RecoverArgs, category: &str, context: &Context) -> Result<Option<Decision>, CliError> {
        let Some(decision) = Decision::typed(args)? else {
            if args.why.is_some() && args.what != "event" {
                return Err(CliError::usage("wox::recover::why", "--why goes with `event` or a decision only")
                    .next("leave --why out, or say what is decided; wox recover --help lists the decisions"));
            }
            return Ok(None);
        };
        let (flag, sorts, example) = decision.goes_with();
        if args.accept
            && (args.id.is_none() && !args.what.contains('-') || ["all", "event", "transfer"].contains(&category))
        {
            return Err(CliError::usage("wox::recover::decision", "--accept is about what is found about one stream")
                .next("wox recover withdrawal ID --accept --second NAME --why WHAT-WAS-DONE"));
        }
        if !sorts.is_empty() && !sorts.contains(&category) {
            let what = format!("{flag} goes with a {}", sorts.join(" or a "));
            return Err(
                CliError::usage("wox::recover::decision", what).next(format!("wox recover {example} --why REASON"))
            );
        }
        if let Decision::Second(second) | Decision::Accept(second) = &decision {
            is_a_person(second.as_str())?;
        }
        if let Decision::Second(second) | Decision::Accept(second) = &decision
            && is_same_person(second.as_str(), &context.actor)
        {
            let what = format!("two people decide this, and {} is one", context.actor);
            return Err(CliError::refused("wox::recover::one-person", what)
                .next("name with --second who else looks at it; letter case makes no second person"));
        }
        Ok(Some(decision))
    }

    fn typed(args: &RecoverArgs) -> Result<Option<Decision>, CliError> {
        let asks = [(args.fence, Intent::Fence), (args.bump, Intent::Bump), (args.rebroadcast, Intent::Rebroadcast)];
        if let Some((_, intent)) = asks.into_iter().find(|(typed, _)| *typed) {
            return Ok(Some(Decision::Ask(intent)));
        }
        if args.resume || args.void {
            return Ok(Some(Decision::Interrupted(if args.resume { Choice::Resume } else { Choice::Void })));
        }
        if let (Some(place), Some(winner)) = (&args.correct, &args.winner) {
            let parsed =
                place.split_once('/').and_then(|(round, slot)| Some((round.parse().ok()?, slot.parse().ok()?)));
            let (round, slot) = parsed.ok_or_else(|| {
                CliError::usage("wox::recover::match", format!("`{place}` names no match"))
                    .next("the round from 1 and the place in it from 0, such as --correct 2/0")
            })?;
            return Ok(Some(Decision::Correct { round, slot, winner: PlayerId::new(winner).map_err(bad_name)? }));
        }
        if let Some(player) = &args.player {
            return Ok(Some(Decision::Player(PlayerId::new(player).map_err(bad_name)?)));
        }
        let decide = if args.accept { Decision::Accept } else { Decision::Second };
        args.second.as_ref().map(|second| Label::new(second).map(decide).map_err(bad_name)).transpose()
    }

    /// How it is typed, the sorts of things it can be about (none: any), and an example.
    fn goes_with(&self) -> (&'static str, &'static [&'static str], &'static str) {
        match self {
            Decision::Ask(Intent::Fence) => ("--fence", &["withdrawal", "burn"], "withdrawal ID --fence"),
            Decision::Ask(Intent::Bump) => ("--bump", &["withdrawal", "burn"], "withdrawal ID --bump"),
            Decision::Ask(Intent::Rebroadcast) => {
                ("--rebroadcast", &["withdrawal", "burn"], "withdrawal ID --rebroadcast")
            }
            Decision::Interrupted(Choice::Resume) => ("--resume", &["duel"], "duel ID --resume"),
            Decision::Interrupted(Choice::Void) => ("--void", &["duel"], "duel ID --void"),
            Decision::Correct { .. } => ("--correct", &["tournament"], "tournament ID --correct 1/0 --winner PLAYER"),
            Decision::Player(_) => ("--player", &["deposit"], "deposit 0x… --player ID"),
            Decision::Accept(_) => ("--accept", &[], "withdrawal ID --accept --second NAME"),
            Decision::Second(_) => ("--second", &["withdrawal", "deposit", "transfer"], "withdrawal ID --second NAME"),
        }
    }

    /// What to plan when this is decided about a stream.
    pub(super) fn about(self, stream: StreamId, why: String, context: &Context) -> Result<Scope, CliError> {
        let by = || Label::new(context.actor.as_str()).map_err(bad_name);
        Ok(match self {
            Decision::Ask(intent) => Scope::Ask { subject: stream, intent, by: by()?, why },
            Decision::Interrupted(choice) => Scope::Interrupted { duel: stream, choice, why },
            Decision::Correct { round, slot, winner } => {
                Scope::Correct { tournament: stream, round, slot, winner, why }
            }
            Decision::Accept(second) => Scope::Accept { subject: stream, first: by()?, second, why },
            Decision::Player(player) => Scope::Attribute { deposit: stream, player, why },
            Decision::Second(second) if stream.category() == "deposit" => {
                Scope::Restore { deposit: stream, first: by()?, second, why }
            }
            Decision::Second(second) => Scope::Release { withdrawal: stream, first: by()?, second, why },
        })
    }
}

pub(super) fn bad_name(error: TextIdError) -> CliError {
    CliError::usage("wox::recover::name", format!("the name cannot be recorded: {error}"))
        .next("give it in printable ASCII without spaces")
}
