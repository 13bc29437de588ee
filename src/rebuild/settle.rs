//! What a rebuild that was cut off has left: found out by looking, put in order, and written down once. Whoever holds the
//! fence does it before anything else, so no person has to.

use wox_events::OpsEvent;

use super::{
    Book, RebuildError,
    book::{Note, Run, label},
    run::{clear, switched_note},
};
use crate::{
    log::EventLog,
    tables::Table,
    world::game_db::{
        shadow::{new_name, undone_name},
        switch::{Control, Fence},
    },
};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The last rebuild had come to its end, or there was none.
    Nothing,
    /// It was cut off before the switch: the old tables are live, what it left is gone.
    NotSwitched(Control),
    /// It was cut off behind the switch: its tables are live.
    Switched(Control),
    /// A revert was cut off before the tables were put back.
    NotReverted(Control),
    /// A revert was cut off behind it.
    Reverted(Control),
}

/// Finds out what became of the last rebuild and puts it in order. Afterwards the control row is right.
pub async fn settle(
    fence: &mut Fence,
    left: Option<Control>,
    book: &Book,
    log: &dyn EventLog,
) -> Result<(Found, Option<Control>), RebuildError> {
    fence.session().settle_renames().await?;
    let Some(mut control) = left else {
        clear(fence.session()).await?;
        return Ok((Found::Nothing, None));
    };
    let was = control.phase.clone();
    let switched = match was.as_str() {
        "switching" => {
            let first = tables_of(&control.tables).first().copied().unwrap_or(Table::Players);
            !is_there(fence, new_name(control.epoch, first)).await?
        }
        _ => false,
    };
    let reverted = match (was.as_str(), control.last_switched()) {
        ("reverting", Some(last)) => match tables_of(&last.tables).first() {
            Some(table) => is_there(fence, undone_name(last.epoch, *table)).await?,
            None => false,
        },
        _ => false,
    };
    let found: fn(Control) -> Found = match was.as_str() {
        "switching" if switched => {
            control.switched();
            Found::Switched
        }
        "building" | "switching" => {
            control.gave_up();
            Found::NotSwitched
        }
        "reverting" if reverted => {
            control.reverted();
            Found::Reverted
        }
        "reverting" => {
            control.not_reverted();
            Found::NotReverted
        }
        // It said so itself; perhaps it was cut off before it could write that down in the log too.
        _ => |_| Found::Nothing,
    };
    clear(fence.session()).await?;
    write_down(&control, &was, book, log).await?;
    if control.phase != was {
        fence.write(&control).await?;
    }
    Ok((found(control.clone()), Some(control)))
}

/// The tables a control row names.
#[must_use]
pub fn tables_of(names: &str) -> Vec<Table> {
    names.split(',').filter_map(|table| table.parse().ok()).collect()
}

async fn is_there(fence: &mut Fence, name: String) -> Result<bool, RebuildError> {
    Ok(fence.session().tables_called(&name).await?.contains(&name))
}

/// Writes down how the last rebuild ended, unless that is written down already. A rebuild of another store is not ours to
/// speak of.
async fn write_down(control: &Control, was: &str, book: &Book, log: &dyn EventLog) -> Result<(), RebuildError> {
    let reverts = matches!(was, "reverting" | "reverted");
    let (run, tables) = match control.last_switched().filter(|_| reverts) {
        Some(last) => (Run::of("revert", last.epoch, &last.bound_to), tables_of(&last.tables)),
        None => (Run::of("rebuild", control.epoch, &control.bound_to), tables_of(&control.tables)),
    };
    let events = log.read_stream(&run.stream).await?;
    let told = match reverts {
        // One rebuild can be put back in several tries; only one of them comes to its end.
        true => events.iter().any(|event| event.event.id == run.done("put_back").id()),
        false => events.iter().any(|event| event.event.kind.as_str() == "RunFinished"),
    };
    if events.is_empty() || told {
        return Ok(());
    }
    let cut_off = "it was cut off; a look at the tables shows that they are the old ones";
    let notes: Vec<Note> = match (control.phase.as_str(), was) {
        ("done" | "given_up", "reverting") => vec![
            run.failed("put_back", "it was cut off; a look at the tables shows that nothing was put back".into()),
            run.finished("cut_off"),
        ],
        ("done", _) => tables
            .iter()
            .map(|table| switched_note(&run, table.name()))
            .chain([run.done("switch"), run.finished("switched")])
            .collect(),
        ("reverted", _) => {
            let back = tables.iter().map(|table| reverted_note(&run, table.name()));
            back.chain([run.done("put_back"), run.finished("reverted")]).collect()
        }
        (_, "switching") => vec![run.failed("switch", cut_off.into()), run.finished("cut_off")],
        _ => vec![run.failed("build", cut_off.into()), run.finished("cut_off")],
    };
    Ok(book.write(notes).await?)
}

/// Readers see the old table again.
pub(super) fn reverted_note(run: &Run, table: &str) -> Note {
    run.once(table, OpsEvent::Reverted { table: label(table) })
}
