//! Looking at what our addresses hold, at one final block (R14).

use futures_util::future::join_all;
use wox_events::{
    chain::{Answer, Holding, HoldingsAnswer},
    id::Label,
};

use super::{Network, ask, parse, standing, standing::Session};

/// At which block is looked.
#[derive(Clone, Copy, Debug)]
pub enum AtBlock {
    /// The newest that so many nodes call final.
    Final {
        /// How many.
        quorum: u32,
    },
    /// This one.
    Number(u64),
}

impl Network {
    /// What every node says each address holds of a token, at one final block; that block
    /// and the answers. `None` when no node names a final block.
    pub async fn look_at_holdings(
        &self,
        token: &Label,
        addresses: &[Label],
        at: AtBlock,
    ) -> Option<(u64, Vec<HoldingsAnswer>)> {
        let mut sessions: Vec<_> = self.sessions().into_iter().filter(Session::is_node).collect();
        self.open(&mut sessions, &[]).await;
        let number = match at {
            AtBlock::Final { quorum } => standing::anchor_of(&sessions, quorum)?,
            AtBlock::Number(number) => number,
        };
        let looks = sessions.iter_mut().map(|session| async move {
            let mut calls = vec![ask::block(number, false)];
            calls.extend(addresses.iter().map(|address| ask::balance(token, address, number)));
            let said = session.ask(&calls).await;
            let block = match said.first() {
                Some(answer) => {
                    session.take_anchor(answer, number);
                    ask::read(answer, |value| parse::block_at(value, number))
                }
                None => Answer::NotAsked {},
            };
            let held = said.iter().skip(1).map(|answer| ask::read(answer, parse::balance));
            let holdings = addresses.iter().zip(held);
            HoldingsAnswer {
                standing: session.standing(),
                block,
                holdings: holdings.map(|(address, amount)| Holding { address: address.clone(), amount }).collect(),
            }
        });
        let answers = join_all(looks).await;
        self.finish(&sessions);
        Some((number, answers))
    }
}
