//! What is known of all that a wallet sent (S5), and since when silence proves something.

use serde::{Deserialize, Serialize};
use wox_events::{Position, Timestamp, id::Label};

use super::Chain;
use crate::{
    due::{Due, Since},
    projection::EventRef,
    verdict::quorum::Transfer,
    withdrawals::Told,
};

/// All that a wallet sent from a slot on, as far as looks in a row have shown it. Of the looks it keeps the transfers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// The wallet.
    pub wallet: Label,
    /// The first slot that is shown.
    pub from: u64,
    /// The first slot that is not shown.
    pub until: u64,
    /// How often the wallet had sent, up to the newest final block; unknown where no quorum said so.
    pub finalized: Option<u64>,
    /// Every transfer of our tokens in the slots that are shown.
    pub transfers: Vec<Transfer>,
    /// The time of the newest block that all who vote call final; unknown where no quorum showed a part.
    pub covers: Option<Timestamp>,
    /// True when the last look shows what the wallet has sent behind that too, and nothing of it waits in a pool.
    pub shows_all: bool,
    /// When the last look was.
    pub at: Timestamp,
    /// The looks, in order.
    pub looks: Vec<EventRef>,
    /// Where the rules were declared.
    pub(super) under: Option<Position>,
}

impl Scan {
    /// True when every slot up to the wallet's final count is shown.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.finalized.is_some_and(|finalized| self.until >= finalized)
    }
}

/// How often a wallet had sent up to a final block, and where and when a look showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) position: Position,
    pub(super) at: Timestamp,
    pub(super) sent: u64,
}

impl Chain {
    /// Whether the signer has journaled here without a break since before something was asked for.
    #[must_use]
    pub fn is_journaled_since(&self, asked: Since) -> bool {
        let since = self.policies.keys().filter_map(|chain| self.journaled_since.get(chain));
        since.into_iter().next().is_some_and(|(position, time)| asked.is_later_than(*position, *time))
    }

    /// A token that was taken out of the rules since something was asked for: it may have been paid in that, and no look
    /// shows it any more.
    #[must_use]
    pub fn token_gone_since(&self, asked: Since) -> Option<&Label> {
        let mut gone = self.tokens.iter().filter_map(|(token, gone)| Some((token, (*gone)?)));
        gone.find(|(_, position)| *position > asked.position).map(|(token, _)| token)
    }

    /// How often a wallet had sent up to the newest final block that a scan showed.
    pub(crate) fn sent_finally(&self, chain: u64, wallet: &Label) -> Option<u64> {
        self.scans.get(&format!("{chain}:wallet:{wallet}")).and_then(|scan| scan.finalized)
    }

    /// From which slot a scan of a wallet has to show all it sent, so that it shows every payment of what is due; where a
    /// scan that counts still has shown some of it, from where that ended.
    #[must_use]
    pub fn scan_from(&self, due: &Due<'_>, wallet: &Label) -> u64 {
        let Some(policy) = self.policies.values().next() else { return 0 };
        let subject = format!("{}:wallet:{wallet}", policy.chain);
        let begun = self.scans.get(&subject).filter(|scan| self.is_whole(due, &subject, scan) && scan.is_complete());
        let known = self.counts.get(&subject).into_iter().flatten();
        let before = known.filter(|known| due.since.rules_out(known.position, known.at)).map(|known| known.sent).max();
        begun.map(|scan| scan.until).or(before).unwrap_or(0)
    }

    /// Whether a scan begins early enough to show every payment of what is due, under the rules that count.
    fn is_whole(&self, due: &Due<'_>, subject: &str, scan: &Scan) -> bool {
        let under = self.policies.keys().next().and_then(|chain| self.declared.get(chain));
        // What was final before it was asked for cannot be its payment: a later scan may begin there.
        let mut before = self.counts.get(subject).into_iter().flatten();
        let begins = scan.from == 0
            || before.any(|known| due.since.rules_out(known.position, known.at) && known.sent >= scan.from);
        begins && scan.under.as_ref() == under
    }

    /// When the oldest of the scans was made that two people decide on.
    #[must_use]
    pub fn scanned_at(&self, due: &Due<'_>) -> Option<Timestamp> {
        self.scanned_since(due)?;
        let chain = self.policies.keys().next()?;
        let scans = self.outgoing.wallets().filter_map(|wallet| self.scans.get(&format!("{chain}:wallet:{wallet}")));
        scans.map(|scan| scan.at).min()
    }

    /// The scans that show, for every wallet that ever paid for us, all it sent since a slot on, made after something last
    /// happened to what is due (S5): their final blocks are younger than that, and behind these nothing is hidden.
    #[must_use]
    pub fn scanned_since(&self, due: &Due<'_>) -> Option<Vec<EventRef>> {
        let policy = self.policies.values().next()?;
        if self.token_gone_since(due.since).is_some() {
            return None;
        }
        let mut seen = Vec::new();
        for wallet in self.outgoing.wallets() {
            let subject = format!("{}:wallet:{wallet}", policy.chain);
            let scan = self.scans.get(&subject)?;
            let Told { time, position } = due.told;
            let newer = scan.covers.is_some_and(|covers| covers > time)
                && scan.looks.last().is_some_and(|look| look.position > position);
            if !newer || !scan.is_complete() || !scan.shows_all || !self.is_whole(due, &subject, scan) {
                return None;
            }
            seen.extend(scan.looks.iter().cloned());
        }
        (!seen.is_empty()).then_some(seen)
    }
}
