//! `wox observe`: asks the chain about what is open and records what was seen, so that a verdict needs no network.

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{StreamId, Timestamp, id::Label};
use wox_projections::{Replay, due::Due, verdict::WithdrawalVerdict};

use crate::{
    cli::{
        CliError, Context, chain, evidence,
        progress::Progress,
        render::{Document, counted},
        store, time,
    },
    exit_code::ExitCode,
    import::base_receipts::checked_address,
    log::EventLog as _,
    recovery::{self, Seen, Targets, policy::FINAL_WATCHED},
};

/// Ask the chain and record what it says
///
/// Asks every configured source about what is open: deposits on their way, payments and burns that nobody has confirmed;
/// about what was final since yesterday, which is told where it is so no more; and about what our wallets send on, where
/// something was given back because they had not paid it.
/// What is new becomes an event, with each source's answer; nothing else is changed. `wox plan` then decides on what is
/// in the log.
///
/// Exit code 0 when everything is known, 6 when sources could not say.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox observe                              everything that is open
  wox observe deposit 0x5d1f…              one transaction, known or not
  wox observe transaction 0x5d1f…          the same, of one that is no deposit
  wox observe withdrawal 66                the slots of one withdrawal, and of its burn
  wox observe wallet 0x90f8… --from 41     all that a wallet sent from slot 41 on
  wox observe holdings                     what our addresses hold
  wox observe transfers --from-block 21000000   what moved our tokens since, named by anybody or by nobody")]
pub(super) struct ObserveArgs {
    /// deposit, transaction, withdrawal, burn, wallet, holdings or transfers; everything open when left out
    what: Option<String>,
    /// A transaction, an id, or a wallet's address
    id: Option<String>,
    /// The first slot of a wallet to look at
    #[arg(long, value_name = "NONCE", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=NUMBER_MAX))]
    from: u64,
    /// The first block to search for transfers
    #[arg(long, value_name = "BLOCK", value_parser = clap::value_parser!(u64).range(..=NUMBER_MAX))]
    from_block: Option<u64>,
    /// The last block to search [default: the newest final one]
    #[arg(long, value_name = "BLOCK", requires = "from_block", value_parser = clap::value_parser!(u64).range(..=NUMBER_MAX))]
    to_block: Option<u64>,
    /// Have the chain judged by the rules of the settings from here on, where the log has others; money waits until another
    /// person has run the same
    #[arg(long)]
    change_rules: bool,
}

/// The largest integer that an event states.
const NUMBER_MAX: u64 = wox_events::chain::Fees::STATED_MAX;

/// What one thing turned out to be, as it is printed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Row {
    /// The stream it is recorded in.
    stream: String,
    /// The row of the decision table.
    row: &'static str,
    /// What it means.
    says: String,
    /// True when nobody can say.
    unknown: bool,
    /// True when it was news and is in the log now.
    recorded: bool,
}

/// What `wox observe` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Observed {
    /// One look each.
    looks: Vec<Row>,
    /// Answers that had to be waited for one after the other.
    round_trips: u64,
}

pub(super) async fn run(args: ObserveArgs, context: Context) -> Result<ExitCode, CliError> {
    let mut chain = chain::configured(&context)?;
    let replay = replay(&context).await?;
    chain.network.add_ours(replay.state.chain.outgoing().wallets());
    let (targets, complete) = match (args.what.as_deref(), args.from_block) {
        (Some("transfers"), Some(from)) => transfers(&chain, from, args.to_block, &replay, &context).await?,
        (Some("transfers"), None) => {
            return Err(CliError::usage("wox::observe::what", "from which block on?")
                .next("wox observe transfers --from-block NUMBER"));
        }
        (_, Some(_)) => {
            return Err(CliError::usage("wox::observe::what", "--from-block goes with `transfers` only")
                .next("wox observe transfers --from-block NUMBER"));
        }
        (_, None) => (targets(&args, &replay)?, true),
    };
    let mut seen = look(&chain, replay, &targets, args.change_rules, &context).await?;
    if let (true, Some(what @ ("withdrawal" | "burn")), Some(id)) =
        (targets.is_empty(), args.what.as_deref(), args.id.as_deref())
    {
        seen.extend(unasked(what, id, &self::replay(&context).await?));
    }
    print(&seen, chain.network.round_trips(), &context)?;
    let unknown = !complete || seen.iter().any(|seen| seen.unknown);
    Ok(if unknown { ExitCode::Unknown } else { ExitCode::Done })
}

/// What is known of a payment that has no slot and no hash to look at.
fn unasked(what: &str, id: &str, replay: &Replay) -> Option<Seen> {
    let stream = StreamId::new(format!("{what}-{id}")).ok()?;
    let due = Due::of(&replay.state, &stream)?;
    let (verdict, _) = replay.state.verdict_of(&due)?;
    let unknown = matches!(verdict, WithdrawalVerdict::Unknown { .. }) && !due.settled;
    Some(Seen {
        stream,
        row: verdict.row(),
        says: verdict.says(),
        unknown,
        open: unknown,
        recorded: false,
        contradicted: false,
    })
}

/// What moved our tokens in a range of blocks and is no attempt of ours; and whether all of the range was answered for.
async fn transfers(
    chain: &chain::Chain,
    from: u64,
    to: Option<u64>,
    replay: &Replay,
    context: &Context,
) -> Result<(Targets, bool), CliError> {
    if to.is_some_and(|to| to < from) {
        return Err(CliError::usage("wox::observe::blocks", "the last block is before the first")
            .next("wox observe transfers --from-block FIRST --to-block LAST"));
    }
    let Some(found) = chain.network.find_transfers(from, to).await else {
        context.say("unknown: no source names a final block, so nothing was searched");
        return Ok((Targets::default(), false));
    };
    if found.until < from {
        let what = format!("block {from} is not final yet: the newest final one is {}", found.until);
        return Err(
            CliError::failed("wox::observe::blocks", what).next("look again later, or begin at an earlier block")
        );
    }
    let ours = recovery::observe::attempts(&replay.state);
    let transactions: std::collections::BTreeSet<_> =
        found.transactions.into_iter().filter(|tx| !ours.contains(tx)).collect();
    let count = counted(transactions.len() as u64, "transaction");
    context.say(format!("blocks {from} to {}: {count} moved our tokens beside what was signed for us", found.until));
    for source in &found.failed {
        context.say(format!("{source} could not answer for all of it"));
    }
    if !found.complete {
        context.say("some blocks were answered for by nobody: run the same command again");
    } else if to.is_none_or(|to| found.until < to) {
        context.say(format!("next: wox observe transfers --from-block {}", found.until + 1));
    }
    Ok((Targets { transactions, ..Targets::default() }, found.complete))
}

/// The log as it stands; damage is an error, because nothing may be appended behind it.
pub(super) async fn replay(context: &Context) -> Result<Replay, CliError> {
    let log = store::open_to_read(context).await?;
    let until = log.head().await?.position;
    let progress = Progress::new(context.progress, 1);
    let evidence = evidence::gather(&log, until, evidence::threads(None), context, progress, 1).await?;
    log.close().await;
    match evidence::damage_error(&evidence, context) {
        Some(error) => Err(error),
        None => Ok(evidence.replay),
    }
}

/// Asks and records, in this order: rules, then looks.
pub(super) async fn look(
    chain: &chain::Chain,
    mut replay: Replay,
    targets: &Targets,
    change_rules: bool,
    context: &Context,
) -> Result<Vec<Seen>, CliError> {
    let (policy, network) = (&chain.policy, &chain.network);
    let log = store::open_to_write(context).await?;
    let now = time::now();
    let looking = async {
        let known = replay.state.chain.policy(policy.chain).cloned();
        let changes = known.map(|known| chain::differences(&known, policy)).unwrap_or_default();
        let declared = recovery::observe::declare(&log, &replay, policy, change_rules, &context.actor, now).await;
        if declared.map_err(|error| chain::with_changes(error, &changes))? {
            context.say(format!("from here on chain {} is judged by the rules of the settings", policy.chain));
            for change in &changes {
                context.say(format!("  {}", change.told()));
            }
            replay = self::replay(context).await?;
            if replay.state.chain.changed_rules().next().is_some() {
                context.say("no money moves until another person agrees: wox observe --change-rules --as NAME");
            }
        }
        Ok::<_, CliError>(recovery::observe(&log, network, &replay, policy, targets, &context.actor, now).await?)
    };
    let seen = tokio::select! {
        biased;
        seen = looking => seen?,
        () = context.interrupt.wait() => {
            return Err(CliError::interrupted("stopped while the chain was being asked; what was recorded is durable")
                .next("run the same command again: what is known already is not recorded twice"));
        }
    };
    log.close().await;
    Ok(seen)
}

fn targets(args: &ObserveArgs, replay: &Replay) -> Result<Targets, CliError> {
    let unnamed = |next: &str| CliError::usage("wox::observe::what", "that names nothing to look at").next(next);
    match (args.what.as_deref(), args.id.as_deref()) {
        (None, None) => {
            let since = Timestamp(time::now().0.saturating_sub(FINAL_WATCHED.0));
            Ok(Targets::open(&replay.state).and_final_since(&replay.state, since))
        }
        (Some("holdings"), None) => Ok(Targets { holdings: true, ..Targets::default() }),
        (Some("wallet"), Some(address)) => {
            let wallet: Label = checked_address(address).map_err(|error| {
                CliError::usage("wox::observe::wallet", error.to_string()).next("wox observe wallet 0x…")
            })?;
            Ok(Targets { wallets: vec![(wallet, args.from)], ..Targets::default() })
        }
        (Some("deposit" | "transaction"), Some(id)) => match chain::hash(id) {
            Some(tx) => Ok(Targets { transactions: [tx].into(), ..Targets::default() }),
            None => of_stream("deposit", id, replay),
        },
        (Some(what @ ("withdrawal" | "burn")), Some(id)) => of_stream(what, id, replay),
        _ => Err(unnamed("wox observe, wox observe deposit 0x…, wox observe withdrawal ID, wox observe holdings")),
    }
}

/// What can be looked at about one stream; a stream nobody has heard of is a typo.
pub(super) fn of_stream(what: &str, id: &str, replay: &Replay) -> Result<Targets, CliError> {
    let name = format!("{what}-{id}");
    let meant_as_hash = what == "deposit" && (id.starts_with("0x") || chain::hash(&format!("0x{id}")).is_some());
    let stream = StreamId::new(&name).ok().filter(|_| !meant_as_hash).ok_or_else(|| {
        CliError::usage("wox::observe::what", format!("`{id}` is no id and no transaction hash"))
            .next(chain::no_hash(id))
    })?;
    let targets = Targets::of_stream(&replay.state, &stream);
    let known = replay.revision(&stream).0 > 0;
    match known || !targets.is_empty() {
        true => Ok(targets),
        false => Err(CliError::usage("wox::observe::unknown", format!("there is no stream {stream} in this log"))
            .next(format!("wox recover {what} lists the ones something is wrong with"))),
    }
}

/// Prints what was seen.
fn print(seen: &[Seen], round_trips: u64, context: &Context) -> Result<(), CliError> {
    let looks: Vec<Row> = seen
        .iter()
        .map(|seen| Row {
            stream: seen.stream.to_string(),
            row: seen.row,
            says: seen.says.clone(),
            unknown: seen.unknown,
            recorded: seen.recorded,
        })
        .collect();
    let new = looks.iter().filter(|look| look.recorded).count();
    let rows: Vec<_> = looks
        .iter()
        .map(|look| {
            let news = if look.recorded { "recorded" } else { "as before" };
            vec![look.row.to_owned(), news.to_owned(), look.stream.clone(), look.says.clone()]
        })
        .collect();
    let line = match looks.is_empty() {
        true => "nothing that was looked at is news".to_owned(),
        false => format!("{} looked at, {new} recorded", counted(looks.len() as u64, "thing")),
    };
    Document::of(&Observed { looks, round_trips })
        .records::<Row>("looks")
        .table(["row", "news", "stream", "what it is"], rows)
        .line(line)
        .print(context.output)
}

/// What was seen, told in passing by a command that goes on with it.
pub(super) fn say(seen: &[Seen], context: &Context) {
    for seen in seen {
        context.say(format!("{} {}: {}", seen.row, seen.stream, seen.says));
    }
}
