//! `wox explain`: the postings that make a balance, or what a verdict about money on the chain rests on.

pub(super) mod verdict;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{DuelId, EventId, PlayerId, Position, TournamentId, WithdrawalId};
use wox_projections::{Account, External, Replay};

use crate::{
    audit::explain::{Collector, Entry, Statement},
    cli::{
        CliError, Context, as_of, evidence, player,
        progress::Progress,
        render::{Document, counted},
        spelling, store,
    },
    command,
    exit_code::ExitCode,
    recovery::gather::waivers,
    replay::{self, ReplayStopped, replay_watched},
};

/// Show the postings that make a balance, or what a verdict rests on
///
/// Every movement into and out of an account, in order, with the balance after it, who caused it and what it corrects.
/// The sum is held against the ledger: exit code 5 when the two differ.
///
/// For a deposit, withdrawal or burn: the verdict, and what each source said when the chain was looked at, with the digest
/// of its raw answers. The verdict is reached again from the log alone; no source is asked.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox explain pool                          what came into the prize pool and what was paid out
  wox explain withdrawable:1042             one balance of a player
  wox explain player 1042                   both balances, by id
  wox explain player @ann                   or by the handle on X
  wox explain escrow:17 --as-of 5000        the stakes of a duel, as they were then
  wox explain deposit 0x5d1f…               what a transaction is, and who said so
  wox explain withdrawal 66                 what became of a payment, and who said so")]
pub(super) struct ExplainArgs {
    /// An account as the ledger names it: pool, burn_queue, suspense, dust, bonus:ID, withdrawable:ID, escrow:DUEL,
    /// entries:TOURNAMENT, in_flight:WITHDRAWAL, external:SIDE; or `player`, `deposit`, `withdrawal`, `burn`
    account: String,
    /// Whose, behind `player`: an id or @handle; which one, behind `deposit`, `withdrawal` or `burn`
    player: Option<String>,
}

/// The result.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Explanation {
    /// Up to where.
    pub as_of: Position,
    /// Each account with its sum.
    pub accounts: Vec<Statement>,
    /// Every movement, in order.
    pub postings: Vec<Entry>,
    /// Positions of events that would have moved money here and were refused or left out.
    pub refused: Vec<Position>,
}

pub(super) async fn run(args: ExplainArgs, context: Context) -> Result<ExitCode, CliError> {
    if let (what @ ("deposit" | "withdrawal" | "burn"), id) = (args.account.as_str(), &args.player) {
        let id = id.as_deref().ok_or_else(|| {
            CliError::usage("wox::explain::which", format!("which {what}?")).next(format!("wox explain {what} ID"))
        })?;
        return verdict::run(what, id, &context).await;
    }
    let wanted = parse(&args)?;
    let log = store::open_to_read(&context).await?;
    let until = as_of::position(&log, &context).await?;
    let accounts = match &wanted {
        Wanted::Account(account) => vec![account.clone()],
        Wanted::Player(id) => both(id),
        Wanted::Handle(_) => Vec::new(),
    };
    let (mut collector, mut state) = fold(&log, until, Collector::of(accounts), &context).await?;
    if let Wanted::Handle(handle) = &wanted {
        // Whose a handle is only shows at the end, so the postings are collected in a second pass.
        let id = player::owner(handle, &state, "explain")?;
        (collector, state) = fold(&log, until, Collector::of(both(&id)), &context).await?;
    }
    let statements = collector.statements(&state);
    for statement in &statements {
        exists(&statement.account, statement.movements, &wanted, &state)?;
    }
    print(&collector, statements.clone(), until, &context)?;
    match statements.iter().find(|statement| !statement.agrees) {
        None => Ok(ExitCode::Done),
        Some(off) => Err(CliError::integrity(
            "wox::explain::differs",
            format!("the postings of {} come to {} G, the ledger says {} G", off.account, off.sum, off.ledger),
        )
        .next("report this with the output of wox verify: the ledger and its postings are one table")),
    }
}

async fn fold(
    log: &crate::log::EmbeddedLog,
    until: Position,
    collector: Collector,
    context: &Context,
) -> Result<(Collector, Replay), CliError> {
    let counter = Arc::new(replay::Progress::default());
    let phase = Progress::new(context.progress, 1).phase(1, "replay", "events", Some(until.0));
    let base = Replay::new(waivers(log, until).await?);
    let folding = async {
        Ok::<_, CliError>(replay_watched(log, base, until, evidence::threads(None), &counter, collector).await)
    };
    let (collector, result) = evidence::watched_raw(folding, &counter, &phase, context).await?;
    match result {
        Ok(state) => {
            phase.finish();
            Ok((collector, state))
        }
        Err(ReplayStopped::Read { source, .. }) => Err(source.into()),
        Err(ReplayStopped::Interrupted { at }) => {
            Err(CliError::interrupted(format!("stopped behind position {}; nothing was changed", at.position))
                .next("run the same command again, or look at less with --as-of"))
        }
        Err(error @ (ReplayStopped::Order { .. } | ReplayStopped::Incomplete { .. })) => {
            Err(CliError::integrity("wox::log::damaged", error.to_string()).next("wox verify"))
        }
    }
}

/// What was asked for.
enum Wanted {
    Account(Account),
    Player(PlayerId),
    Handle(String),
}

fn both(player: &PlayerId) -> Vec<Account> {
    vec![Account::Bonus(player.clone()), Account::Withdrawable(player.clone())]
}

const SINGLES: [&str; 4] = ["pool", "burn_queue", "suspense", "dust"];
const SORTS: [&str; 6] = ["bonus", "withdrawable", "escrow", "entries", "in_flight", "external"];

fn parse(args: &ExplainArgs) -> Result<Wanted, CliError> {
    let typed = args.account.as_str();
    let unnamed = |text: &str| {
        let error = CliError::usage("wox::explain::account", format!("no account is called `{text}`"));
        let sort = text.split(':').next().unwrap_or_default();
        let near = spelling::nearest(
            sort,
            SINGLES.into_iter().chain(SORTS).chain(["player", "deposit", "withdrawal", "burn"]),
        );
        let error = near.into_iter().fold(error, |error, near| error.next(format!("did you mean `{near}`?")));
        error.next("wox state ledger lists the accounts; wox explain --help names the sorts")
    };
    if typed == "player" {
        let Some(who) = &args.player else {
            return Err(CliError::usage("wox::explain::player", "which player?").next("wox explain player 1042"));
        };
        return match who.strip_prefix('@') {
            Some(handle) => Ok(Wanted::Handle(handle.to_owned())),
            None => PlayerId::new(who).map(Wanted::Player).map_err(|_| unnamed(who)),
        };
    }
    if let Some(extra) = &args.player {
        return Err(CliError::usage("wox::explain::account", format!("`{extra}` is one word too many")).next(format!(
            "wox explain {}, or wox explain player {}",
            command::word(typed),
            command::word(extra)
        )));
    }
    let single = match typed {
        "pool" => Some(Account::Pool),
        "burn_queue" => Some(Account::BurnQueue),
        "suspense" => Some(Account::Suspense),
        "dust" => Some(Account::Dust),
        _ => None,
    };
    let split = || {
        let (sort, id) = typed.split_once(':')?;
        Some(match sort {
            "bonus" => Account::Bonus(PlayerId::new(id).ok()?),
            "withdrawable" => Account::Withdrawable(PlayerId::new(id).ok()?),
            "escrow" => Account::Escrow(DuelId::new(id).ok()?),
            "entries" => Account::Entries(TournamentId::new(id).ok()?),
            "in_flight" => Account::InFlight(WithdrawalId::new(id).ok()?),
            "external" => Account::External(SIDES.into_iter().find(|side| side.to_string() == id)?),
            _ => return None,
        })
    };
    single.or_else(split).map(Wanted::Account).ok_or_else(|| unnamed(typed))
}

const SIDES: [External; 7] = [
    External::Deposits,
    External::Granted,
    External::Imported,
    External::Contributed,
    External::Unexplained,
    External::Withdrawn,
    External::Burned,
];

/// An account of somebody nobody has heard of is a typo, not a balance of zero.
fn exists(name: &str, movements: usize, wanted: &Wanted, state: &Replay) -> Result<(), CliError> {
    let Some((sort, id)) = name.split_once(':') else { return Ok(()) };
    let state = &state.state;
    let known: (bool, Vec<&str>) = match sort {
        "bonus" | "withdrawable" => {
            (state.players.get(id).is_some(), state.players.iter().map(|(id, _)| id.as_str()).collect())
        }
        "escrow" => (state.duels.get(id).is_some(), state.duels.iter().map(|(id, _)| id.as_str()).collect()),
        "entries" => {
            (state.tournaments.get(id).is_some(), state.tournaments.iter().map(|(id, _)| id.as_str()).collect())
        }
        "in_flight" => {
            (state.withdrawals.get(id).is_some(), state.withdrawals.iter().map(|(id, _)| id.as_str()).collect())
        }
        _ => return Ok(()),
    };
    if known.0 || movements > 0 {
        return Ok(());
    }
    let what = match wanted {
        Wanted::Player(id) => format!("there is no player {id}"),
        Wanted::Account(_) | Wanted::Handle(_) => format!("there is no account {name}"),
    };
    let error = CliError::usage("wox::explain::account", what);
    let near = spelling::nearest(id, known.1);
    let typed = |id: &str| match wanted {
        Wanted::Player(_) | Wanted::Handle(_) => format!("player {id}"),
        Wanted::Account(_) => format!("{sort}:{id}"),
    };
    let error = near.into_iter().fold(error, |error, near| error.next(format!("did you mean `{}`?", typed(near))));
    Err(error.next("wox state ledger lists the accounts that hold something"))
}

fn print(
    collector: &Collector,
    statements: Vec<Statement>,
    until: Position,
    context: &Context,
) -> Result<(), CliError> {
    let entries = collector.entries();
    let refused = collector.refused();
    let body = Explanation {
        as_of: until,
        accounts: statements,
        postings: entries.to_vec(),
        refused: refused.iter().map(|(position, _)| *position).collect(),
    };
    let mut document = Document::of(&body).records::<Entry>("postings");
    for statement in &body.accounts {
        let mine = entries.iter().filter(|entry| entry.account == statement.account);
        let mut rows: Vec<_> = mine.map(|entry| row(entry, entries)).collect();
        rows.push(vec![
            "sum".into(),
            String::new(),
            counted(statement.movements as u64, "posting"),
            String::new(),
            statement.sum.clone(),
            match statement.agrees {
                true => "the ledger agrees".into(),
                false => format!("THE LEDGER SAYS {}", statement.ledger),
            },
        ]);
        document = document
            .line(format!("{} holds {} G", statement.account, statement.ledger))
            .table(["position", "stream", "kind", "amount", "balance", "by"], rows);
    }
    for (position, kind) in refused {
        document = document.line(format!("not counted: {kind} at position {position} was refused or left out"));
    }
    document.print(context.output)
}

fn row(entry: &Entry, all: &[Entry]) -> Vec<String> {
    let place = |id: &EventId| all.iter().find(|other| other.id == *id).map(|other| other.position.to_string());
    let mut by = entry.actor.clone();
    if let Some(corrects) = &entry.corrects {
        by += &format!(", corrects {}", place(corrects).unwrap_or_else(|| corrects.to_string()));
    } else if let Some(cause) = entry.causation.as_ref().and_then(place) {
        by += &format!(", because of {cause}");
    }
    if let Some(later) = all.iter().find(|other| other.corrects == Some(entry.id)) {
        by += &format!(", corrected by {}", later.position);
    }
    vec![
        entry.position.to_string(),
        shortened(entry.stream.as_str()),
        entry.kind.clone(),
        entry.amount.clone(),
        entry.balance.clone(),
        by,
    ]
}

/// A stream's name with its middle left out: a deposit's is longer than a screen. Machine formats have it whole.
fn shortened(name: &str) -> String {
    const ENDS: usize = 14;
    match name.len() > 2 * ENDS + 3 && name.is_ascii() {
        true => format!("{}…{}", &name[..ENDS], &name[name.len() - ENDS..]),
        false => name.to_owned(),
    }
}
