//! How events move money: one table, event → movements. Amounts are the event's own; the only thing looked up is who
//! takes part in a tournament when the entries become part of the pool.

use wox_events::{
    Amount, BurnEvent, ChainEvent, DepositEvent, DuelEvent, DuelId, Event, PlayerEvent, PlayerId, PoolEvent, Split,
    StreamId, TournamentEvent, TournamentId, WithdrawalEvent, WithdrawalId, burn::ImportedBurn, pool::Adjustment,
    withdrawal::ImportedWithdrawal,
};

use crate::{
    ledger::{Account, External, Posting},
    projection::Rejection,
    state::State,
    tournaments::Tournament,
};

/// The movements of one event; none for an event that moves no money.
pub fn postings(stream: &StreamId, event: &Event, state: &State) -> Result<Vec<Posting>, Rejection> {
    Ok(match event {
        Event::Player(event) => player(stream, event)?,
        Event::Duel(event) => duel(stream, event)?,
        Event::Tournament(event) => tournament(stream, event, state)?,
        Event::Deposit(event) => deposit(event),
        Event::Withdrawal(event) => withdrawal(stream, event, state)?,
        Event::Burn(BurnEvent::BurnSettled { amount, .. }) => {
            vec![moved(Account::BurnQueue, Account::External(External::Burned), *amount)]
        }
        Event::Burn(BurnEvent::BurnImported { amount, standing: ImportedBurn::Scheduled, .. }) => {
            vec![moved(IMPORTED, Account::BurnQueue, *amount)]
        }
        Event::Pool(event) => pool(event),
        Event::Chain(event) => chain(event),
        Event::Burn(_) | Event::Agent(_) | Event::Command(_) | Event::Recovery(_) | Event::Ops(_) => Vec::new(),
    })
}

/// The other side of every opening entry.
const IMPORTED: Account = Account::External(External::Imported);

fn moved(from: Account, to: Account, amount: Amount) -> Posting {
    Posting { from, to, amount }
}

/// Both parts of a split, between a player's balances and one other account.
fn from_player(player: &PlayerId, split: Split, to: Account) -> Vec<Posting> {
    [(Account::Bonus(player.clone()), split.bonus), (Account::Withdrawable(player.clone()), split.withdrawable)]
        .into_iter()
        .filter(|(_, amount)| !amount.is_zero())
        .map(|(from, amount)| moved(from, to.clone(), amount))
        .collect()
}

fn to_player(from: Account, player: &PlayerId, split: Split) -> Vec<Posting> {
    let mut postings = from_player(player, split, from);
    for posting in &mut postings {
        std::mem::swap(&mut posting.from, &mut posting.to);
    }
    postings
}

fn subject<T>(stream: &StreamId, make: impl FnOnce(&str) -> Option<T>) -> Result<T, Rejection> {
    make(stream.subject()).ok_or_else(|| Rejection::unknown("subject of stream", stream))
}

fn player(stream: &StreamId, event: &PlayerEvent) -> Result<Vec<Posting>, Rejection> {
    let player = || subject(stream, |id| PlayerId::new(id).ok());
    Ok(match event {
        PlayerEvent::PlayerCreated { bonus: amount, .. }
        | PlayerEvent::BonusGranted { amount, .. }
        | PlayerEvent::GoodwillGranted { amount, .. } => {
            vec![moved(Account::External(External::Granted), Account::Bonus(player()?), *amount)]
        }
        PlayerEvent::PotionBrewed { cost, .. } => from_player(&player()?, *cost, Account::Pool),
        PlayerEvent::StateImported { bonus, withdrawable, .. } => {
            let opening = Split { bonus: *bonus, withdrawable: *withdrawable };
            to_player(IMPORTED, &player()?, opening)
        }
        PlayerEvent::HandleChanged { .. }
        | PlayerEvent::WalletBound { .. }
        | PlayerEvent::WalletUnbound { .. }
        | PlayerEvent::PlayerRenamed { .. }
        | PlayerEvent::ExperienceGained { .. }
        | PlayerEvent::SpellLearned { .. }
        | PlayerEvent::TitleAwarded { .. } => Vec::new(),
    })
}

fn duel(stream: &StreamId, event: &DuelEvent) -> Result<Vec<Posting>, Rejection> {
    let escrow = || subject(stream, |id| DuelId::new(id).ok()).map(Account::Escrow);
    Ok(match event {
        DuelEvent::StakeHeld { player, stake } => from_player(player, *stake, escrow()?),
        DuelEvent::StakeReleased { player, stake, .. } => to_player(escrow()?, player, *stake),
        DuelEvent::DuelSettled { winner, amount } => {
            vec![moved(escrow()?, Account::Withdrawable(winner.clone()), *amount)]
        }
        DuelEvent::DuelImported { stakes, .. } => {
            let held = stakes.iter().filter_map(|stake| stake.assumed.total()).filter(|amount| !amount.is_zero());
            held.map(|amount| Ok(moved(IMPORTED, escrow()?, amount))).collect::<Result<_, Rejection>>()?
        }
        DuelEvent::BucketCorrected { player, from, to, amount, .. } => {
            vec![moved(Account::bucket(player, *from), Account::bucket(player, *to), *amount)]
        }
        DuelEvent::ChallengeIssued { .. }
        | DuelEvent::ChallengeAccepted { .. }
        | DuelEvent::ChallengeDeclined {}
        | DuelEvent::ChallengeExpired {}
        | DuelEvent::SpellCast { .. }
        | DuelEvent::PotionUsed { .. }
        | DuelEvent::TurnMissed { .. }
        | DuelEvent::DuelEnded { .. }
        | DuelEvent::DuelVoided { .. }
        | DuelEvent::DuelInterrupted { .. }
        | DuelEvent::TimersExtended { .. }
        | DuelEvent::DuelResumed { .. }
        | DuelEvent::LatePostsOrdered { .. }
        | DuelEvent::DuelStuckDetected { .. } => Vec::new(),
    })
}

fn tournament(stream: &StreamId, event: &TournamentEvent, state: &State) -> Result<Vec<Posting>, Rejection> {
    let entries = || subject(stream, |id| TournamentId::new(id).ok()).map(Account::Entries);
    Ok(match event {
        TournamentEvent::PlayerRegistered { player, entry } => from_player(player, *entry, entries()?),
        TournamentEvent::EntryRefunded { player, entry, .. } => to_player(entries()?, player, *entry),
        TournamentEvent::TournamentSeeded { .. } => {
            // Of those who take part only: who left before the draw is still to get the entry back.
            let paid = state.tournaments.get(stream.subject()).map(Tournament::paid_by_players).unwrap_or_default();
            if paid.is_zero() { Vec::new() } else { vec![moved(entries()?, Account::Pool, paid)] }
        }
        TournamentEvent::PrizePaid { player, amount, .. } => {
            vec![moved(Account::Pool, Account::Withdrawable(player.clone()), *amount)]
        }
        TournamentEvent::PrizeReversed { player, amount, .. } => {
            vec![moved(Account::Withdrawable(player.clone()), Account::Pool, *amount)]
        }
        TournamentEvent::TournamentOpened { .. }
        | TournamentEvent::PlayerUnregistered { .. }
        | TournamentEvent::RoundOpened { .. }
        | TournamentEvent::MatchDecided { .. }
        | TournamentEvent::MatchResultCorrected { .. }
        | TournamentEvent::MatchVoided { .. }
        | TournamentEvent::MatchReplayOrdered { .. }
        | TournamentEvent::BracketRebuilt { .. }
        | TournamentEvent::PrizeScheduleFixed { .. }
        | TournamentEvent::PrizeScheduleWithdrawn { .. }
        | TournamentEvent::TournamentReopened { .. }
        | TournamentEvent::PrizeDeferred { .. }
        | TournamentEvent::TournamentClosed { .. }
        | TournamentEvent::TournamentCancelled { .. } => Vec::new(),
    })
}

fn deposit(event: &DepositEvent) -> Vec<Posting> {
    const IN: Account = Account::External(External::Deposits);
    match event {
        DepositEvent::DepositCredited { player, amount, dust, .. } => {
            let mut postings = vec![moved(IN, Account::Withdrawable(player.clone()), *amount)];
            if !dust.is_zero() {
                postings.push(moved(IN, Account::Dust, *dust));
            }
            postings
        }
        DepositEvent::DepositDebited { player, amount, dust, .. } => {
            let mut postings = vec![moved(Account::Withdrawable(player.clone()), IN, *amount)];
            if !dust.is_zero() {
                postings.push(moved(Account::Dust, IN, *dust));
            }
            postings
        }
        DepositEvent::DepositDustRecorded { value } | DepositEvent::DepositQuarantined { value, .. } => {
            vec![moved(IN, Account::Suspense, *value)]
        }
        DepositEvent::SuspenseReversed { value, .. } => vec![moved(Account::Suspense, IN, *value)],
        DepositEvent::AttributionCorrected { from, to, amount, .. } => {
            vec![moved(Account::Withdrawable(from.clone()), Account::Withdrawable(to.clone()), *amount)]
        }
        DepositEvent::QuarantineReleased { player, amount, dust, .. } => {
            let mut postings = vec![moved(Account::Suspense, Account::Withdrawable(player.clone()), *amount)];
            if !dust.is_zero() {
                postings.push(moved(Account::Suspense, Account::Dust, *dust));
            }
            postings
        }
        DepositEvent::DepositObserved { .. }
        | DepositEvent::DepositReplaced { .. }
        | DepositEvent::DepositAttributed { .. }
        | DepositEvent::DepositReorged { .. }
        | DepositEvent::DepositRejected { .. }
        | DepositEvent::CreditImported { .. } => Vec::new(),
    }
}

fn withdrawal(stream: &StreamId, event: &WithdrawalEvent, state: &State) -> Result<Vec<Posting>, Rejection> {
    let in_flight = || subject(stream, |id| WithdrawalId::new(id).ok()).map(Account::InFlight);
    Ok(match event {
        WithdrawalEvent::FundsHeld { player, net, pool_share, burn_share, .. } => {
            let from = || Account::Withdrawable(player.clone());
            vec![
                moved(from(), in_flight()?, *net),
                moved(from(), Account::Pool, *pool_share),
                moved(from(), Account::BurnQueue, *burn_share),
            ]
        }
        WithdrawalEvent::HoldReleased { player, net, pool_share, burn_share, .. } => {
            let to = || Account::Withdrawable(player.clone());
            let bears = if state.burns.is_burned(stream.subject()) { Account::Pool } else { Account::BurnQueue };
            vec![
                moved(in_flight()?, to(), *net),
                moved(Account::Pool, to(), *pool_share),
                moved(bears, to(), *burn_share),
            ]
        }
        WithdrawalEvent::WithdrawalSettled { net, .. } => {
            vec![moved(in_flight()?, Account::External(External::Withdrawn), *net)]
        }
        WithdrawalEvent::WithdrawalImported { net, standing: ImportedWithdrawal::InDoubt, .. } => {
            vec![moved(IMPORTED, in_flight()?, *net)]
        }
        WithdrawalEvent::WithdrawalRequested { .. }
        | WithdrawalEvent::WithdrawalImported { .. }
        | WithdrawalEvent::TxSigned { .. }
        | WithdrawalEvent::TxBroadcast { .. }
        | WithdrawalEvent::TxMined { .. }
        | WithdrawalEvent::TxReverted { .. }
        | WithdrawalEvent::TxReplaced { .. }
        | WithdrawalEvent::WithdrawalFailed { .. }
        | WithdrawalEvent::RebroadcastRequested { .. }
        | WithdrawalEvent::BumpRequested { .. }
        | WithdrawalEvent::FenceRequested { .. }
        | WithdrawalEvent::WithdrawalFenced { .. } => Vec::new(),
    })
}

fn chain(event: &ChainEvent) -> Vec<Posting> {
    const UNEXPLAINED: Account = Account::External(External::Unexplained);
    match event {
        ChainEvent::HoldingsAdjusted { amount, .. } => vec![moved(UNEXPLAINED, Account::Suspense, *amount)],
        ChainEvent::HoldingsAdjustmentReversed { amount, .. } => vec![moved(Account::Suspense, UNEXPLAINED, *amount)],
        ChainEvent::ChainPolicyDeclared { .. }
        | ChainEvent::TransactionLooked { .. }
        | ChainEvent::SlotLooked { .. }
        | ChainEvent::WalletScanned { .. }
        | ChainEvent::HoldingsLooked { .. }
        | ChainEvent::BankConfirmed { .. }
        | ChainEvent::FinalityViolation { .. }
        | ChainEvent::TransferExplained { .. }
        | ChainEvent::FinalityRestored { .. }
        | ChainEvent::DoublePayment { .. }
        | ChainEvent::ReconciliationDrift { .. } => Vec::new(),
    }
}

fn pool(event: &PoolEvent) -> Vec<Posting> {
    const TREASURY: Account = Account::External(External::Contributed);
    match event {
        PoolEvent::PoolContributed { amount, .. } => vec![moved(TREASURY, Account::Pool, *amount)],
        PoolEvent::PoolImported { balance, .. } => vec![moved(IMPORTED, Account::Pool, *balance)],
        PoolEvent::PoolAdjusted { direction, amount, .. } => vec![match direction {
            Adjustment::ToSuspense => moved(Account::Pool, Account::Suspense, *amount),
            Adjustment::FromSuspense => moved(Account::Suspense, Account::Pool, *amount),
            Adjustment::FromTreasury => moved(TREASURY, Account::Pool, *amount),
        }],
        PoolEvent::PoolStated { .. } | PoolEvent::PoolReconciled { .. } | PoolEvent::PoolShortfallFound { .. } => {
            Vec::new()
        }
    }
}
