//! Money that is ours by the chain's final word and on nobody's balance (row R12, D1): observed, attributed and credited,
//! once for each log. Whose it is follows from a bound wallet, the bank's post or an earlier attribution, never from
//! whoever names a hash; where they disagree or say nothing the money waits in suspense. What one of our own addresses sent
//! another changes nothing that we hold: it books nothing before the bank or a person says whose it is.

use wox_events::{
    DepositEvent, EventId, Label, PlayerId, StreamId, TxHash,
    chain::BlockId,
    deposit::{Finality, ImportedCredit},
};
use wox_projections::{
    EventRef,
    chain::{Confirmation, Judged, judged},
    credits::{BY_OPERATOR, CLAIMS_DISAGREE, Owner},
    deposits::{Deposit, DepositPhase, Imported},
    verdict::{DepositVerdict, quorum::Transfer},
};

use super::super::{Procedure, Steps, as_incident, hold, stopped, stream};
use crate::{
    command::{word, wox},
    recovery::{Case, Evidence, Finding, Repair, Severity},
};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "uncredited_deposit", row: "R12", finds: "money that came in and is on no balance", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let confirmed = judged(&evidence.replay.state);
    confirmed.iter().flat_map(|judged| cases(evidence, judged, None)).collect()
}

/// What an operator decides: a deposit is this player's. Only for money that the chain's final word says is ours.
#[must_use]
pub fn attributed_by_operator(evidence: &Evidence, deposit: &StreamId, player: &PlayerId) -> Vec<Case> {
    let confirmed = judged(&evidence.replay.state);
    let all = confirmed.iter().flat_map(|judged| cases(evidence, judged, Some((deposit, player))));
    all.filter(|case| case.finding.subject == *deposit).collect()
}

/// A decision that a deposit belongs to a player.
type Decided<'a> = Option<(&'a StreamId, &'a PlayerId)>;

fn cases(evidence: &Evidence, judged: &Judged<'_>, decided: Decided<'_>) -> Vec<Case> {
    let DepositVerdict::Confirmed { block, transfers } = &judged.verdict else { return Vec::new() };
    let chain = judged.look.chain;
    // Dealt with before the game's tables were taken over: no log of it is booked again.
    let before = evidence.replay.state.deposits.imported(&format!("{chain}:{}", judged.look.subject));
    if let Some(imported) = before.filter(|imported| imported.may_be_credited()) {
        return dealt_with_before(judged, transfers, imported).into_iter().collect();
    }
    let case = |transfer: &Transfer| {
        let subject = format!("{chain}:{}:{}", judged.look.subject, transfer.ordinal);
        let named = |deposit: &Deposit| deposit.reference.as_deref() == Some(subject.as_str());
        let mut known = judged.deposits.iter().filter(|(stream, deposit)| *stream == subject || named(deposit));
        // One log may stand under two names: that which is booked is the deposit.
        let known = known.clone().find(|(_, deposit)| deposit.is_booked()).or_else(|| known.next());
        let stream = stream("deposit", known.map_or(subject.as_str(), |(stream, _)| *stream));
        let known = known.map(|(_, deposit)| *deposit);
        Came { evidence, judged, transfer, block, stream, known }.case(decided)
    };
    transfers.iter().filter_map(case).collect()
}

/// Money of a transaction that the game's tables say was dealt with. When they say the same amount as the chain, all of it
/// is in the imported balances; else only people can tell which of its logs the game counted.
fn dealt_with_before(judged: &Judged<'_>, transfers: &[Transfer], imported: &Imported) -> Option<Case> {
    let came = wox_events::Amount::checked_sum(transfers.iter().map(|transfer| transfer.value))?;
    if imported.standing == ImportedCredit::Credited && imported.is_worth(came) {
        return None;
    }
    let said = match imported.standing {
        ImportedCredit::Unknown => "had not finished with it".to_owned(),
        _ => format!("counted {} G of it", imported.value),
    };
    let finding = Finding {
        severity: Severity::High,
        since: Some(judged.look.event.clone()),
        outcome_unknown: imported.standing == ImportedCredit::Unknown,
        ..PROCEDURE.finding(
            "WOX-BANK-VERIFY-002",
            &imported.event.stream,
            format!("transaction {} brought {came} G; the game {said} before it was imported", judged.look.subject),
        )
    };
    let repair = hold(
        "its money may be in the imported balances, and no table says which of its logs the game counted",
        "ask the game's own records and the player; two people decide",
    );
    Some(Case { finding, repair })
}

/// One transfer that came in for good.
struct Came<'a> {
    evidence: &'a Evidence,
    judged: &'a Judged<'a>,
    transfer: &'a Transfer,
    block: &'a BlockId,
    stream: StreamId,
    known: Option<&'a Deposit>,
}

impl Came<'_> {
    fn case(self, decided: Decided<'_>) -> Option<Case> {
        // What was taken back because its block had gone away, and is final again, came after all; otherwise people decide.
        let again = |deposit: &Deposit| {
            let gone = deposit.undone.is_some_and(|(_, gone)| gone);
            deposit.phase == DepositPhase::Debited && !deposit.is_booked() && (gone || decided.is_some())
        };
        let phase = match self.known {
            Some(deposit) if again(deposit) && !self.stands_elsewhere(deposit) => Some(DepositPhase::Attributed),
            known => known.map(|deposit| deposit.phase),
        };
        let owner = match decided {
            Some((stream, player)) if *stream == self.stream => Owner::Player(player.clone(), BY_OPERATOR),
            _ => self.owner(),
        };
        let value = self.transfer.value;
        let by_operator = matches!(&owner, Owner::Player(_, BY_OPERATOR));
        let open = !self.known.is_some_and(Deposit::is_booked) && phase != Some(DepositPhase::Debited);
        let explained = self.explained();
        if open && !by_operator && self.is_within() && (explained.is_some() || matches!(owner, Owner::Nobody(_))) {
            return self.moved_within(&owner, explained);
        }
        let (what, repair) = match phase {
            Some(DepositPhase::Credited | DepositPhase::Debited) => {
                let Some((_, player)) = decided.filter(|(stream, _)| **stream == self.stream) else {
                    return self.credited_by_one_of_the_posts();
                };
                let mut credits = self.known?.credits.iter();
                match credits.find(|credit| !credit.debited && credit.duplicate_of.is_none()) {
                    Some(credit) if credit.player == *player => return None,
                    Some(credit) if self.is_proven(&credit.player) => {
                        let why = format!("its sender or the bank says that it is player {}'s", credit.player);
                        let next = format!(
                            "wox explain player {} shows it; where that is wrong, unbind the wallet or ask the bank first",
                            word(&credit.player)
                        );
                        ("was dealt with before", hold(why, next))
                    }
                    Some(credit) => {
                        let repair = super::moved_to(self.evidence, &self.stream, (credit, value), player);
                        ("was credited to another", repair)
                    }
                    None => {
                        let next = format!("{} has its events", wox(["show", self.stream.as_str()]));
                        ("was dealt with before", hold("it was credited and taken back", next))
                    }
                }
            }
            Some(DepositPhase::Quarantined | DepositPhase::Dust) => match owner {
                // Dust is too little to credit, whoever sent it, until a person says otherwise.
                Owner::Nobody(_) => return None,
                Owner::Player(..) if phase == Some(DepositPhase::Dust) && !by_operator => return None,
                // Kept with another amount than came: that is put right first (`misbooked_deposit`).
                Owner::Player(..) if !by_operator && self.known.is_some_and(|known| known.value != Some(value)) => {
                    return None;
                }
                Owner::Player(player, method) => {
                    ("is in suspense, and is now known to be theirs", self.release(&player, method))
                }
            },
            Some(DepositPhase::Rejected) if by_operator => {
                ("was refused, and is theirs by a decision", self.book(owner, by_operator))
            }
            Some(DepositPhase::Rejected) => {
                let next = format!(
                    "look at why it was refused ({}); where it is a player's all the same: wox recover deposit {} --player ID \
                     --why REASON",
                    wox(["show", self.stream.as_str()]),
                    word(self.judged.look.subject.as_str())
                );
                ("was refused, and the chain says it came", hold("somebody refused it for a reason", next))
            }
            Some(
                DepositPhase::Observed | DepositPhase::Attributed | DepositPhase::Reorged | DepositPhase::Replaced,
            )
            | None => ("is on nobody's balance", self.book(owner, by_operator)),
        };
        let finding = self.finding(Severity::High, &format!("{value} G from {}", self.transfer.from), what);
        let books = matches!(repair, Repair::Compensate { .. });
        let repair = if books { self.contradicted().or(stopped(self.evidence)).unwrap_or(repair) } else { repair };
        Some(Case { finding, repair })
    }

    fn finding(&self, severity: Severity, came: &str, what: &str) -> Finding {
        Finding {
            severity,
            since: Some(self.judged.look.event.clone()),
            ..PROCEDURE.finding(
                "WOX-BANK-VERIFY-002",
                &self.stream,
                format!(
                    "{came} came in block {} (final, D1) and {what}: transaction {}, log {}",
                    self.block.number, self.judged.look.subject, self.transfer.ordinal,
                ),
            )
        }
    }

    fn tx(&self) -> Option<TxHash> {
        TxHash::new(self.judged.look.subject.as_str()).ok()
    }

    /// What the bank's bot said of it.
    fn posts(&self) -> Option<&Confirmation> {
        self.evidence.replay.state.chain.confirmation(&self.tx()?)
    }

    /// Credited before the bank said that it is another player's: who decided since knew both.
    fn credited_by_one_of_the_posts(&self) -> Option<Case> {
        let posts = self.posts()?;
        let since = posts.others.first()?.event.position;
        let mut credits = self.known?.credits.iter();
        let credit = credits.find(|credit| !credit.debited && credit.event.position < since)?;
        let others = posts.others.iter().map(|other| (&other.player, &other.post));
        let named: Vec<String> = std::iter::once((&posts.player, &posts.post))
            .chain(others)
            .map(|(player, post)| format!("{player} ({post})"))
            .collect();
        let what = format!("was credited to player {}, and the bank's posts disagree whose it is", credit.player);
        let came = format!("{} G from {}", self.transfer.value, self.transfer.from);
        let repair = hold(
            format!("the bank names {}", named.join(" and ")),
            format!("ask the bank whose it is and agree with both, then {}", as_incident(&self.stream)),
        );
        Some(Case { finding: self.finding(Severity::High, &came, &what), repair })
    }

    /// Whether its log is credited under another name.
    fn stands_elsewhere(&self, deposit: &Deposit) -> bool {
        let named = deposit.reference.as_deref();
        named.is_some_and(|named| self.evidence.replay.state.deposits.standing_credit(named).is_some())
    }

    /// Whether one of our own addresses sent it.
    fn is_within(&self) -> bool {
        self.evidence.replay.state.chain.is_ours(&self.transfer.from)
    }

    /// The event by which two people said what it was.
    fn explained(&self) -> Option<&EventRef> {
        self.evidence.replay.state.chain.outgoing().explained(&self.tx()?)
    }

    /// A move between our own addresses: it may be a deposit that the bank passed on, or nothing at all. `None` where two
    /// people have said what it was, or the game refused it, and the bank says nothing else.
    fn moved_within(&self, owner: &Owner, explained: Option<&EventRef>) -> Option<Case> {
        let tx = word(self.judged.look.subject.as_str());
        let refused = self.known.is_some_and(|deposit| deposit.phase == DepositPhase::Rejected);
        if (explained.is_some() || refused) && self.posts().is_none() {
            return None;
        }
        let decide = format!("wox recover deposit {tx} --player ID --why REASON");
        let (why, next) = match explained {
            Some(event) => (
                format!("two people said what it was ({event}), and the bank says that it is a player's"),
                format!("where it is a deposit: {decide}; else {}", as_incident(&self.stream)),
            ),
            None => {
                let disagree = matches!(owner, Owner::Nobody(CLAIMS_DISAGREE));
                let but = if disagree { ", and what is said of whose it is disagrees" } else { "" };
                (
                    format!("a move between our own addresses changes nothing that we hold and books nothing{but}"),
                    format!(
                        "where the bank passed on a deposit, have its BankConfirmed appended, or decide whose it is: {decide}; \
                         else two people say what it was: wox recover transfer {tx} --second NAME --why WHAT-IT-WAS"
                    ),
                )
            }
        };
        let came = format!("{} G from our own address {}", self.transfer.value, self.transfer.from);
        let finding = self.finding(Severity::Medium, &came, "is nobody's deposit by itself");
        Some(Case { finding, repair: hold(why, next) })
    }

    /// Why nothing is booked though the chain says that it came: something about the same transaction may say that the game
    /// booked it already.
    fn contradicted(&self) -> Option<Repair> {
        let tx = self.judged.look.subject.as_str();
        if let Some(event) = self.evidence.replay.unseen_deposit(tx) {
            return Some(hold(
                format!("{event} is about the same transaction and is not in the state: it may be the credit"),
                format!("wox show {} shows it; the version of wox that wrote it can fold it", event.position),
            ));
        }
        let DepositVerdict::Confirmed { transfers, .. } = &self.judged.verdict else { return None };
        let shown = |named: &str| transfers.iter().any(|came| named.ends_with(&format!(":{}", came.ordinal)));
        let credited = |deposit: &Deposit| deposit.credits.iter().any(|credit| !credit.debited);
        let mut others = self.judged.deposits.iter().filter(|(_, deposit)| credited(deposit));
        let (name, _) = others.find(|(name, deposit)| !shown(deposit.reference.as_deref().unwrap_or(name)))?;
        Some(hold(
            format!(
                "deposit {name} of the same transaction is credited, and the chain shows no such money: it may be this"
            ),
            format!("decide that one first: {}", wox(["recover", "deposit", *name])),
        ))
    }

    fn owner(&self) -> Owner {
        match self.tx() {
            Some(tx) => self.evidence.replay.state.owner(&self.transfer.from, &tx, self.known),
            None => Owner::Nobody("no-binding"),
        }
    }

    /// Whether a bound wallet or the bank, and not just an earlier decision, says that it is a player's.
    fn is_proven(&self, player: &PlayerId) -> bool {
        matches!(self.owner(), Owner::Player(owner, "bound-wallet" | "bank-post") if owner == *player)
    }

    /// What every id of these steps follows from: the deposit itself, so that it is booked once for ever; once it was taken
    /// back, what did that.
    fn cause(&self) -> EventId {
        let undone = self.known.and_then(|deposit| deposit.undone).map(|(event, _)| event);
        undone.unwrap_or_else(|| EventId::derived(&["wox/deposit", self.stream.as_str()]))
    }

    fn book(&self, owner: Owner, by_operator: bool) -> Repair {
        let value = self.transfer.value;
        let mut steps = Steps::on(self.evidence, self.stream.clone());
        let seen = self.known.is_some_and(|deposit| {
            deposit.phase != DepositPhase::Rejected
                && deposit.finality == Some(Finality::Finalized)
                && deposit.block.as_ref() == Some(self.block)
                && deposit.value == Some(value)
        });
        if !seen {
            let Some(observed) = super::observed(self.evidence, self.judged, self.transfer, self.block) else {
                return hold(
                    "no source's answer has the receipt any more",
                    "have the chain looked at again: wox observe",
                );
            };
            let says = format!("observe {value} G to {} in final block {}", self.transfer.to, self.block.number);
            let undone = self.known.and_then(|deposit| deposit.undone).map(|(event, _)| event.to_string());
            steps = steps.add(self.judged.look.event.id, &undone.unwrap_or_default(), observed, says);
        }
        let policy = self.evidence.replay.state.chain.policy(self.judged.look.chain);
        if policy.is_some_and(|policy| value < policy.minimum) && !by_operator {
            let dust = DepositEvent::DepositDustRecorded { value };
            let says = format!("keep {value} G in suspense: below the minimum");
            return steps.add(self.cause(), "", dust, says).repair();
        }
        match owner {
            Owner::Nobody(reason) => {
                let label = Label::new(reason).expect("an identity");
                let kept = DepositEvent::DepositQuarantined { value, reason: label };
                steps.add(self.cause(), "", kept, format!("keep {value} G in suspense: {reason}")).repair()
            }
            Owner::Player(player, method) => {
                let known = self.known.is_some_and(|deposit| deposit.player.as_ref() == Some(&player));
                if !known {
                    let attributed = DepositEvent::DepositAttributed {
                        player: player.clone(),
                        method: Label::new(method).expect("an identity"),
                    };
                    steps = steps.add(self.cause(), "", attributed, format!("it is player {player}'s: {method}"));
                }
                let (amount, dust) = value.split_dust();
                let Some(tx) = self.tx() else {
                    return hold("its transaction has no hash", "report this as a defect");
                };
                let credited = DepositEvent::DepositCredited {
                    chain: self.judged.look.chain,
                    tx,
                    ordinal: self.transfer.ordinal,
                    player: player.clone(),
                    amount,
                    dust,
                };
                let says = format!("credit {amount} G to player {player}, withdrawable");
                steps.add(self.cause(), "", credited, says).repair()
            }
        }
    }

    fn release(&self, player: &PlayerId, method: &str) -> Repair {
        let Some(corrects) = self.known.and_then(|deposit| deposit.suspended) else {
            return hold("nobody knows which event put it into suspense", "report this as a defect");
        };
        let (amount, dust) = self.transfer.value.split_dust();
        let released = DepositEvent::QuarantineReleased {
            player: player.clone(),
            amount,
            dust,
            method: Label::new(method).expect("an identity"),
            corrects,
        };
        let says = format!("release {amount} G from suspense to player {player}, withdrawable: {method}");
        Steps::on(self.evidence, self.stream.clone()).add(corrects, "", released, says).repair()
    }
}
