//! What must be true of any import: what is taken over is taken by the folds, conserved, and rendered as it was.

use proptest::prelude::*;
use wox_events::{Actor, NewEvent, Position, RawEvent, Revision, StreamId};
use wox_projections::{Replay, Waivers};

use super::*;
use crate::{
    replay::Watch as _,
    tables::{
        Image, Scribe,
        cell::Cell,
        compare::{Comparison, Layout},
    },
};

type Cells = Vec<Option<Vec<u8>>>;

/// Mostly what a sound table holds, now and then what it must not.
fn often(right: &'static [&'static str], odd: &'static [&'static str]) -> impl Strategy<Value = String> {
    let odd = if odd.is_empty() { right } else { odd };
    prop_oneof![9 => prop::sample::select(right), 1 => prop::sample::select(odd)].prop_map(str::to_owned)
}

fn handle() -> impl Strategy<Value = String> {
    often(&["ann", "Bob", "cat", "dan"], &["eve", "ghost", "ANN", "with space"])
}

fn money() -> impl Strategy<Value = String> {
    often(&["0.00", "20.00", "137.42", "0.05", "1000.00", "3"], &["-1.00", "", "99999999999999999999999"])
}

fn time() -> impl Strategy<Value = String> {
    often(&["2026-08-01 20:00:00", "2026-08-01 20:00:03"], &["0000-00-00 00:00:00", "never"])
}

fn list() -> impl Strategy<Value = String> {
    often(&["[]", r#"["Incendio"]"#, r#"["Incendio", "Protego"]"#], &["[", r#"{"a": 1}"#, r#"["Avada Kedavra"]"#])
}

fn status() -> impl Strategy<Value = String> {
    often(&["pending", "completed", "failed", "refunded"], &["on_fire"])
}

fn tx() -> impl Strategy<Value = String> {
    (0..4u8).prop_map(|digit| format!("0x{}", format!("{digit:02x}").repeat(32)))
}

fn cells(parts: Vec<String>) -> Cells {
    parts.into_iter().map(|part| (part != "NULL").then(|| part.into_bytes())).collect()
}

fn player() -> impl Strategy<Value = Cells> {
    let names = often(&["Anna", "NULL"], &["Zo\u{eb}"]);
    let house = often(&["Ravenclaw", "Slytherin"], &["Durmstrang", "NULL"]);
    let level = often(&["1", "7", "15"], &["0", "99", "NULL"]);
    let count = often(&["0", "1", "7"], &["-3", "x", "4294967296"]);
    (handle(), names, house, level, count, money(), money(), list(), list(), time()).prop_map(
        |(handle, name, house, level, count, bonus, withdrawable, spells, titles, made)| {
            let potions = r#"{"Healing": 2}"#.to_owned();
            let (hp, wins, losses) = ("100".to_owned(), count.clone(), count.clone());
            cells(vec![
                handle,
                name,
                house,
                level,
                count,
                hp,
                bonus,
                withdrawable,
                spells,
                potions,
                wins,
                losses,
                titles,
                made,
            ])
        },
    )
}

fn duel() -> impl Strategy<Value = Cells> {
    let status = often(&["active", "player1_wins", "player2_wins", "cancelled"], &["paused"]);
    let hp = often(&["0", "90", "105"], &["-3", "NULL"]);
    (1..9u32, handle(), handle(), money(), status, handle(), hp, list(), time()).prop_map(
        |(id, first, second, bet, status, turn, hp, spells, made)| {
            let combo = format!(r#"{{"{first}": {spells}, "{second}": []}}"#);
            cells(vec![id.to_string(), first, second, bet, status, turn, hp.clone(), hp, combo, made])
        },
    )
}

fn request() -> impl Strategy<Value = Cells> {
    let fee = often(&["0.00", "2.00", "0.05"], &["NULL"]);
    (1..9u32, handle(), money(), fee, tx(), status(), time(), time()).prop_map(
        |(id, handle, amount, fee, tx, status, made, over)| {
            cells(vec![id.to_string(), handle, amount, fee, tx, status, made, over, "19000001".into()])
        },
    )
}

fn burn() -> impl Strategy<Value = Cells> {
    let amount = often(&["1.00", "0.03", "2.00"], &["-1.00"]);
    (1..9u32, amount, time(), status(), time())
        .prop_map(|(id, amount, due, status, made)| cells(vec![id.to_string(), amount, due, status, made]))
}

fn transaction() -> impl Strategy<Value = Cells> {
    (tx(), money(), status(), time()).prop_map(|(tx, value, status, at)| {
        cells(vec![tx, "7".into(), "0xaa".into(), "NULL".into(), value, at, status])
    })
}

/// Rows of the five tables, in their order.
fn game() -> impl Strategy<Value = Vec<(Table, Cells)>> {
    fn some(table: Table, row: impl Strategy<Value = Cells>) -> impl Strategy<Value = Vec<(Table, Cells)>> {
        prop::collection::vec(row.prop_map(move |cells| (table, cells)), 0..8)
    }
    (
        some(Table::Players, player()),
        some(Table::ActiveDuels, duel()),
        some(Table::WithdrawalRequests, request()),
        some(Table::BurnQueue, burn()),
        some(Table::ProcessedTransactions, transaction()),
    )
        .prop_map(|(players, duels, requests, burns, transactions)| {
            [players, duels, requests, burns, transactions].concat()
        })
}

fn view(cells: &Cells) -> Vec<Option<&[u8]>> {
    cells.iter().map(Option::as_deref).collect()
}

fn surveyed(rows: &[(Table, Cells)]) -> (Book, Roster) {
    let mut roster = Roster::new(Unmapped::Refuse);
    ["ann,1", "bob,2", "cat,3", "dan,4", "eve,4"].iter().for_each(|line| roster.line(line).unwrap());
    let mut survey = Survey::default();
    rows.iter().for_each(|(table, cells)| survey.row(*table, &view(cells)));
    let book = survey.finish(&roster, Options { chain: 8453, pool: None });
    (book, roster)
}

proptest! {
    #[test]
    fn what_is_imported_is_taken_by_the_folds_conserved_and_rendered_as_it_was(rows in game()) {
        let (book, roster) = surveyed(&rows);
        let judge = || Judge::new(&book, &roster, Actor::new("alice").unwrap(), Timestamp(1_785_700_000_000_000));
        let (mut judge, mut again) = (judge(), judge());
        let mut events: Vec<(StreamId, NewEvent)> = Vec::new();
        let mut taken: Vec<&(Table, Cells)> = Vec::new();
        for row in &rows {
            match (judge.row(row.0, &view(&row.1)), again.row(row.0, &view(&row.1))) {
                (Verdict::Import(opening), Verdict::Import(same)) => {
                    prop_assert_eq!(&opening.event, &same.event, "the same rows give the same events");
                    events.push((opening.stream, opening.event));
                    taken.push(row);
                }
                (Verdict::Refuse { reason, .. }, Verdict::Refuse { .. }) => {
                    prop_assert!(reason.contains(": "), "{}", reason);
                }
                (one, other) => prop_assert!(false, "{one:?} and {other:?}"),
            }
        }
        events.extend(judge.pool().unwrap().map(|pool| (pool.stream, pool.event)));
        let ids: std::collections::HashSet<_> = events.iter().map(|(_, event)| event.id).collect();
        prop_assert_eq!(ids.len(), events.len());

        let (mut replay, mut scribe) = (Replay::new(Waivers::new()), Scribe::default());
        for (at, (stream, event)) in events.into_iter().enumerate() {
            let raw = RawEvent { position: Position(at as u64 + 1), stream, revision: Revision(1), event };
            let event = raw.decode();
            scribe.before(&replay, &event);
            replay.observe(&event).unwrap();
            scribe.after(&replay, &event);
            prop_assert!(replay.state.conservation.drift.is_zero(), "at {}", at + 1);
        }
        prop_assert!(replay.held().is_empty(), "{:?}", replay.held());
        prop_assert_eq!(wox_projections::invariants::violations(&replay), vec![]);

        for table in rows.iter().map(|(table, _)| *table).collect::<std::collections::BTreeSet<_>>() {
            let image = Image::of(table, &replay.state, &scribe);
            let layout = Layout::published(table);
            let mut comparison = Comparison::of(&image, &layout, crate::tables::compare::Details::ALL);
            for (_, cells) in taken.iter().filter(|(of, _)| *of == table) {
                comparison.row(&view(cells));
            }
            let compared = comparison.finish().compared;
            prop_assert_eq!((compared.missing, compared.surplus), (0, 0), "{:?}", compared.differences);
            for field in compared.differences.iter().flat_map(|difference| &difference.fields) {
                // What a log cannot know better: the other spelling of a handle, a date that is none.
                let pair = field.live.as_ref().zip(field.log.as_ref());
                let spelling = pair.is_some_and(|(live, log)| live.eq_ignore_ascii_case(log));
                let zero_date = field.live.as_ref().is_some_and(|live| live.starts_with("0000"));
                let combo = field.column == "combo_history";
                prop_assert!(spelling || zero_date || combo, "{table}.{}: {pair:?}", field.column);
            }
            let known = |row: usize| image.cells(row).iter().any(|cell| matches!(cell, Cell::Known(_)));
            prop_assert!((0..image.len()).all(known));
        }
    }

    #[test]
    fn another_row_is_another_import(rows in game(), at in any::<prop::sample::Index>()) {
        prop_assume!(!rows.is_empty());
        let mut other = rows.clone();
        other[at.index(rows.len())].1[0] = Some(b"changed".to_vec());
        prop_assert_ne!(surveyed(&rows).0.import, surveyed(&other).0.import);
    }
}
