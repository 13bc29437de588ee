//! All folds side by side, the order in which they judge and change, and the digest of the whole.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wox_events::{
    Amount, BurnEvent, ChainEvent, CommandEvent, Digest, DuelEvent, Event, PlayerEvent, PlayerId, Provenance, Recorded,
    TournamentEvent, TxHash, WithdrawalEvent,
    chain::{HoldingsAnswer, Intent},
    id::Label,
    withdrawal::ReversalProof,
};

use crate::{
    agents::Agents,
    burns::{BurnPhase, Burns},
    chain::{Chain, Look, differs},
    commands::Commands,
    deposits::Deposits,
    due::Due,
    duels::Duels,
    explained::{is_used_up, paid_for, unexplained},
    ledger::{Drift, Ledger, Posting},
    ops::Ops,
    outbox::Outbox,
    players::Players,
    pool::Pool,
    postings::postings,
    projection::{EventRef, Projection, Rejection},
    recoveries::Recoveries,
    tournaments::Tournaments,
    verdict::withdrawal::Payment,
    withdrawals::{Withdrawal, Withdrawals},
};

/// Every projection, at one position of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Who plays.
    pub players: Players,
    /// Duels.
    pub duels: Duels,
    /// Tournaments.
    pub tournaments: Tournaments,
    /// Deposits.
    pub deposits: Deposits,
    /// Withdrawals.
    pub withdrawals: Withdrawals,
    /// Burns.
    pub burns: Burns,
    /// The pool as the game states it.
    pub pool: Pool,
    /// Where the money is.
    pub ledger: Ledger,
    /// When the game was away.
    pub agents: Agents,
    /// What players asked for.
    pub commands: Commands,
    /// What recovery did.
    pub recoveries: Recoveries,
    /// What operators did.
    pub ops: Ops,
    /// What people are to be told.
    pub outbox: Outbox,
    /// What was seen of the chain.
    pub chain: Chain,
    /// Whether the ledger holds what the facts say it should, and since when not.
    pub conservation: Conservation,
}

/// The watch over conservation: every event at which the drift changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conservation {
    /// What the ledger holds beyond what the facts account for, now.
    pub drift: Drift,
    /// Every change of it, in order.
    pub changes: Vec<DriftChange>,
}

/// An event at which conservation broke or was mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftChange {
    /// The event.
    pub event: EventRef,
    /// The drift after it.
    pub drift: Drift,
}

/// The proof that an event was judged: what it moves. Only [`State::check`] makes one, only [`State::evolve`] takes it.
#[derive(Debug)]
pub struct Accepted(Vec<Posting>);

impl State {
    /// The names of the projections, in the order of their digests.
    pub const PROJECTIONS: [&'static str; 15] = [
        Players::NAME,
        Duels::NAME,
        Tournaments::NAME,
        Deposits::NAME,
        Withdrawals::NAME,
        Burns::NAME,
        Pool::NAME,
        "ledger",
        Agents::NAME,
        Commands::NAME,
        Recoveries::NAME,
        Ops::NAME,
        Outbox::NAME,
        Chain::NAME,
        "conservation",
    ];

    /// Judges an event: its time, then its family's fold, then the money it moves. Changes nothing.
    pub fn check(&self, at: &Recorded) -> Result<Accepted, Rejection> {
        let event = at.event.as_ref().map_err(|error| Rejection::Unreadable(error.clone()))?;
        if !at.time.can_be() {
            return Err(Rejection::Untimely { time: at.time });
        }
        match event {
            Event::Player(event) => self.players.check(at, event)?,
            Event::Duel(event) => self.duels.check(at, event)?,
            Event::Tournament(event) => self.tournaments.check(at, event)?,
            Event::Deposit(event) => {
                self.deposits.check(at, event)?;
                // What the game booked is a fact; what a recovery books has to be borne out by what was seen.
                if at.provenance == Provenance::Recovery {
                    self.deposits.check_imported(at, event)?;
                    let id = at.stream.subject();
                    self.chain.check_deposit(id, event, self.deposits.get(id))?;
                    self.check_owner(at, event)?;
                    self.check_taken_back(at, event)?;
                }
            }
            Event::Withdrawal(event) => {
                self.withdrawals.check(at, event)?;
                self.check_withdrawal(at, event)?;
            }
            Event::Burn(event) => {
                self.burns.check(at, event)?;
                self.check_burn(at, event)?;
            }
            Event::Pool(event) => self.pool.check(at, event)?,
            Event::Agent(event) => self.agents.check(at, event)?,
            Event::Command(event) => self.commands.check(at, event)?,
            Event::Recovery(event) => self.recoveries.check(at, event)?,
            Event::Ops(event) => {
                self.ops.check(at, event)?;
                self.outbox.check(at, event)?;
            }
            Event::Chain(event) => {
                self.chain.check(at, event)?;
                self.check_explained(event)?;
                self.check_restored(at, event)?;
            }
        }
        let postings = postings(&at.stream, event, self)?;
        if !postings.is_empty() {
            let created = PlayerEvent::creates_player;
            self.ledger.check(&postings, matches!(event, Event::Player(event) if created(event)))?;
        }
        Ok(Accepted(postings))
    }

    /// Holds what becomes of a withdrawal against what was seen of the chain: a reversal whoever writes it, the rest where
    /// a recovery does.
    fn check_withdrawal(&self, at: &Recorded, event: &WithdrawalEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        let what = format!("withdrawal {id}");
        let Some(withdrawal) = self.withdrawals.get(id) else { return Ok(()) };
        if let WithdrawalEvent::HoldReleased { proof, .. } = event {
            self.burns.check_reversal(id, proof)?;
            self.check_reversal(id, withdrawal, proof)?;
        }
        if at.provenance != Provenance::Recovery {
            return Ok(());
        }
        let slot = |wallet: &Label, nonce: u64| withdrawal.payment(wallet, nonce);
        match event {
            WithdrawalEvent::HoldReleased { .. } => self.chain.check_standing(&what, "proven dead on chain"),
            WithdrawalEvent::WithdrawalSettled { tx, .. } => {
                self.check_unused(&what, Due::withdrawal(id, withdrawal), tx)?;
                self.chain.check_paid(&what, tx, self.withdrawal_verdict(id, withdrawal))
            }
            WithdrawalEvent::RebroadcastRequested { wallet, nonce, .. } => {
                self.check_intent(&what, Due::withdrawal(id, withdrawal), slot(wallet, *nonce), Intent::Rebroadcast)
            }
            WithdrawalEvent::BumpRequested { wallet, nonce, .. } => {
                self.check_intent(&what, Due::withdrawal(id, withdrawal), slot(wallet, *nonce), Intent::Bump)
            }
            WithdrawalEvent::FenceRequested { wallet, nonce, .. } => {
                self.check_intent(&what, Due::withdrawal(id, withdrawal), slot(wallet, *nonce), Intent::Fence)
            }
            _ => Ok(()),
        }
    }

    /// Whether what a signer is asked for can still help, and pays nothing that is paid otherwise or may be.
    fn check_intent(
        &self,
        what: &str,
        due: Option<Due<'_>>,
        slot: Option<&Payment>,
        intent: Intent,
    ) -> Result<(), Rejection> {
        if let (Some(due), Some(slot), Intent::Rebroadcast | Intent::Bump) = (&due, slot, intent)
            && let Some(is) = self.paid_otherwise(due, slot)
        {
            return Err(Rejection::state(what, is, "to be paid from this slot alone"));
        }
        let own = due.as_ref().zip(slot).map(|(due, slot)| self.own_of(due, slot));
        self.chain.check_intent(what, own.as_ref(), intent)
    }

    /// Whether a reversal is borne out by what was seen of the chain (law 2). Where no chain was ever declared, only the
    /// withdrawal's own stream can speak, and it is asked elsewhere.
    fn check_reversal(&self, id: &str, withdrawal: &Withdrawal, proof: &ReversalProof) -> Result<(), Rejection> {
        let Some((verdict, _)) = self.withdrawal_verdict(id, withdrawal) else { return Ok(()) };
        let borne_out = match proof {
            ReversalProof::Operators { .. } => {
                let scanned = || self.scanned_without_payment(&Due::withdrawal(id, withdrawal)?);
                let burned = || verdict.proof().is_some() && self.burns.is_burned(id);
                verdict.is_for_two_people() || burned() || scanned().is_some()
            }
            ReversalProof::NeverSigned {} | ReversalProof::Reverted { .. } | ReversalProof::Cancelled { .. } => {
                verdict.proof().as_ref() == Some(proof)
            }
        };
        if borne_out {
            return Ok(());
        }
        let is = format!("{}, {}", verdict.row(), verdict.says());
        Err(Rejection::state(format_args!("withdrawal {id}"), is, "proven dead on chain"))
    }

    /// Whether a payment still has a transfer that nothing else is booked as paid with. Of one that nobody has looked at
    /// nobody knows how many it has: it pays one thing.
    fn check_unused(&self, what: &str, due: Option<Due<'_>>, tx: &TxHash) -> Result<(), Rejection> {
        let Some(due) = due else { return Ok(()) };
        let needs = "a payment of its own";
        if self.chain.outgoing().get(tx).is_some() {
            return match is_used_up(self, &due, tx) {
                true => Err(Rejection::state(what, format_args!("paid by {tx}, which paid another"), needs)),
                false => Ok(()),
            };
        }
        let withdrawal = self.withdrawals.paid_by(tx).map(|id| format!("withdrawal-{id}"));
        let burn = self.burns.paid_by(tx).map(|id| format!("burn-{id}"));
        match withdrawal.into_iter().chain(burn).find(|other| other.as_str() != due.stream.as_str()) {
            Some(other) => Err(Rejection::state(what, format_args!("paid by {tx}, which paid {other}"), needs)),
            None => Ok(()),
        }
    }

    /// What is named as the payment of something due cannot be called the payment of nothing.
    fn check_explained(&self, event: &ChainEvent) -> Result<(), Rejection> {
        let ChainEvent::TransferExplained { tx, .. } = event else { return Ok(()) };
        match paid_for(self, tx) {
            Some(due) => {
                Err(Rejection::state(format_args!("transfer {tx}"), format_args!("that of {due}"), "of nothing due"))
            }
            None => Ok(()),
        }
    }

    /// What is scheduled is burned: a share only where all that our wallets sent is shown, and nothing of it may be its burn.
    fn check_scheduled_again(&self, what: &str, id: &str) -> Result<(), Rejection> {
        let due = self.withdrawals.get(id).and_then(|known| Due::share(id, known));
        let Some(due) = due.filter(|_| self.chain.policies().next().is_some()) else { return Ok(()) };
        match unexplained(self, &due).first() {
            Some(sent) => Err(Rejection::state(what, format!("perhaps burned: {}", sent.says()), "not burned")),
            None if self.chain.scanned_since(&due).is_none() => {
                Err(Rejection::state(what, "not known not to be burned", "shown by a scan of all our wallets"))
            }
            None => Ok(()),
        }
    }

    /// The same for a burn.
    fn check_burn(&self, at: &Recorded, event: &BurnEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        let what = format!("burn {id}");
        if let BurnEvent::BurnScheduled { amount, .. } = event
            && let Some(held) = self.withdrawals.get(id).and_then(|known| known.hold.as_ref())
        {
            Rejection::same("burn share of the withdrawal", &held.burn_share, amount)?;
        }
        if let (BurnEvent::BurnScheduled { .. }, Provenance::Recovery) = (event, at.provenance) {
            self.check_scheduled_again(&what, id)?;
        }
        let Some(burn) = self.burns.get(id) else { return Ok(()) };
        if let BurnEvent::BurnCancelled { .. } = event {
            // That nothing was signed the game knows itself; that what was signed is dead it has to prove like anybody.
            let is_fact = burn.phase == BurnPhase::Scheduled && at.provenance != Provenance::Recovery;
            if !is_fact && !self.is_burn_dead(id, burn) {
                let needs = "not yet signed, or proven dead";
                return Err(Rejection::state(what, burn.phase, needs));
            }
            return Ok(());
        }
        if at.provenance != Provenance::Recovery {
            return Ok(());
        }
        match event {
            BurnEvent::BurnSettled { tx, .. } => {
                self.check_unused(&what, Due::burn(id, burn), tx)?;
                self.chain.check_paid(&what, tx, self.burn_verdict(id, burn))
            }
            BurnEvent::BurnIntentRequested { wallet, nonce, intent, .. } => {
                self.check_intent(&what, Due::burn(id, burn), burn.payment(wallet, *nonce), *intent)
            }
            _ => Ok(()),
        }
    }

    /// Takes in an event that was judged against exactly this state.
    pub fn evolve(&mut self, at: &Recorded, accepted: Accepted) {
        let Ok(event) = &at.event else { return };
        self.chain.note_named(&at.stream, event);
        match event {
            Event::Player(event) => {
                if event.creates_player()
                    && let Ok(player) = PlayerId::new(at.stream.subject())
                {
                    self.ledger.open_player(&player);
                }
                self.players.evolve(at, event);
            }
            Event::Duel(event) => {
                self.duels.evolve(at, event);
                if let DuelEvent::DuelEnded { winner, loser, .. } = event {
                    self.players.record_result(winner, loser);
                }
            }
            Event::Tournament(event) => {
                if let TournamentEvent::PrizePaid { .. } = event
                    && let Some(tournament) = self.tournaments.get_mut(at.stream.subject())
                {
                    tournament.note_pool(self.ledger.balance(&crate::Account::Pool));
                }
                self.tournaments.evolve(at, event);
            }
            Event::Deposit(event) => self.deposits.evolve(at, event),
            Event::Withdrawal(event) => self.withdrawals.evolve(at, event),
            Event::Burn(event) => self.burns.evolve(at, event),
            Event::Pool(event) => self.pool.evolve(at, event, self.ledger.balance(&crate::Account::Pool)),
            Event::Agent(event) => self.agents.evolve(at, event),
            Event::Command(event) => {
                if let CommandEvent::CommandReceived { .. } = event {
                    self.agents.read(at.stream.subject());
                }
                self.commands.evolve(at, event);
            }
            Event::Recovery(event) => self.recoveries.evolve(at, event),
            Event::Ops(event) => {
                self.ops.evolve(at, event);
                self.outbox.evolve(at, event);
            }
            Event::Chain(event) => self.evolve_chain(at, event),
        }
        if !accepted.0.is_empty() {
            self.ledger.post(&accepted.0);
        }
        self.watch_conservation(at);
    }

    /// A look at what is held tells since when it is not what the ledger owes.
    fn evolve_chain(&mut self, at: &Recorded, event: &ChainEvent) {
        let ChainEvent::HoldingsLooked { chain, token, .. } = event else { return self.chain.evolve(at, event) };
        let of_token = |look: &&Look<HoldingsAnswer>| look.chain == *chain && look.subject == *token;
        let differed = self.chain.holdings().find(of_token).and_then(|look| differs(self, look)).unwrap_or(false);
        self.chain.evolve(at, event);
        let look = self.chain.holdings().find(of_token).cloned();
        if let Some((look, differs)) = look.as_ref().and_then(|look| Some((look, differs(self, look)?))) {
            self.chain.note_difference(look, differed, differs);
        }
    }

    /// What the facts say must be inside, in base units: confirmed deposits, grants, imports and contributions, less
    /// what was paid out and burned. Read from the folds of the facts, never from the ledger. Modulo 2^128: sums of all
    /// that ever came may leave the range though what is inside does not, and the difference to it is exact again.
    fn accounted(&self) -> i128 {
        let came = [self.deposits.confirmed(), self.players.granted(), self.pool.contributed, self.chain.adjusted()];
        let taken_over = self.imported();
        let went = [self.withdrawals.settled(), self.burns.settled()];
        let sum = |amounts: &[Amount]| {
            amounts.iter().fold(0i128, |sum, amount| sum.wrapping_add(amount.base_units() as i128))
        };
        sum(&came).wrapping_add(sum(&taken_over)).wrapping_sub(sum(&went))
    }

    /// Opening entries taken over from a running game's tables: balances, stakes in escrow, payments in flight, waiting
    /// burns, the pool. Unproven (E5).
    #[must_use]
    pub fn imported(&self) -> [Amount; 5] {
        [
            self.players.imported(),
            self.duels.imported(),
            self.withdrawals.imported(),
            self.burns.imported(),
            self.pool.imported,
        ]
    }

    /// Conservation, after every event (law 9): the ledger holds exactly what the facts account for.
    fn watch_conservation(&mut self, at: &Recorded) {
        // Grants, imports, contributions, payments and burns are the ledger's own figures, so what differs is at most
        // the net of the credits against the confirmed deposits, both below 2^127: it fits.
        let drift = Drift((self.ledger.held().base_units() as i128).wrapping_sub(self.accounted()));
        if drift != self.conservation.drift {
            self.conservation.drift = drift;
            self.conservation.changes.push(DriftChange { event: EventRef::of(at), drift });
        }
    }

    /// The digest of every projection, by name. The bytes under it follow from the log alone: maps keep insertion
    /// order or are sorted.
    #[must_use]
    pub fn digests(&self) -> Vec<(&'static str, Digest)> {
        // Without `..`: a new projection does not compile until it is part of the digest.
        let State {
            players,
            duels,
            tournaments,
            deposits,
            withdrawals,
            burns,
            pool,
            ledger,
            agents,
            commands,
            recoveries,
            ops,
            outbox,
            chain,
            conservation,
        } = self;
        let digests = [
            digest(players),
            digest(duels),
            digest(tournaments),
            digest(deposits),
            digest(withdrawals),
            digest(burns),
            digest(pool),
            digest(ledger),
            digest(agents),
            digest(commands),
            digest(recoveries),
            digest(ops),
            digest(outbox),
            digest(chain),
            digest(conservation),
        ];
        State::PROJECTIONS.into_iter().zip(digests).collect()
    }

    /// The digest of the whole state: SHA-256 over the names and digests of the projections.
    #[must_use]
    pub fn digest(&self) -> Digest {
        State::digest_of(&self.digests())
    }

    /// The digest of a whole state from the digests of its projections.
    #[must_use]
    pub fn digest_of(digests: &[(&'static str, Digest)]) -> Digest {
        digest(&digests)
    }
}

/// SHA-256 of a value's JSON, streamed: the text is never held.
fn digest(value: &impl Serialize) -> Digest {
    struct Hasher(Sha256);
    impl io::Write for Hasher {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut buffered = io::BufWriter::with_capacity(1 << 16, Hasher(Sha256::new()));
    serde_json::to_writer(&mut buffered, value).expect("state serialises and hashing cannot fail");
    let hasher = buffered.into_inner().map_err(io::IntoInnerError::into_error).expect("hashing cannot fail");
    Digest(hasher.0.finalize().into())
}
