//! `wox reconcile`: the ledger against what can be counted elsewhere: players' balances against the facts, the pool
//! against the game's figure, custody against the token at one final block. Differences are findings; nothing is adjusted.

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{Amount, ChainEvent, Event, Label, RawEvent, Recorded, StreamId};
use wox_projections::{Account, State, verdict::HoldingsVerdict};

use crate::{
    cli::{
        CliError, Context, chain, evidence, observe, plan, progress::Progress, reason::reason, render::Document, store,
    },
    command,
    exit_code::ExitCode,
    log::EventLog as _,
    recovery::{Finding, Scope, Targets, diagnose},
};

/// Compare the ledger with the chain and the game's own figures
///
/// Counts the players' balances (R14), the prize pool (R15) and, where the settings name a chain, what our addresses hold
/// at one final block. A difference names the first bad event; nothing is adjusted without an approved plan.
///
/// Exit code 0 when everything agrees, 3 when something differs, 6 when the chain could not be asked.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox reconcile                 ledger, pool and chain
  wox reconcile --offline       what the log alone can say
  wox reconcile --adjust unknown-origin --why ticket-92
                                plan to keep tokens that no event explains in suspense")]
pub(super) struct ReconcileArgs {
    /// Do not ask the chain; compare with what was last seen of it
    #[arg(long)]
    offline: bool,
    /// Plan to keep in suspense what no event explains, for this reason; another person has to approve it
    #[arg(long, value_name = "REASON", requires = "why")]
    adjust: Option<Reason>,
    /// Which token, where the settings name several
    #[arg(long, value_name = "ADDRESS", requires = "adjust")]
    token: Option<String>,
    /// Why; recorded with the decision
    #[arg(long, requires = "adjust", value_parser = reason)]
    why: Option<String>,
    #[command(flatten)]
    making: plan::MakingArgs,
}

/// Why tokens are there that no event brought in: the code that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Reason {
    /// Nobody knows
    UnknownOrigin,
    /// Somebody sent them past the deposit address
    DirectSend,
    /// Moved by the treasury without an event
    TreasuryMove,
}

impl Reason {
    fn label(self) -> Label {
        Label::new(match self {
            Reason::UnknownOrigin => "unknown-origin",
            Reason::DirectSend => "direct-send",
            Reason::TreasuryMove => "treasury-move",
        })
        .expect("an identity")
    }
}

/// One comparison, as it is printed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Compared {
    /// What was compared.
    what: &'static str,
    /// The runbook's row.
    row: &'static str,
    /// What the ledger has, in Galleons.
    ledger: String,
    /// What the other side has, in Galleons; nothing when nobody could say.
    other: Option<String>,
    /// Where the other figure comes from.
    from: String,
    /// Whether they agree.
    agrees: bool,
}

/// What `wox reconcile` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Reconciled {
    /// The comparisons.
    compared: Vec<Compared>,
    /// What is wrong, with its first bad event.
    findings: Vec<Finding>,
    /// What to type next, where anything differs.
    next: Vec<String>,
}

pub(super) async fn run(args: ReconcileArgs, context: Context) -> Result<ExitCode, CliError> {
    let mut unknown = false;
    let configured = chain::optional(&context)?;
    let is_configured = configured.is_some();
    match configured {
        Some(configured) if !args.offline => {
            let replay = observe::replay(&context).await?;
            let targets = Targets { holdings: true, ..Targets::default() };
            let seen = observe::look(&configured, replay, &targets, false, &context).await?;
            observe::say(&seen, &context);
            unknown = seen.iter().any(|seen| seen.unknown);
        }
        Some(_) => {}
        None => context.say("no chain is configured: custody is not compared"),
    }
    let log = store::open_to_read(&context).await?;
    let until = log.head().await?.position;
    let progress = Progress::new(context.progress, 1);
    let evidence = evidence::gather(&log, until, evidence::threads(None), &context, progress, 1).await?;
    let mut looks = Vec::new();
    for policy in evidence.replay.state.chain.policies() {
        let events = log.read_stream(&wox_events::chain::stream(policy.chain)).await?;
        looks.extend(events.iter().map(RawEvent::decode));
    }
    log.close().await;
    if let Some(reason) = args.adjust {
        let why = args.why.clone().unwrap_or_default();
        let scope = Scope::Adjust { token: token(&args, &evidence.replay.state)?, reason: reason.label(), why };
        let code = plan::make(args.making, &scope, &context).await?;
        return Ok(if code == ExitCode::Done && unknown { ExitCode::Unknown } else { code });
    }
    let compared = compare(&evidence.replay.state);
    let rows = ["R12", "R13", "R14", "R15", "E1", "E3"];
    let mut findings: Vec<Finding> = diagnose(&evidence).cases.into_iter().map(|case| case.finding).collect();
    findings.retain(|finding| rows.contains(&finding.row.as_str()));
    findings.dedup();
    let searched = if is_configured { Some(looks.as_slice()) } else { None };
    let mut next = next(&compared, &findings, &evidence.replay.state, searched);
    if unknown {
        next.insert(0, "find the sources that cannot say what we hold: wox doctor".into());
    }
    print(&compared, &findings, &next, &context)?;
    if let Some(error) = evidence::damage_error(&evidence, &context) {
        return Err(error);
    }
    Ok(match findings.is_empty() && compared.iter().all(|one| one.agrees) {
        false => ExitCode::Differences,
        true if unknown => ExitCode::Unknown,
        true => ExitCode::Done,
    })
}

/// The token that is meant: the only one that was looked at, or the one that was named.
fn token(args: &ReconcileArgs, state: &State) -> Result<Label, CliError> {
    let known: Vec<&Label> = state.chain.holdings().map(|look| &look.subject).collect();
    match (&args.token, known.as_slice()) {
        (Some(named), known) => known.iter().find(|token| token.as_str().eq_ignore_ascii_case(named)).copied(),
        (None, [only]) => Some(*only),
        (None, _) => None,
    }
    .cloned()
    .ok_or_else(|| {
        let names: Vec<String> = known.iter().map(ToString::to_string).collect();
        let error = CliError::usage("wox::reconcile::token", "which token is meant is not clear");
        match names.is_empty() {
            true => error.next("nobody has looked at what we hold: wox observe holdings"),
            false => error.next(format!("name it: --token {}", names.join(" or --token "))),
        }
    })
}

fn compare(state: &State) -> Vec<Compared> {
    let held = state.ledger.held();
    let drift = state.conservation.drift;
    let mut compared = vec![Compared {
        what: "all balances",
        row: "R14",
        ledger: held.to_string(),
        other: Some(if drift.0 >= 0 { held.saturating_sub(drift.size()) } else { sum(held, drift.size()) }.to_string()),
        from: "deposits, grants and contributions less what was paid and burned".into(),
        agrees: drift.is_zero(),
    }];
    if let Some(stated) = &state.pool.stated {
        compared.push(Compared {
            what: "prize pool",
            row: "R15",
            ledger: state.ledger.balance(&Account::Pool).to_string(),
            other: Some(stated.balance.to_string()),
            from: format!("the game, at its last statement, when its events made {}", stated.folded),
            agrees: state.pool.drift.is_zero(),
        });
    }
    for look in state.chain.holdings() {
        let verdict = state.chain.holdings_verdict(look);
        let (other, from, block) = match &verdict {
            HoldingsVerdict::Held { block, total } => {
                (Some(*total), format!("{} at final block {}", look.subject, block.number), Some(block.number))
            }
            HoldingsVerdict::Unknown { why } => (None, format!("unknown: {why}"), None),
        };
        let owed = block.and_then(|block| wox_projections::chain::owed_of(state, look, block));
        let taken_over = state.imported().iter().any(|amount| !amount.is_zero());
        let from = match taken_over {
            true => format!("{from}; balances taken over from tables do not say what of them was ever a token"),
            false if owed.is_none() && other.is_some() => {
                format!("{from}; another token of the rules was not looked at in that block: wox observe holdings")
            }
            false => from,
        };
        compared.push(Compared {
            what: "custody",
            row: "R14",
            ledger: owed.map(|owed| owed.to_string()).unwrap_or_default(),
            other: other.map(|total| total.to_string()),
            from,
            agrees: owed.is_none() || other.is_none() || other == owed,
        });
    }
    compared
}

/// Blocks that one search covers: where no earlier look agreed, it begins so far before the one that differs.
const SEARCHED: u64 = 100_000;
/// Most streams that are named one by one.
const NAMED_MAX: usize = 3;

/// What to type next, by what differs: what has a finding is planned for, and what moved our tokens is searched for. Where
/// no chain is configured nothing can be asked of it, and `looks` is none.
fn next(compared: &[Compared], findings: &[Finding], state: &State, looks: Option<&[Recorded]>) -> Vec<String> {
    let mut steps = Vec::new();
    let mut subjects: Vec<&StreamId> = findings.iter().map(|finding| &finding.subject).collect();
    subjects.sort();
    subjects.dedup();
    let differs = compared.iter().any(|one| !one.agrees);
    match subjects.len() {
        0 if !differs => {}
        1..=NAMED_MAX => steps.extend(subjects.iter().map(|subject| command::wox(["recover", subject.as_str()]))),
        _ => steps.push("wox plan".into()),
    }
    let taken_over = state.imported().iter().any(|amount| !amount.is_zero());
    let several = state.chain.holdings().count() > 1;
    for look in state.chain.holdings().filter(|_| !taken_over) {
        let HoldingsVerdict::Held { block, total } = state.chain.holdings_verdict(look) else {
            continue;
        };
        let Some(owed) = wox_projections::chain::owed_of(state, look, block.number).filter(|owed| *owed != total)
        else {
            continue;
        };
        let first = state.chain.differs_since(look).map_or(look.event.position, |event| event.position);
        let agreed = |event: &Recorded| match &event.event {
            Ok(Event::Chain(ChainEvent::HoldingsLooked { token, block, .. })) if event.position < first => {
                (*token == look.subject).then_some(*block)
            }
            _ => None,
        };
        if let Some(looks) = looks {
            let agreed = looks.iter().filter_map(agreed).max();
            let from = agreed.map_or(block.number.saturating_sub(SEARCHED - 1), |agreed| agreed + 1);
            steps.push(format!("look for what moved: wox observe transfers --from-block {from}"));
        }
        let token = if several { format!(" --token {}", look.subject) } else { String::new() };
        steps.push(match total > owed {
            true => format!(
                "what nobody finds two people keep in suspense: wox reconcile --adjust unknown-origin --why REASON{token}"
            ),
            false => "stop paying until it is found: what is missing is never written off".into(),
        });
    }
    steps
}

fn sum(left: Amount, right: Amount) -> Amount {
    left.checked_add(right).unwrap_or(left)
}

fn print(compared: &[Compared], findings: &[Finding], next: &[String], context: &Context) -> Result<(), CliError> {
    let rows: Vec<_> = compared
        .iter()
        .map(|one| {
            let verdict = match (&one.other, one.agrees) {
                (None, _) => "UNKNOWN",
                (Some(_), true) => "agrees",
                (Some(_), false) => "DIFFERS",
            };
            let other = one.other.clone().unwrap_or_default();
            vec![verdict.to_owned(), one.what.to_owned(), one.ledger.clone(), other, one.from.clone()]
        })
        .collect();
    let body = Reconciled { compared: compared.to_vec(), findings: findings.to_vec(), next: next.to_vec() };
    let mut document = Document::of(&body)
        .records::<Compared>("compared")
        .table(["result", "what", "ledger (G)", "other (G)", "from"], rows);
    for finding in findings {
        let since = finding.since.as_ref().map(|since| format!("; first bad event {since}")).unwrap_or_default();
        document = document.line(format!("{} {}: {}{since}", finding.row, finding.subject, finding.says));
    }
    document.print(context.output)?;
    for step in next {
        context.say(format!("next: {step}"));
    }
    Ok(())
}
