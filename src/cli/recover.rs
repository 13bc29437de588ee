//! `wox recover`: the plan for one subject, or the decision to leave one event out.

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{
    Label, PlayerId, Revision, StreamId, TxHash,
    chain::Intent,
    id::{TextIdError, is_same_person},
};
use wox_projections::verdict::DepositVerdict;

use crate::{
    cli::{
        CliError, Context,
        as_of::{self, AsOf},
        chain, evidence, observe, plan,
        progress::Progress,
        reason::reason,
        rebuild,
        render::Document,
        row, store,
    },
    exit_code::ExitCode,
    log::EventLog as _,
    recovery::{Choice, Finding, Scope, Targets, diagnose},
};

/// Plan the repair of one thing
///
/// Makes and records a plan as `wox plan` does, for one stream only. Without an id it lists what is wrong with things of
/// that sort. Where the settings name a chain, it is asked about a deposit, withdrawal or burn first, and what it says is
/// recorded.
///
/// Exit code 0 when there is nothing to do, 3 when a plan waits or something is held for a person, 4 when a decision does
/// not fit, 6 when a payment's outcome is unknown.
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
  wox recover event 4711 --why typo-in-id   plan to leave the event at position 4711 out
  wox recover duel 17 --write               set the row of duel 17 in the game's database to what the log says")]
pub(super) struct RecoverArgs {
    /// duel, tournament, deposit, withdrawal, pool, player, …; a whole stream name; `event`; or `all`
    what: String,
    /// Which one; a position or an event id for `event`, a transaction hash for `deposit`
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
    /// Who won that match
    #[arg(long, value_name = "PLAYER", requires = "correct")]
    winner: Option<String>,
    /// The player a deposit belongs to, by your decision
    #[arg(long, value_name = "PLAYER", requires = "why", conflicts_with = "second")]
    player: Option<String>,
    /// Who else decides that a withdrawal goes back, or what is true of a deposit whose final block went away, and has to
    /// approve it: another person, whatever the letter case
    #[arg(long, value_name = "ACTOR", requires = "why")]
    second: Option<String>,
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

impl RecoverArgs {
    /// What a signer is to do.
    fn intent(&self) -> Option<Intent> {
        let typed = [(self.fence, Intent::Fence), (self.bump, Intent::Bump), (self.rebroadcast, Intent::Rebroadcast)];
        typed.into_iter().find_map(|(typed, intent)| typed.then_some(intent))
    }
}

/// What is wrong with things of one sort.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FindingsReport {
    /// Every one.
    findings: Vec<Finding>,
}

pub(super) async fn run(args: RecoverArgs, context: Context) -> Result<ExitCode, CliError> {
    let unnamed = |text: &str| {
        CliError::usage("wox::recover::what", format!("`{text}` names nothing that can be recovered"))
            .next("wox recover duel 17, wox recover duel-17, wox recover event 4711 --why …, or wox recover all")
    };
    if args.write {
        return row::write(&args.what, args.id.as_deref().unwrap_or_default(), args.confirm.as_deref(), &context).await;
    }
    let asks = args.intent().is_some();
    let of_game = args.resume || args.void || args.correct.is_some();
    let decides = args.player.is_some() || args.second.is_some() || asks || of_game;
    if args.why.is_some() && args.what != "event" && !decides {
        return Err(CliError::usage("wox::recover::why", "--why goes with `event` or a decision only")
            .next("leave --why out, or say what is decided; wox recover --help lists the decisions"));
    }
    if asks && !(matches!(args.what.as_str(), "withdrawal" | "burn") && args.id.is_some()) {
        return Err(CliError::usage("wox::recover::intent", "a signer is asked about one withdrawal or one burn")
            .next("wox recover withdrawal ID --fence --why REASON"));
    }
    let two = matches!(args.what.as_str(), "withdrawal" | "deposit");
    if args.player.is_some() && args.what != "deposit" || args.second.is_some() && !two {
        return Err(CliError::usage(
            "wox::recover::decision",
            "--player goes with a deposit, --second with a withdrawal or a deposit",
        )
        .next("wox recover deposit 0x… --player ID --why …, or wox recover withdrawal ID --second NAME --why …"));
    }
    if args.second.as_deref().is_some_and(|second| is_same_person(second, &context.actor)) {
        return Err(CliError::refused(
            "wox::recover::one-person",
            format!("two people decide this, and {} is one", context.actor),
        )
        .next("name with --second who else looks at it; letter case makes no second person"));
    }
    let category = args.what.split_once('-').map_or(args.what.as_str(), |(category, _)| category);
    if (args.resume || args.void) && category != "duel" || args.correct.is_some() && category != "tournament" {
        return Err(CliError::usage(
            "wox::recover::decision",
            "--resume and --void go with a duel, --correct with a tournament",
        )
        .next(
            "wox recover duel ID --void --why …, or wox recover tournament ID --correct 1/0 --winner PLAYER --why …",
        ));
    }
    if let (what @ ("deposit" | "withdrawal" | "burn"), Some(id)) = (args.what.as_str(), args.id.as_deref()) {
        let code = money(what, id, &args, &context).await?;
        return row::hint(what, id, code, &context).await;
    }
    if of_game {
        let name = args.id.as_ref().map_or_else(|| args.what.clone(), |id| format!("{}-{id}", args.what));
        let stream = StreamId::new(&name).map_err(|_| {
            CliError::usage("wox::recover::which", "a decision is about one thing; name it")
                .next(format!("wox recover {} lists what something is wrong with", args.what))
        })?;
        let scope = game_decision(existing(stream, &context).await?, &args)?;
        return plan::make(args.making, &scope, &context).await;
    }
    match (args.what.as_str(), args.id) {
        ("all", None) => plan::make(args.making, &Scope::All, &context).await,
        ("event", Some(id)) => {
            let point = match id.parse() {
                Ok(point @ (AsOf::Position(_) | AsOf::Event(_))) => point,
                Ok(AsOf::Time(_)) | Err(_) => return Err(unnamed(&id)),
            };
            let why = args.why.ok_or_else(|| {
                CliError::usage("wox::recover::why", "leaving an event out needs a reason").next("--why REASON")
            })?;
            let position = as_of::position_of(&store::open_to_read(&context).await?, &point).await?;
            if position.0 == 0 {
                return Err(CliError::usage("wox::recover::which", "positions begin at 1")
                    .next("wox plan lists what holds a stream"));
            }
            plan::make(args.making, &Scope::Waive { position, why }, &context).await
        }
        (what, Some(id)) => {
            let name = format!("{what}-{id}");
            let stream = StreamId::new(&name).map_err(|_| unnamed(&name))?;
            let code = plan::make(args.making, &Scope::Subject(existing(stream, &context).await?), &context).await?;
            row::hint(what, &id, code, &context).await
        }
        (what, None) => match StreamId::new(what) {
            Ok(stream) => plan::make(args.making, &Scope::Subject(existing(stream, &context).await?), &context).await,
            Err(_) if is_category(what) => list(what, &context).await,
            Err(_) => Err(unnamed(what)),
        },
    }
}

/// A deposit, withdrawal or burn: the chain is asked first, where there is one; then the plan is made from the log.
async fn money(what: &str, id: &str, args: &RecoverArgs, context: &Context) -> Result<ExitCode, CliError> {
    let tx = chain::hash(id).filter(|_| what == "deposit");
    let seen = match chain::optional(context)? {
        Some(configured) if !args.offline && !args.making.previews() && context.as_of.is_none() => {
            let replay = observe::replay(context).await?;
            let targets = match &tx {
                Some(tx) => Targets { transactions: [tx.clone()].into(), ..Targets::default() },
                None => observe::of_stream(what, id, &replay)?,
            };
            let seen = observe::look(&configured, replay, &targets, false, context).await?;
            observe::say(&seen, context);
            seen
        }
        Some(_) => Vec::new(),
        None => {
            context.say("no chain is configured: what follows rests on the log alone");
            Vec::new()
        }
    };
    let scope = match tx {
        Some(tx) => transaction(tx, args, context).await?,
        None => {
            let name = format!("{what}-{id}");
            let stream = StreamId::new(&name).map_err(|_| {
                CliError::usage("wox::recover::what", format!("`{id}` is no id")).next(format!("wox recover {what}"))
            })?;
            decision(existing(stream, context).await?, args, context)?
        }
    };
    let code = plan::make(args.making.clone(), &scope, context).await?;
    let decided = args.player.is_some() || args.second.is_some() || args.intent().is_some();
    if code == ExitCode::Done && seen.iter().any(|seen| if decided { seen.unknown } else { seen.open }) {
        context.say(format!("that can still change: look again later with {} recover {what} {id}", context.program()));
        return Ok(ExitCode::Unknown);
    }
    Ok(code)
}

/// What to plan about a transaction: its deposits, or whose the one deposit of it is.
async fn transaction(tx: TxHash, args: &RecoverArgs, context: &Context) -> Result<Scope, CliError> {
    let replay = observe::replay(context).await?;
    let unknown = || {
        CliError::usage("wox::recover::unlooked", format!("nobody has looked at {tx} yet"))
            .next("write a section [chain] into wox.toml, then run the command again")
    };
    let look = replay.state.chain.policies().find_map(|policy| replay.state.chain.transaction(policy.chain, &tx));
    let chain = look.map(|look| look.chain).ok_or_else(unknown)?;
    if args.second.is_some() {
        let known = replay.state.deposits.by_transaction();
        return match known.get(format!("{chain}:{tx}").as_str()).map(Vec::as_slice) {
            Some([(subject, _)]) => {
                decision(StreamId::new(format!("deposit-{subject}")).map_err(|_| unknown())?, args, context)
            }
            _ => Err(CliError::usage(
                "wox::recover::several",
                "the transaction is not exactly one deposit; name the one",
            )
            .next("wox recover deposit CHAIN:HASH:ORDINAL --second NAME --why REASON")),
        };
    }
    if args.player.is_none() {
        return Ok(Scope::Transaction { chain, tx });
    }
    let judged = wox_projections::chain::judged(&replay.state);
    let verdict = judged.into_iter().find(|judged| judged.look.subject.as_str() == tx.as_str());
    let transfers = match verdict.map(|judged| judged.verdict) {
        Some(DepositVerdict::Confirmed { transfers, .. }) => transfers,
        Some(other) => {
            return Err(CliError::refused(
                "wox::recover::unconfirmed",
                format!("nothing of {tx} can be given to a player: {}, {}", other.row(), other.says()),
            )
            .next(format!("wox observe deposit {tx}")));
        }
        None => return Err(unknown()),
    };
    match transfers.as_slice() {
        [only] => {
            let name = format!("deposit-{chain}:{tx}:{}", only.ordinal);
            let stream = StreamId::new(&name).map_err(|_| unknown())?;
            decision(stream, args, context)
        }
        several => {
            let ids: Vec<_> = several.iter().map(|one| format!("{chain}:{tx}:{}", one.ordinal)).collect();
            Err(CliError::usage("wox::recover::several", "the transaction has several deposits; name the one")
                .next(format!("wox recover deposit {} --player ID --why REASON", ids.join(" or "))))
        }
    }
}

/// The scope for a stream, with the decision that was typed.
fn decision(stream: StreamId, args: &RecoverArgs, context: &Context) -> Result<Scope, CliError> {
    let why = args.why.clone().unwrap_or_default();
    let bad = |error: TextIdError| {
        CliError::usage("wox::recover::name", format!("the name cannot be recorded: {error}"))
            .next("give it in printable ASCII without spaces")
    };
    if let Some(intent) = args.intent() {
        let by = Label::new(context.actor.as_str()).map_err(bad)?;
        return Ok(Scope::Ask { subject: stream, intent, by, why });
    }
    Ok(match (&args.player, &args.second) {
        (Some(player), _) => Scope::Attribute { deposit: stream, player: PlayerId::new(player).map_err(bad)?, why },
        (None, Some(second)) if stream.category() == "deposit" => Scope::Restore {
            deposit: stream,
            first: Label::new(context.actor.as_str()).map_err(bad)?,
            second: Label::new(second).map_err(bad)?,
            why,
        },
        (None, Some(second)) => Scope::Release {
            withdrawal: stream,
            first: Label::new(context.actor.as_str()).map_err(bad)?,
            second: Label::new(second).map_err(bad)?,
            why,
        },
        (None, None) => Scope::Subject(stream),
    })
}

/// The scope for a duel or a tournament, with the decision that was typed.
fn game_decision(stream: StreamId, args: &RecoverArgs) -> Result<Scope, CliError> {
    let why = args.why.clone().unwrap_or_default();
    let (Some(place), Some(winner)) = (&args.correct, &args.winner) else {
        let choice = if args.resume { Choice::Resume } else { Choice::Void };
        return Ok(Scope::Interrupted { duel: stream, choice, why });
    };
    let parsed = place.split_once('/').and_then(|(round, slot)| Some((round.parse().ok()?, slot.parse().ok()?)));
    let (round, slot) = parsed.ok_or_else(|| {
        CliError::usage("wox::recover::match", format!("`{place}` names no match"))
            .next("the round from 1 and the place in it from 0, such as --correct 2/0")
    })?;
    let winner = PlayerId::new(winner).map_err(|error| {
        CliError::usage("wox::recover::name", format!("`{winner}` is no player: {error}")).next("give the player's id")
    })?;
    Ok(Scope::Correct { tournament: stream, round, slot, winner, why })
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
    Err(CliError::usage("wox::recover::unknown", format!("there is no stream {stream} in this log"))
        .next(format!("wox recover {} lists the ones something is wrong with", stream.category())))
}

/// Lists the subjects of one sort that something is wrong with.
async fn list(category: &str, context: &Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_read(context).await?;
    let until = as_of::position(&log, context).await?;
    let progress = Progress::new(context.progress, 1);
    let evidence = evidence::gather(&log, until, evidence::threads(None), context, progress, 1).await?;
    let mut findings: Vec<_> = diagnose(&evidence).cases.into_iter().map(|case| case.finding).collect();
    let mut sorts: Vec<String> = findings.iter().map(|finding| finding.subject.category().to_owned()).collect();
    findings.retain(|finding| finding.subject.category() == category);
    sorts.sort();
    sorts.dedup();
    if findings.is_empty() {
        context.say(match sorts.is_empty() {
            true => "nothing is wrong".to_owned(),
            false => format!("nothing is wrong with any {category}; something is wrong with: {}", sorts.join(", ")),
        });
    }
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            vec![
                finding.subject.to_string(),
                finding.severity.to_string(),
                finding.code.clone(),
                finding.since.as_ref().map(|since| since.position.to_string()).unwrap_or_default(),
                finding.says.clone(),
            ]
        })
        .collect();
    let first = findings.first().map(|finding| finding.subject.clone());
    Document::of(&FindingsReport { findings })
        .records::<Finding>("findings")
        .table(["subject", "severity", "code", "since", "what"], rows)
        .print(context.output)?;
    if let Some(error) = evidence::damage_error(&evidence, context) {
        return Err(error);
    }
    match first {
        None => Ok(ExitCode::Done),
        Some(subject) => {
            let (wox, store) = (context.program(), plan::store_flag(context));
            context.say(format!("next: {wox} recover {subject}{store}"));
            Ok(ExitCode::Differences)
        }
    }
}
