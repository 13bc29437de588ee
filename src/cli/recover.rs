//! `wox recover`: the plan for one thing, a decision about it, its row in the game's tables, or an event left out.
//!
//! Read it in this order: this file says what can be typed and who deals with it; [`decision`] is what a person decides;
//! [`money`] asks the chain first; [`findings`] lists what something is wrong with; [`row`] writes one row.

use wox_events::{PlayerId, Revision, StreamId};

use crate::{
    cli::{
        CliError, Context,
        as_of::{self, AsOf},
        chain, evidence, plan, player,
        progress::Progress,
        reason::reason,
        rebuild, store,
    },
    command,
    exit_code::ExitCode,
    log::EventLog as _,
    recovery::Scope,
};

mod decision;
mod findings;
mod money;
mod row;

use decision::Decision;
pub(super) use findings::FindingsReport;
pub(super) use row::RowReport;

/// Plan the repair of one thing
///
/// Makes and records a plan as `wox plan` does, for one stream only. Without an id it lists what is wrong with things of
/// that sort. Where the settings name a chain, it is asked about a deposit, withdrawal or burn first, and what it says is
/// recorded.
///
/// Exit code 0 when there is nothing to do, 3 when a plan waits or something is held for a person (an unknown payment is
/// held), 4 when a decision does not fit, 6 when nothing has to be done now but that can still change: a deposit that is
/// not final, a row that could not be looked at.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox recover duel                          list the duels that something is wrong with
  wox recover duel 17                       plan the repair of duel-17
  wox recover duel 17 --void --why ticket-90   decide that an interrupted or stuck duel counts for nobody
  wox recover tournament cup-7 --correct 1/0 --winner 1042 --why x   decide who won a match
  wox recover deposit 0x5d1f…               what a transaction is, and its credit when it is ours
  wox recover deposit 0x5d1f… --player 1042 --why ticket-88   decide whose it is
  wox recover withdrawal 66                 what became of a payment
  wox recover withdrawal 66 --second bob --why ticket-91   give it back by the decision of two people
  wox recover withdrawal 66 --fence --why ticket-91   have its signer spend the slot on nothing; or --bump, --rebroadcast
  wox recover transfer 0x5d1f… --second bob --why moved-to-new-wallet   say what left our wallets and paid nobody
  wox recover withdrawal 66 --accept --second bob --why paid-back-by-hand   what no event puts right was dealt with
  wox recover event 4711 --why typo-in-id   plan to leave the event at position 4711 out
  wox recover duel 17 --write               set the row of duel 17 in the game's database to what the log says")]
pub(super) struct RecoverArgs {
    /// duel, tournament, deposit, withdrawal, pool, player, …; a whole stream name; `transfer`; `event`; or `all`
    what: String,
    /// Which one; a position or an event id for `event`, a transaction hash for `deposit` and `transfer`, an id or
    /// @handle for `player`
    id: Option<String>,
    /// Why you decide so: an event is left out, a deposit is a player's, a withdrawal goes back, a signer is to act, a duel
    /// goes on or not, a result was wrong; recorded with the decision
    #[arg(long, value_parser = reason)]
    why: Option<String>,
    /// An interrupted or stuck duel goes on from where it stopped, by your decision
    #[arg(long, requires = "why", conflicts_with_all = ["void", "player", "second", "correct"])]
    resume: bool,
    /// An interrupted or stuck duel counts for nobody and both stakes go back, by your decision
    #[arg(long, requires = "why", conflicts_with_all = ["player", "second", "correct"])]
    void: bool,
    /// The match whose winner was another, by your decision: its round from 1 and its place in the round from 0
    #[arg(long, value_name = "ROUND/SLOT", requires_all = ["winner", "why"], conflicts_with_all = ["player", "second"])]
    correct: Option<String>,
    /// Who won that match: an id or @handle
    #[arg(long, value_name = "PLAYER", requires = "correct")]
    winner: Option<String>,
    /// The player a deposit belongs to, by your decision: an id or @handle
    #[arg(long, value_name = "PLAYER", requires = "why", conflicts_with = "second")]
    player: Option<String>,
    /// Who else decides that a withdrawal goes back, what is true of a deposit whose final block went away, or what a
    /// transfer out of our wallets paid, and has to approve it: another person, whatever the letter case
    #[arg(long, value_name = "ACTOR", requires = "why")]
    second: Option<String>,
    /// What is found about it was dealt with outside the engine, and no event puts it right: it is recorded by two people, and
    /// not told again while it is the same
    #[arg(long, requires_all = ["second", "why"], conflicts_with_all = ["resume", "void", "correct", "player", "write"])]
    accept: bool,
    /// Set the thing's row in the game's database to what the log says; plans nothing
    #[arg(long, requires = "id", conflicts_with_all = ["why", "player", "second", "fence", "bump", "rebroadcast", "offline", "preview", "out"])]
    write: bool,
    /// Overwrite what somebody else wrote into that row: the id that `--write` showed, or the beginning of it
    #[arg(long, value_name = "ID", requires = "write", value_parser = rebuild::id)]
    confirm: Option<String>,
    /// Have the signer spend the slot on nothing, so that the payment can no longer follow
    #[arg(long, requires = "why", conflicts_with_all = ["player", "second", "bump", "rebroadcast"])]
    fence: bool,
    /// Have the signer offer more for the same payment in the same slot
    #[arg(long, requires = "why", conflicts_with_all = ["player", "second", "rebroadcast"])]
    bump: bool,
    /// Have the signer send the identical bytes again
    #[arg(long, requires = "why", conflicts_with_all = ["player", "second"])]
    rebroadcast: bool,
    /// Decide on what is in the log; do not ask the chain
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    making: plan::MakingArgs,
}

pub(super) async fn run(mut args: RecoverArgs, context: Context) -> Result<ExitCode, CliError> {
    if let ("player", Some(handle)) = (args.what.as_str(), args.id.as_deref().and_then(|id| id.strip_prefix('@'))) {
        args.id = Some(who(handle, &context).await?.to_string());
    }
    // A plan names people by id and handle: either can be typed.
    for named in [&mut args.winner, &mut args.player].into_iter().flatten() {
        if let Some(handle) = named.strip_prefix('@') {
            *named = who(handle, &context).await?.to_string();
        }
    }
    if args.write {
        return row::write(&args.what, args.id.as_deref().unwrap_or_default(), args.confirm.as_deref(), &context).await;
    }
    let category = args.what.split_once('-').map_or(args.what.as_str(), |(category, _)| category);
    let decision = Decision::of(&args, category, &context)?;
    match (args.what.as_str(), args.id.clone()) {
        ("all", None) => plan::make(args.making, &Scope::All, &context).await,
        ("event", Some(id)) => leave_out(args, &id, &context).await,
        (what, Some(id)) if args.accept => {
            let stream = match chain::hash(&id).filter(|_| what == "deposit") {
                Some(tx) => money::deposit_of(&tx, &context).await?,
                None => named(&format!("{what}-{id}"))?,
            };
            let stream = existing(stream, &context).await?;
            plan::make(args.making, &scope(decision, stream, args.why, &context)?, &context).await
        }
        ("transfer", Some(id)) => money::explain(&id, &args, decision, &context).await,
        (what @ ("deposit" | "withdrawal" | "burn"), Some(id)) => {
            let code = money::recover(what, &id, &args, decision, &context).await?;
            row::hint(what, &id, code, &context).await
        }
        (what, Some(id)) => {
            let stream = existing(named(&format!("{what}-{id}"))?, &context).await?;
            let decided = decision.is_some();
            let code = plan::make(args.making, &scope(decision, stream, args.why, &context)?, &context).await?;
            if decided { Ok(code) } else { row::hint(what, &id, code, &context).await }
        }
        (what, None) => match StreamId::new(what) {
            Ok(stream) => {
                let stream = existing(stream, &context).await?;
                plan::make(args.making, &scope(decision, stream, args.why, &context)?, &context).await
            }
            Err(_) if decision.is_some() => {
                Err(CliError::usage("wox::recover::which", "a decision is about one thing; name it")
                    .next(format!("{} lists what something is wrong with", command::wox(["recover", what]))))
            }
            Err(_) if what == "transfer" => {
                Err(CliError::usage("wox::recover::which", "which transfer? it is called by its transaction")
                    .next("wox recover transfer 0x… --second NAME --why WHAT-IT-PAID"))
            }
            Err(_) if is_category(what) => findings::list(what, &context).await,
            Err(_) => Err(unnamed(what)),
        },
    }
}

/// The player who has a handle, at the state that is looked at.
async fn who(handle: &str, context: &Context) -> Result<PlayerId, CliError> {
    let log = store::open_to_read(context).await?;
    let until = match &context.as_of {
        Some(point) => as_of::position_of(&log, point).await?,
        None => log.head().await?.position,
    };
    let progress = Progress::new(context.progress, 1);
    let evidence = evidence::gather(&log, until, evidence::threads(None), context, progress, 1).await?;
    log.close().await;
    player::owner(handle, &evidence.replay, "recover")
}

/// The plan to leave one event out.
async fn leave_out(args: RecoverArgs, id: &str, context: &Context) -> Result<ExitCode, CliError> {
    let point = match id.parse() {
        Ok(point @ (AsOf::Position(_) | AsOf::Event(_))) => point,
        Ok(AsOf::Time(_)) | Err(_) => return Err(unnamed(id)),
    };
    let why = args.why.ok_or_else(|| {
        CliError::usage("wox::recover::why", "leaving an event out needs a reason").next("--why REASON")
    })?;
    let position = as_of::position_of(&store::open_to_read(context).await?, &point).await?;
    if position.0 == 0 {
        return Err(
            CliError::usage("wox::recover::which", "positions begin at 1").next("wox plan lists what holds a stream")
        );
    }
    plan::make(args.making, &Scope::Waive { position, why }, context).await
}

/// What to plan about a stream, with the decision that was typed.
fn scope(
    decision: Option<Decision>,
    stream: StreamId,
    why: Option<String>,
    context: &Context,
) -> Result<Scope, CliError> {
    match decision {
        Some(decision) => decision.about(stream, why.unwrap_or_default(), context),
        None => Ok(Scope::Subject(stream)),
    }
}

fn named(text: &str) -> Result<StreamId, CliError> {
    StreamId::new(text).map_err(|_| unnamed(text))
}

fn unnamed(text: &str) -> CliError {
    CliError::usage("wox::recover::what", format!("`{text}` names nothing that can be recovered"))
        .next("wox recover duel 17, wox recover duel-17, wox recover event 4711 --why …, or wox recover all")
}

/// Whether streams of this build's families can be called so.
fn is_category(text: &str) -> bool {
    StreamId::new(format!("{text}-x")).is_ok_and(|stream| stream.family().is_some())
}

/// A subject nobody has heard of is a typo: "nothing is wrong with it" would be a lie.
async fn existing(stream: StreamId, context: &Context) -> Result<StreamId, CliError> {
    let log = store::open_to_read(context).await?;
    if log.revision(&stream).await? > Revision::NO_STREAM {
        return Ok(stream);
    }
    // Money that came in and that no event of the game names is a deposit all the same, known by the look at it.
    if let Some(looks) = looks_at(&stream)
        && log.revision(&looks).await? > Revision::NO_STREAM
    {
        return Ok(stream);
    }
    // A burn that was never scheduled has no stream; its withdrawal has.
    let withdrawal = StreamId::new(format!("withdrawal-{}", stream.subject()));
    if let ("burn", Ok(withdrawal)) = (stream.category(), withdrawal)
        && log.revision(&withdrawal).await? > Revision::NO_STREAM
    {
        return Ok(stream);
    }
    Err(unknown(&stream, context).await)
}

/// The looks at a deposit's transaction.
fn looks_at(deposit: &StreamId) -> Option<StreamId> {
    let mut parts = deposit.subject().split(':');
    let (id, tx) = (parts.next()?.parse().ok()?, chain::hash(parts.next()?)?);
    wox_events::chain::transaction_stream(id, &tx).filter(|_| deposit.category() == "deposit")
}

/// What is said of a thing nobody has heard of; of a player also that somebody is called so.
async fn unknown(stream: &StreamId, context: &Context) -> CliError {
    let (category, subject) = (stream.category(), stream.subject());
    let error = CliError::usage("wox::recover::unknown", format!("there is no {category} {subject} in this log"));
    let error = match category == "player" && who(subject, context).await.is_ok() {
        true => error.next(format!("did you mean `@{subject}`?")),
        false => error,
    };
    let error = match category == "deposit" && !subject.contains(':') {
        true => error.next(chain::no_hash(subject)),
        false => error,
    };
    error.next(format!("{} lists the ones something is wrong with", command::wox(["recover", category])))
}
