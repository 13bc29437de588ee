//! Which transfer paid which thing that was due, and what nothing explains: the transfers of a transaction divided over what
//! names it. A transfer is explained when something that was due names its transaction and it is of that amount to that
//! address, or when two people have said what it paid. One transfer pays one thing; only shares may be burned together, in
//! one transfer of exactly their sum.

use wox_events::{Amount, StreamId, TxHash, chain::is_address, id::Label};

use crate::{due::Due, outgoing::Outgoing, state::State, verdict::quorum::Transfer};

/// How many transfers are named that may have paid one thing.
pub const FOUND_MAX: usize = 8;

/// What left our wallets for the address of something that is due, since it was asked for, and nothing explains: it may
/// be its payment. What was signed for it itself is judged by its slots. The first of them, at most [`FOUND_MAX`]: one is
/// enough to say that nobody knows, and a lost journal may leave thousands.
#[must_use]
pub fn unexplained<'a>(state: &'a State, due: &Due<'_>) -> Vec<&'a Outgoing> {
    let register = state.chain.outgoing();
    let may_pay = |sent: &&Outgoing| !is_own(state, due, sent) && pays_it(state, due, sent);
    match is_address(&due.to) {
        true => register.to(&due.to, due.since).filter(may_pay).take(FOUND_MAX).collect(),
        false => register.since(due.since).filter(may_pay).take(FOUND_MAX).collect(),
    }
}

/// What is named for something that is due and has a transfer to its address that nothing else explains: where its slots do
/// not say that it was paid, it may be paid all the same, or in part.
#[must_use]
pub fn named_for_it<'a>(state: &'a State, due: &Due<'_>) -> Vec<&'a Outgoing> {
    let register = state.chain.outgoing();
    let mut found: Vec<&Outgoing> = due.names().filter_map(|tx| register.get(tx)).collect();
    found.retain(|sent| pays_it(state, due, sent));
    found.sort_by_key(|sent| (sent.first, &sent.tx));
    found.dedup();
    found
}

/// Every final transaction with transfers out of our wallets that nothing explains, in the order they were first seen.
pub fn unexplained_by_anything(state: &State) -> impl Iterator<Item = (&Outgoing, Vec<&Transfer>)> {
    let register = state.chain.outgoing();
    let all = register.all().filter(|sent| sent.is_final);
    all.map(|sent| (sent, left_over(state, sent, None).collect::<Vec<_>>())).filter(|(_, parts)| !parts.is_empty())
}

/// Whether a transaction has a transfer to the address of what is due that nothing else explains. Of a burn only one that it
/// could be in, because shares may be burned together: what all burns are sent to is no sign of this one. Of what has no
/// address only one of its amount, unless the transaction is named for it or went to a wallet of its own player.
pub(crate) fn pays_it(state: &State, due: &Due<'_>, sent: &Outgoing) -> bool {
    let any_sum = is_address(&due.to) || is_own(state, due, sent);
    let could_be = |part: &Transfer| match due.is_burn() {
        true => due.amount.is_none_or(|share| part.value >= share),
        false => any_sum || due.fits(part) || has_players_wallet(state, due, &part.to) == Some(true),
    };
    left_over(state, sent, Some(&due.stream)).any(|part| due.is_to(part) && could_be(part))
}

/// Whether an address is a wallet that the player of a withdrawal proved to hold; `None` where nobody did.
pub(crate) fn has_players_wallet(state: &State, due: &Due<'_>, address: &Label) -> Option<bool> {
    let holder = state.players.holder(address)?;
    let withdrawal = state.withdrawals.get(due.stream.subject()).filter(|_| !due.is_burn());
    Some(withdrawal.is_some_and(|known| known.player == *holder))
}

/// Whether a call of our token by a wallet of ours is known that no source shows in a block, and that nothing names: no scan
/// of what is final shows where it goes.
pub(crate) fn perhaps_pending(state: &State, due: &Due<'_>) -> bool {
    let register = state.chain.outgoing();
    let mut open = register.pending().filter(|sent| !due.since.rules_out(sent.first, sent.first_at));
    open.any(|sent| !register.is_named(&sent.tx) && register.explained(&sent.tx).is_none())
}

/// What a transaction is the payment of, by its name, its address and its amount.
#[must_use]
pub fn paid_for(state: &State, tx: &TxHash) -> Option<StreamId> {
    named_dues(state, tx).find(|due| paid_by(state, due) == Some(tx)).map(|due| due.stream)
}

/// What waits to be paid and may be paid by a transaction that nothing explains.
pub fn perhaps_paid_by<'a>(state: &'a State, sent: &'a Outgoing) -> impl Iterator<Item = Due<'a>> {
    let withdrawals = state.withdrawals.iter().filter(|(_, known)| known.is_open());
    let withdrawals = withdrawals.filter_map(|(id, known)| Due::withdrawal(id.as_str(), known));
    let burns = state.burns.iter().filter(|(_, known)| known.is_open());
    let burns = burns.filter_map(|(id, known)| Due::burn(id.as_str(), known));
    let open = withdrawals.chain(burns).filter(|due| !due.since.rules_out(sent.first, sent.first_at));
    open.filter(|due| pays_it(state, due, sent))
}

/// Whether a payment that is booked as another's has nothing left for this: one transfer pays one thing, or shares that are
/// burned together.
pub(crate) fn is_used_up(state: &State, due: &Due<'_>, tx: &TxHash) -> bool {
    let Some(sent) = state.chain.outgoing().get(tx) else { return false };
    let together = Together::of(state, sent);
    if together.as_ref().is_some_and(|together| together.has(due)) {
        return false;
    }
    let mut parts: Vec<&Transfer> = sent.transfers.iter().collect();
    let others = named_dues(state, tx).filter(|other| other.settled && other.stream != due.stream);
    for other in others {
        let part = together.as_ref().filter(|together| together.has(&other)).map(|together| together.part);
        take(&mut parts, |one| part.map_or_else(|| other.fits(one), |part| part == one));
    }
    !parts.into_iter().any(|part| due.fits(part))
}

/// Whether a transaction burned a share together with all others that name it: by a transfer of exactly their sum.
#[must_use]
pub fn is_burned_together(state: &State, due: &Due<'_>, sent: &Outgoing) -> bool {
    due.is_burn() && Together::of(state, sent).is_some_and(|together| together.has(due))
}

/// Shares that one transfer burned together.
struct Together<'a> {
    part: &'a Transfer,
    shares: Vec<StreamId>,
}

impl<'a> Together<'a> {
    /// What is left of the shares that name a transaction, once each that fits a transfer of its own has it, where a transfer of
    /// their sum is there: those that are booked before any other. Less than the sum may be anybody's, so nobody's.
    fn of(state: &State, sent: &'a Outgoing) -> Option<Together<'a>> {
        if state.chain.outgoing().explained(&sent.tx).is_some() {
            return None;
        }
        let mut parts: Vec<&Transfer> = sent.transfers.iter().collect();
        let elsewhere = |due: &Due<'_>| due.settled_by.is_some_and(|tx| *tx != sent.tx);
        let named = named_dues(state, &sent.tx).filter(|due| due.is_burn() && !elsewhere(due));
        let (mut booked, mut waiting): (Vec<Due<'_>>, Vec<Due<'_>>) = named.partition(|due| due.settled);
        booked.retain(|due| take(&mut parts, |part| due.fits(part)).is_none());
        let of = |shares: &[&Due<'_>], parts: &[&'a Transfer]| {
            let sum = Amount::checked_sum(shares.iter().filter_map(|due| due.amount))?;
            let to = &shares.first()?.to;
            let part = parts.iter().find(|part| part.to == *to && part.value == sum)?;
            Some(Together { part, shares: shares.iter().map(|due| due.stream.clone()).collect() })
        };
        if let Some(together) = of(&booked.iter().collect::<Vec<_>>(), &parts) {
            return Some(together);
        }
        waiting.retain(|due| take(&mut parts, |part| due.fits(part)).is_none());
        of(&booked.iter().chain(&waiting).collect::<Vec<_>>(), &parts)
    }

    fn has(&self, due: &Due<'_>) -> bool {
        self.shares.contains(&due.stream)
    }
}

/// Takes the first transfer of which something is true out of those that are left.
fn take<'a>(parts: &mut Vec<&'a Transfer>, wanted: impl Fn(&Transfer) -> bool) -> Option<&'a Transfer> {
    let found = parts.iter().position(|part| wanted(part))?;
    Some(parts.remove(found))
}

fn named_dues<'a>(state: &'a State, tx: &'a TxHash) -> impl Iterator<Item = Due<'a>> {
    state.chain.outgoing().named_for(tx).filter_map(|stream| Due::of(state, stream))
}

/// The transaction that paid something, as far as is known of what left our wallets: what is due is paid once, and everything
/// else that it names explains nothing.
fn paid_by<'a>(state: &'a State, due: &Due<'_>) -> Option<&'a TxHash> {
    let register = state.chain.outgoing();
    if let Some(tx) = due.settled_by {
        return register.get(tx).map(|sent| &sent.tx);
    }
    let fitting =
        |sent: &&Outgoing| sent.transfers.iter().any(|one| due.fits(one)) || is_burned_together(state, due, sent);
    let paid = due.names().filter_map(|tx| register.get(tx)).filter(fitting);
    let paid = paid.filter(|sent| !is_used_up(state, due, &sent.tx));
    paid.min_by_key(|sent| (!sent.is_final, sent.first, &sent.tx)).map(|sent| &sent.tx)
}

/// What left our wallets for anybody since something was asked for that nothing was ever signed for, could be its payment by
/// its amount, or cannot be told yet, and nothing explains.
#[must_use]
pub fn unexplained_elsewhere<'a>(state: &'a State, due: &Due<'_>) -> Vec<&'a Outgoing> {
    let Some(amount) = due.amount.filter(|_| !due.sent) else { return Vec::new() };
    let register = state.chain.outgoing();
    let ours = |address: &Label| {
        register.is_wallet(address) || state.chain.policies().any(|policy| policy.watched.contains(address))
    };
    let could_be = |sent: &&Outgoing| match sent.transfers.is_empty() {
        true => !register.is_named(&sent.tx) && register.explained(&sent.tx).is_none(),
        false => left_over(state, sent, Some(&due.stream)).any(|part| part.value == amount && !ours(&part.to)),
    };
    register.since(due.since).filter(could_be).take(FOUND_MAX).collect()
}

fn is_own(state: &State, due: &Due<'_>, sent: &Outgoing) -> bool {
    state.chain.outgoing().named_for(&sent.tx).any(|stream| *stream == due.stream)
}

/// The transfers of a transaction that nothing explains, one stream left out of account.
fn left_over<'a>(state: &'a State, sent: &'a Outgoing, but: Option<&StreamId>) -> impl Iterator<Item = &'a Transfer> {
    let register = state.chain.outgoing();
    let mut parts: Vec<&Transfer> = match register.explained(&sent.tx) {
        Some(_) => Vec::new(),
        None => sent.transfers.iter().collect(),
    };
    let together = Together::of(state, sent);
    for other in named_dues(state, &sent.tx).filter(|other| Some(&other.stream) != but) {
        let is_together = together.as_ref().is_some_and(|together| together.has(&other));
        if !is_together && paid_by(state, &other) == Some(&sent.tx) {
            take(&mut parts, |part| other.fits(part));
        }
    }
    // What is one of the shares may be burned in their sum; nothing else is.
    if let Some(Together { part, shares }) = &together
        && !but.is_some_and(|but| shares.contains(but))
    {
        take(&mut parts, |one| one == *part);
    }
    parts.into_iter()
}
