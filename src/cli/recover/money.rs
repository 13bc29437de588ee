//! `wox recover deposit|withdrawal|burn ID`: the chain is asked first.

use wox_events::{Label, StreamId, TxHash};
use wox_projections::{Replay, verdict::DepositVerdict};

use super::{Decision, RecoverArgs, decision::bad_name, existing, scope};
use crate::{
    cli::{CliError, Context, as_of, chain, evidence, explain::verdict, observe, plan, progress::Progress, store},
    command,
    exit_code::ExitCode,
    recovery::{Scope, Targets},
};

/// A deposit, withdrawal or burn: the chain is asked first, where there is one; then the plan is made from the log.
pub(super) async fn recover(
    what: &str,
    id: &str,
    args: &RecoverArgs,
    decision: Option<Decision>,
    context: &Context,
) -> Result<ExitCode, CliError> {
    let decided = decision.is_some();
    let tx = chain::hash(id).filter(|_| what == "deposit");
    let seen = match chain::optional(context)? {
        Some(configured) if !args.offline && !args.making.previews() && context.as_of.is_none() => {
            let replay = observe::replay(context).await?;
            let targets = match &tx {
                Some(tx) => Targets { transactions: [tx.clone()].into(), ..Targets::default() },
                None => {
                    let targets = observe::of_stream(what, id, &replay)?;
                    match StreamId::new(format!("{what}-{id}")) {
                        Ok(stream) => targets.and_all_sent(&replay.state, &stream),
                        Err(_) => targets,
                    }
                }
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
        Some(tx) => transaction(tx, decision, args, context).await?,
        None => {
            let name = format!("{what}-{id}");
            let stream = StreamId::new(&name).map_err(|_| {
                CliError::usage("wox::recover::what", format!("`{id}` is no id")).next(format!("wox recover {what}"))
            })?;
            scope(decision, existing(stream, context).await?, args.why.clone(), context)?
        }
    };
    let code = plan::make(args.making.clone(), &scope, context).await?;
    if code == ExitCode::Done && !decided {
        became(what, id, context).await?;
    }
    if code == ExitCode::Done && seen.iter().any(|seen| if decided { seen.unknown } else { seen.open }) {
        context.say(format!("that can still change: look again later with {}", command::wox(["recover", what, id])));
        return Ok(ExitCode::Unknown);
    }
    Ok(code)
}

/// Says what became of it by the log: where nothing is to be done, that is what somebody who asks wants to know.
async fn became(what: &str, id: &str, context: &Context) -> Result<(), CliError> {
    let log = store::open_to_read(context).await?;
    let until = as_of::position(&log, context).await?;
    let progress = Progress::new(context.progress, 1);
    let evidence = evidence::gather(&log, until, evidence::threads(None), context, progress, 1).await?;
    let state = &evidence.replay.state;
    if let Some(subject) = verdict::subject(what, id, state) {
        for says in verdict::told(state, &subject, &log, until).await? {
            context.say(format!("by the log: {says}"));
        }
    }
    log.close().await;
    Ok(())
}

/// What to plan about a transaction: its deposits, or whose the one deposit of it is.
async fn transaction(
    tx: TxHash,
    decision: Option<Decision>,
    args: &RecoverArgs,
    context: &Context,
) -> Result<Scope, CliError> {
    let replay = observe::replay(context).await?;
    let unknown = || {
        CliError::usage("wox::recover::unlooked", format!("nobody has looked at {tx} yet"))
            .next("write a section [chain] into wox.toml, then run the command again")
    };
    let look = replay.state.chain.policies().find_map(|policy| replay.state.chain.transaction(policy.chain, &tx));
    let chain = look.map(|look| look.chain).ok_or_else(unknown)?;
    let subject = match &decision {
        None => return Ok(Scope::Transaction { chain, tx }),
        Some(Decision::Player(_)) => confirmed(&replay, chain, &tx)?.ok_or_else(unknown)?,
        Some(_) => known(&replay, chain, &tx)?,
    };
    let stream = StreamId::new(format!("deposit-{subject}")).map_err(|_| unknown())?;
    scope(decision, stream, args.why.clone(), context)
}

/// What two people say a transfer out of our wallets paid; the chain is asked about it first, where there is one.
pub(super) async fn explain(
    id: &str,
    args: &RecoverArgs,
    decision: Option<Decision>,
    context: &Context,
) -> Result<ExitCode, CliError> {
    let usage = |what: String| {
        CliError::usage("wox::recover::transfer", what)
            .next("wox recover transfer 0x… --second NAME --why WHAT-IT-PAID")
    };
    let no_hash = || usage(format!("`{id}` is no transaction hash")).next(chain::no_hash(id));
    let tx = chain::hash(id).ok_or_else(no_hash)?;
    let Some(Decision::Second(second)) = decision else {
        return Err(usage("what a transfer paid two people say; name the other, and what it paid".into()));
    };
    if let Some(configured) = chain::optional(context)?
        && !args.offline
        && !args.making.previews()
        && context.as_of.is_none()
    {
        let targets = Targets { transactions: [tx.clone()].into(), ..Targets::default() };
        let seen = observe::look(&configured, observe::replay(context).await?, &targets, false, context).await?;
        observe::say(&seen, context);
    }
    let replay = observe::replay(context).await?;
    let chain = replay.state.chain.policies().next().map(|policy| policy.chain).ok_or_else(|| {
        CliError::usage("wox::recover::unlooked", format!("nobody has looked at {tx} yet"))
            .next("write a section [chain] into wox.toml, then run the command again")
    })?;
    let first = Label::new(context.actor.as_str()).map_err(bad_name)?;
    let why = args.why.clone().unwrap_or_default();
    plan::make(args.making.clone(), &Scope::Explain { chain, tx, first, second, why }, context).await
}

/// The stream of the one deposit that the log knows of a transaction, on whatever chain.
pub(super) async fn deposit_of(tx: &TxHash, context: &Context) -> Result<StreamId, CliError> {
    let replay = observe::replay(context).await?;
    let of_it = |key: &&str| key.split_once(':').is_some_and(|(_, known)| known == tx.as_str());
    let chain = replay.state.deposits.by_transaction().into_keys().find(of_it);
    let chain = chain.and_then(|key| key.split_once(':')?.0.parse().ok()).unwrap_or_default();
    let subject = known(&replay, chain, tx)?;
    StreamId::new(format!("deposit-{subject}")).map_err(|_| super::unnamed(tx.as_str()))
}

/// The one deposit that the log knows of a transaction.
fn known(replay: &Replay, chain: u64, tx: &TxHash) -> Result<String, CliError> {
    let known = replay.state.deposits.by_transaction();
    match known.get(format!("{chain}:{tx}").as_str()).map(Vec::as_slice) {
        Some([(subject, _)]) => Ok((*subject).to_owned()),
        _ => Err(CliError::usage("wox::recover::several", "the transaction is not exactly one deposit; name the one")
            .next("wox recover deposit CHAIN:HASH:ORDINAL --second NAME --why REASON")),
    }
}

/// The one transfer to us that the chain confirms of a transaction; `None` when nobody has judged it.
fn confirmed(replay: &Replay, chain: u64, tx: &TxHash) -> Result<Option<String>, CliError> {
    let judged = wox_projections::chain::judged(&replay.state);
    let verdict = judged.into_iter().find(|judged| judged.look.subject.as_str() == tx.as_str());
    let transfers = match verdict.map(|judged| judged.verdict) {
        Some(DepositVerdict::Confirmed { transfers, .. }) => transfers,
        Some(other) => {
            return Err(CliError::refused(
                "wox::recover::unconfirmed",
                format!("nothing of {tx} can be given to a player: {}, {}", other.row(), other.says()),
            )
            .next(command::wox(["observe", "deposit", tx.as_str()])));
        }
        None => return Ok(None),
    };
    let ids: Vec<_> = transfers.iter().map(|one| format!("{chain}:{tx}:{}", one.ordinal)).collect();
    match ids.as_slice() {
        [only] => Ok(Some(only.clone())),
        several => Err(CliError::usage("wox::recover::several", "the transaction has several deposits; name the one")
            .next(format!("wox recover deposit {} --player ID --why REASON", several.join(" or ")))),
    }
}
