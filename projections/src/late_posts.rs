//! Posts that were made while the game was away, or before that and not read by it, and that it has not decided about, in
//! the order of their ids, and the duel each is about (rows R08, R18, R23). When a post arrived says nothing: X numbers
//! posts in the order they were made.

use std::collections::BTreeMap;

use wox_events::{
    DuelId, PlayerId, Timestamp,
    command::{post_number, posted_at},
};

use crate::{
    agents::Outage,
    duels::{Duel, Phase},
    projection::EventRef,
    state::State,
};

/// A post from an outage.
#[derive(Clone, Debug)]
pub struct LatePost<'a> {
    /// The number of the post.
    pub number: u64,
    /// Who posted it.
    pub author: PlayerId,
    /// What it asks for; unknown while nobody has read it as a command.
    pub verb: Option<&'a str>,
    /// When it was made, as its id says.
    pub posted: Timestamp,
    /// The window it was made in.
    pub outage: &'a Outage,
    /// The event that brought it.
    pub event: &'a EventRef,
    /// What it is about.
    pub about: About<'a>,
}

/// The duel that a post is about.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// This one.
    Duel(&'a DuelId, &'a Duel),
    /// Its author is in several, and the post does not say which.
    Several,
}

/// What the commands of a duel are called (domain.md "Commands").
const VERBS: [&str; 4] = ["accept", "cast", "use", "forfeit"];

/// Every post from an outage that is about a duel and has no end yet, by number.
#[must_use]
pub fn late_posts(state: &State) -> Vec<LatePost<'_>> {
    let commands = state.commands.open.iter().filter_map(|(post, command)| {
        let verb = command.verb.as_str();
        VERBS.contains(&verb).then_some(())?;
        Some((post_number(post)?, command.author.clone(), Some(verb), &command.received))
    });
    let mentions =
        state.agents.unanswered.iter().filter_map(|(number, mention)| {
            Some((*number, PlayerId::new(&mention.author).ok()?, None, &mention.event))
        });
    let mut posts: Vec<_> = commands
        .chain(mentions)
        .filter_map(|(number, author, verb, event)| {
            let posted = posted_at(&number.to_string())?;
            Some((number, author, verb, posted, state.agents.missed(number, posted)?, event))
        })
        .collect();
    posts.sort_by_key(|(number, _, verb, ..)| (*number, verb.is_none()));
    // A mention that was read as a command is that command.
    posts.dedup_by_key(|(number, ..)| *number);
    let mut duels: BTreeMap<PlayerId, Vec<(&DuelId, &Duel)>> =
        posts.iter().map(|(_, author, ..)| (author.clone(), Vec::new())).collect();
    if duels.is_empty() {
        return Vec::new();
    }
    for (id, duel) in state.duels.iter() {
        for side in [&duel.challenger, &duel.opponent] {
            if let Some(mine) = duels.get_mut(side) {
                mine.push((id, duel));
            }
        }
    }
    posts
        .into_iter()
        .filter_map(|(number, author, verb, posted, outage, event)| {
            let about = about(duels.get(&author)?, &author, verb, posted, outage)?;
            Some(LatePost { number, author, verb, posted, outage, event, about })
        })
        .collect()
}

/// The duel its author was in at that time: an open one; else the one that was over after the outage had begun.
fn about<'a>(
    duels: &[(&'a DuelId, &'a Duel)],
    author: &PlayerId,
    verb: Option<&str>,
    posted: Timestamp,
    outage: &Outage,
) -> Option<About<'a>> {
    let fits = |duel: &Duel| match verb {
        Some("accept") => duel.opponent == *author && (!duel.is_open() || duel.phase == Phase::Challenged),
        _ => true,
    };
    let then = || duels.iter().copied().filter(|(_, duel)| fits(duel) && duel.opened_at <= posted);
    let mut open = then().filter(|(_, duel)| duel.is_open());
    match (open.next(), open.next()) {
        (Some((id, duel)), None) => return Some(About::Duel(id, duel)),
        (Some(_), Some(_)) => return Some(About::Several),
        (None, _) => {}
    }
    let over = then().filter(|(_, duel)| duel.over.is_some_and(|over| over.at >= outage.from));
    over.max_by_key(|(_, duel)| duel.opened.position).map(|(id, duel)| About::Duel(id, duel))
}
