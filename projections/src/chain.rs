//! The newest that was seen of the chain, by subject, and the rules it is judged by. Keeps evidence, not verdicts:
//! those are computed from it (`verdict`), so a better table judges old evidence anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wox_events::{
    ChainEvent, PlayerId, Recorded, Timestamp, TxHash, WithdrawalId,
    chain::{HoldingsAnswer, ScanAnswer, SlotAnswer, TransactionAnswer},
    id::Label,
};

use crate::{
    Table,
    projection::{EventRef, Projection, Rejection},
    verdict::{
        deposit::{self, Before, DepositVerdict},
        quorum::Policy,
        withdrawal::{self, Payment, WithdrawalVerdict},
    },
};

/// What is known of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The rules, by chain id.
    policies: BTreeMap<u64, Policy>,
    /// The newest look at each transaction, by the subject of its stream.
    transactions: Table<String, Look<TransactionAnswer>>,
    /// The newest look at each slot, by the subject of its stream.
    slots: Table<String, Look<SlotAnswer>>,
    /// The newest scan of each wallet, by the subject of its stream.
    scans: Table<String, Look<ScanAnswer>>,
    /// The newest look at what is held, by chain id and token.
    holdings: Table<String, Look<HoldingsAnswer>>,
    /// What the bank's bot confirmed, by transaction.
    confirmations: Table<TxHash, Confirmation>,
    /// Deposits whose final block went away, by stream.
    violations: Table<String, EventRef>,
    /// Withdrawals that were given back and paid.
    double_payments: Table<WithdrawalId, EventRef>,
    /// Differences between ledger and chain, newest by token.
    drifts: Table<String, EventRef>,
}

/// One look at one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look<T> {
    /// Chain id.
    pub chain: u64,
    /// The transaction, wallet or token that was looked at.
    pub subject: Label,
    /// The slot, the first slot, or the block; 0 for a transaction.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What each source said.
    pub answers: Vec<T>,
    /// The event.
    pub event: EventRef,
}

/// A transfer that the bank's bot confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The player who had asked for it.
    pub player: PlayerId,
    /// The bot's post.
    pub post: Label,
}

impl Chain {
    /// The rules of a chain, once declared.
    #[must_use]
    pub fn policy(&self, chain: u64) -> Option<&Policy> {
        self.policies.get(&chain)
    }

    /// Every chain with rules.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values()
    }

    /// The newest looks at transactions, in the order they were first looked at.
    pub fn transactions(&self) -> impl Iterator<Item = &Look<TransactionAnswer>> {
        self.transactions.values()
    }

    /// The newest look at a slot.
    #[must_use]
    pub fn slot(&self, chain: u64, wallet: &Label, nonce: u64) -> Option<&Look<SlotAnswer>> {
        self.slots.get(&format!("{chain}:slot:{wallet}:{nonce}"))
    }

    /// What the bank's bot confirmed of a transaction.
    #[must_use]
    pub fn confirmation(&self, tx: &TxHash) -> Option<&Confirmation> {
        self.confirmations.get(tx)
    }

    /// True once the alarm of a double payment is recorded.
    #[must_use]
    pub fn is_double_payment_known(&self, withdrawal: &WithdrawalId) -> bool {
        self.double_payments.contains_key(withdrawal)
    }

    /// True once the alarm of a finality violation is recorded for a deposit's stream.
    #[must_use]
    pub fn is_violation_known(&self, deposit: &str) -> bool {
        self.violations.contains_key(deposit)
    }

    /// The verdict over the newest look at a transaction.
    #[must_use]
    pub fn deposit_verdict(&self, look: &Look<TransactionAnswer>, before: &Before) -> DepositVerdict {
        match self.policy(look.chain) {
            Some(policy) => deposit::verdict(policy, look.at, &look.answers, before),
            None => DepositVerdict::Unknown { why: format!("no rules are declared for chain {}", look.chain) },
        }
    }

    /// The verdict over the newest look at a payment's slot; `None` when nobody has looked.
    #[must_use]
    pub fn payment_verdict(&self, payment: &Payment) -> Option<(WithdrawalVerdict, &Look<SlotAnswer>)> {
        self.policies.values().find_map(|policy| {
            let look = self.slot(policy.chain, &payment.wallet, payment.nonce)?;
            Some((withdrawal::verdict(policy, look.at, &look.answers, payment), look))
        })
    }
}

impl Projection for Chain {
    type Event = ChainEvent;
    const NAME: &'static str = "chain";

    fn check(&self, at: &Recorded, event: &ChainEvent) -> Result<(), Rejection> {
        let subject = at.stream.subject();
        let same = |expected: String| Rejection::same("stream", &expected.as_str(), &subject);
        match event {
            ChainEvent::ChainPolicyDeclared { chain, quorum, .. } => {
                same(chain.to_string())?;
                if *quorum == 0 {
                    return Err(Rejection::state("the quorum", "0", "1 or more"));
                }
                match self.policies.get(chain) {
                    Some(known) if known.genesis.as_str() != genesis(event) => {
                        Rejection::same("genesis", &known.genesis.as_str(), &genesis(event))
                    }
                    _ => Ok(()),
                }
            }
            ChainEvent::TransactionLooked { chain, tx, .. } => same(format!("{chain}:tx:{tx}")),
            ChainEvent::SlotLooked { chain, wallet, nonce, .. } => same(format!("{chain}:slot:{wallet}:{nonce}")),
            ChainEvent::WalletScanned { chain, wallet, .. } => same(format!("{chain}:wallet:{wallet}")),
            ChainEvent::HoldingsLooked { chain, .. } => same(chain.to_string()),
            ChainEvent::BankConfirmed { tx, player, .. } => match self.confirmations.get(tx) {
                Some(known) => Rejection::same("player", &known.player, player),
                None => Ok(()),
            },
            ChainEvent::FinalityViolation { .. }
            | ChainEvent::DoublePayment { .. }
            | ChainEvent::ReconciliationDrift { .. } => Ok(()),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &ChainEvent) {
        let (subject, here) = (at.stream.subject().to_owned(), EventRef::of(at));
        match event {
            ChainEvent::ChainPolicyDeclared {
                chain,
                genesis,
                quorum,
                sources,
                tokens,
                watched,
                wallets,
                minimum,
                finalized_age_max,
                journaled,
            } => {
                let policy = Policy {
                    chain: *chain,
                    genesis: genesis.clone(),
                    quorum: *quorum,
                    sources: sources.clone(),
                    tokens: tokens.clone(),
                    watched: watched.clone(),
                    wallets: wallets.clone(),
                    minimum: *minimum,
                    finalized_age_max: *finalized_age_max,
                    journaled: *journaled,
                };
                self.policies.insert(*chain, policy);
            }
            ChainEvent::TransactionLooked { chain, tx, at: asked, answers } => {
                let look = look(*chain, tx.as_str(), 0, *asked, answers, here);
                self.transactions.insert(subject, look);
            }
            ChainEvent::SlotLooked { chain, wallet, nonce, at: asked, answers } => {
                self.slots.insert(subject, look(*chain, wallet.as_str(), *nonce, *asked, answers, here));
            }
            ChainEvent::WalletScanned { chain, wallet, from_nonce, at: asked, answers } => {
                self.scans.insert(subject, look(*chain, wallet.as_str(), *from_nonce, *asked, answers, here));
            }
            ChainEvent::HoldingsLooked { chain, token, block, at: asked, answers } => {
                let key = format!("{chain}:{token}");
                self.holdings.insert(key, look(*chain, token.as_str(), *block, *asked, answers, here));
            }
            ChainEvent::BankConfirmed { tx, player, post } => {
                let confirmation = Confirmation { player: player.clone(), post: post.clone() };
                self.confirmations.insert(tx.clone(), confirmation);
            }
            ChainEvent::FinalityViolation { deposit, .. } => {
                self.violations.insert(deposit.to_string(), here);
            }
            ChainEvent::DoublePayment { withdrawal, .. } => {
                self.double_payments.insert(withdrawal.clone(), here);
            }
            ChainEvent::ReconciliationDrift { token, .. } => {
                self.drifts.insert(token.to_string(), here);
            }
        }
    }
}

fn look<T: Clone>(chain: u64, subject: &str, number: u64, at: Timestamp, answers: &[T], event: EventRef) -> Look<T> {
    let subject = Label::new(subject).expect("it was an identity in the event");
    Look { chain, subject, number, at, answers: answers.to_vec(), event }
}

fn genesis(event: &ChainEvent) -> &str {
    match event {
        ChainEvent::ChainPolicyDeclared { genesis, .. } => genesis.as_str(),
        _ => "",
    }
}
