//! Whose a deposit is, and whether what a recovery credits or takes back of one still holds by the newest that is known. Whose
//! it is says a bound wallet, the bank's post, an earlier attribution, never who names a hash; where they disagree or say
//! nothing it is nobody's.

use wox_events::{ChainEvent, DepositEvent, Label, PlayerId, Provenance, Recorded, TxHash, chain::TransactionAnswer};

use crate::{
    chain::Look,
    deposits::{Deposit, reference},
    projection::Rejection,
    state::State,
    verdict::{DepositVerdict, deposit::Before, quorum::Transfer},
};

/// Whose a deposit is, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A player's, and by what.
    Player(PlayerId, &'static str),
    /// Nobody's yet, and why.
    Nobody(&'static str),
}

/// How a person's decision is named.
pub const BY_OPERATOR: &str = "operator";
/// Why a deposit is nobody's though somebody says whose it is.
pub const CLAIMS_DISAGREE: &str = "claims-disagree";

impl State {
    /// Whose a transfer is that an address sent in a transaction, where the log knows so much of it as a deposit.
    #[must_use]
    pub fn owner(&self, from: &Label, tx: &TxHash, known: Option<&Deposit>) -> Owner {
        // Who holds the key of one of our own addresses sent nothing of theirs.
        let within = self.chain.is_ours(from);
        let bound = self.players.holder(from).filter(|_| !within);
        let posts = self.chain.confirmation(tx);
        if posts.is_some_and(|posts| !posts.others.is_empty()) {
            return Owner::Nobody(CLAIMS_DISAGREE);
        }
        let confirmed = posts.map(|posts| &posts.player);
        // Who held the wallet when it paid is not known of one that changed hands.
        if confirmed.is_none() && bound.is_some() && self.players.changed_hands(from) {
            return Owner::Nobody("wallet-changed-hands");
        }
        let before = known.and_then(|deposit| deposit.player.as_ref());
        let mut said = [(bound, "bound-wallet"), (confirmed, "bank-post"), (before, "attributed-before")]
            .into_iter()
            .filter_map(|(player, method)| player.map(|player| (player, method)));
        match said.next() {
            None => Owner::Nobody("no-binding"),
            Some((player, method)) => match said.any(|(other, _)| other != player) {
                true => Owner::Nobody(CLAIMS_DISAGREE),
                false if within && confirmed.is_none() => Owner::Nobody("own-address"),
                false if self.ledger.player(player).is_some() => Owner::Player(player.clone(), method),
                false => Owner::Nobody("unknown-player"),
            },
        }
    }

    /// Whether a deposit that a recovery gives to a player is still that player's by what is known now: the bank may have said
    /// another thing since the plan was made, or the wallet is bound no more. What people decided is decided.
    pub(crate) fn check_owner(&self, at: &Recorded, event: &DepositEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        let known = self.deposits.get(id);
        let (player, method) = match event {
            DepositEvent::DepositAttributed { player, method }
            | DepositEvent::QuarantineReleased { player, method, .. } => (player, Some(method)),
            DepositEvent::DepositCredited { player, .. } => (player, known.and_then(|known| known.method.as_ref())),
            _ => return Ok(()),
        };
        // The game had given it to the same player: booked anew it is theirs as before.
        let theirs = matches!(event, DepositEvent::DepositCredited { .. })
            && known.is_some_and(|known| known.credits.iter().any(|credit| credit.player == *player));
        let decided = theirs || method.is_some_and(|method| method.as_str() == BY_OPERATOR);
        if at.provenance != Provenance::Recovery || decided {
            return Ok(());
        }
        let named = match event {
            DepositEvent::DepositCredited { chain, tx, ordinal, .. } => reference(*chain, tx, *ordinal),
            _ => known.and_then(|known| known.reference.clone()).unwrap_or_else(|| id.to_owned()),
        };
        let parts: Vec<&str> = named.split(':').collect();
        let [chain, tx, ordinal] = parts.as_slice() else { return Ok(()) };
        let (Ok(chain), Ok(tx)) = (chain.parse(), TxHash::new(*tx)) else { return Ok(()) };
        let Some(look) = self.chain.transaction(chain, &tx) else { return Ok(()) };
        let DepositVerdict::Confirmed { transfers, .. } = self.chain.deposit_verdict(look, &Before::default()) else {
            return Ok(());
        };
        let Some(came) = transfers.iter().find(|came| came.ordinal.to_string() == *ordinal) else { return Ok(()) };
        let is = match self.owner(&came.from, &tx, known) {
            Owner::Player(owner, _) if owner == *player => return Ok(()),
            Owner::Player(owner, how) => format!("player {owner}'s by {how}"),
            Owner::Nobody(why) => format!("nobody's: {why}"),
        };
        Err(Rejection::state(format_args!("deposit {named}"), is, "of the player it is given to"))
    }

    /// Whether a deposit is still credited though two people decided that its final block went away for good: it was spent. What
    /// is credited since then is another credit.
    #[must_use]
    pub fn is_lost(&self, deposit: &str) -> bool {
        let lost = self.chain.lost(&format!("deposit-{deposit}"));
        let credits = self.deposits.get(deposit).into_iter().flat_map(|known| &known.credits);
        let mut open = credits.filter(|credit| !credit.debited);
        lost.is_some_and(|lost| open.any(|credit| credit.event.position < lost.position))
    }

    /// Whether what two people say of a final block that went away rests on the newest look at it.
    pub(crate) fn check_restored(&self, at: &Recorded, event: &ChainEvent) -> Result<(), Rejection> {
        let ChainEvent::FinalityRestored { deposit, evidence, .. } = event else { return Ok(()) };
        let look = self.look_at_deposit(deposit.subject()).filter(|_| at.provenance == Provenance::Recovery);
        match look {
            Some(look) if look.event.id != *evidence => {
                let is = format!("looked at again ({})", look.event);
                Err(Rejection::state(format_args!("deposit {}", deposit.subject()), is, "as it was decided on"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a credit that a recovery takes back because its final block went away is still gone by the newest look.
    pub(crate) fn check_taken_back(&self, at: &Recorded, event: &DepositEvent) -> Result<(), Rejection> {
        let (DepositEvent::DepositDebited { .. } | DepositEvent::SuspenseReversed { .. }, Provenance::Recovery) =
            (event, at.provenance)
        else {
            return Ok(());
        };
        let id = at.stream.subject();
        let gone = self.chain.violation(at.stream.as_str()).and_then(|_| self.look_at_deposit(id));
        let Some(look) = gone else { return Ok(()) };
        match self.chain.deposit_verdict(look, &Before::default()) {
            DepositVerdict::Reverted { .. } | DepositVerdict::NotADeposit { .. } | DepositVerdict::Replaced { .. } => {
                Ok(())
            }
            DepositVerdict::Confirmed { transfers, .. } if !self.is_among(id, &transfers) => Ok(()),
            verdict => {
                let is = format!("{}, {}", verdict.row(), verdict.says());
                Err(Rejection::state(format_args!("deposit {id}"), is, "gone for good"))
            }
        }
    }

    fn is_among(&self, deposit: &str, transfers: &[Transfer]) -> bool {
        let known = self.deposits.get(deposit);
        let named = known.and_then(|known| known.reference.as_deref()).unwrap_or(deposit);
        let is_it = |came: &Transfer| named.ends_with(&format!(":{}", came.ordinal));
        transfers.iter().any(|came| is_it(came) && known.is_some_and(|known| known.value == Some(came.value)))
    }

    /// The newest look at a deposit's transaction.
    fn look_at_deposit(&self, deposit: &str) -> Option<&Look<TransactionAnswer>> {
        let known = self.deposits.get(deposit).and_then(|known| known.reference.as_deref()).unwrap_or(deposit);
        let mut parts = known.split(':');
        let (chain, tx) = (parts.next()?.parse().ok()?, TxHash::new(parts.next()?).ok()?);
        self.chain.transaction(chain, &tx)
    }
}
