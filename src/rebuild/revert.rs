//! Puts the tables back that were live before the last rebuild, by one RENAME, once. What the rebuild had put in place is
//! kept beside them.

use serde::Serialize;
use wox_events::{Digest, Json};

use super::{
    RebuildError,
    book::Run,
    look::{RowProgress, digest},
    run::Order,
    settle::{reverted_note, tables_of},
};
use crate::{
    tables::Table,
    world::game_db::{
        GameDbError, Session,
        schema::Schema,
        shadow::{OLD, old_name, undone_name},
        switch::{Control, Fence, Held, Rename},
    },
};

/// What putting back came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reverted {
    /// It was done before.
    Already {
        /// The rebuild's number.
        epoch: u64,
    },
    /// The old tables are live again.
    Done {
        /// The rebuild's number.
        epoch: u64,
        /// Its tables.
        tables: Vec<Table>,
    },
}

/// What a confirmation of lost rows is bound to.
#[derive(Serialize)]
struct Loss<'a> {
    epoch: u64,
    bound_to: &'a str,
    live: &'a [Digest],
}

/// Puts the old tables back. `confirmed` names the rows that are lost by it: the beginning of the id that a refusal gave.
pub async fn revert(
    order: Order<'_>,
    fence: &mut Fence,
    last: Option<Control>,
    confirmed: Option<&str>,
) -> Result<Reverted, RebuildError> {
    let nothing = |why: String| Err(RebuildError::NothingToRevert { why });
    let Some(mut control) = last else {
        let kept = fence.session().tables_called(OLD).await?;
        return nothing(match kept.is_empty() {
            true => "no rebuild was ever made here".into(),
            false => format!(
                "the control table is gone, so nobody knows which of the kept tables belong together: {}",
                kept.join(", ")
            ),
        });
    };
    match control.phase.as_str() {
        "reverted" => return Ok(Reverted::Already { epoch: control.epoch }),
        "done" => {}
        _ => return nothing(format!("rebuild {} was not switched", control.epoch)),
    }
    ours(order, &control).await?;
    let tables = tables_of(&control);
    for table in &tables {
        let old = old_name(control.epoch, *table);
        if !fence.session().tables_called(&old).await?.contains(&old) {
            return nothing(format!("{old} is not there: {table} was lost before the rebuild, or {old} was dropped"));
        }
    }
    let mut session = order.db.connect().await?;
    let seen = look_at(&mut session, &tables).await;
    let (schema, live) = match seen {
        Ok(seen) => seen,
        Err(error) => {
            session.close().await;
            return Err(error);
        }
    };
    let done = put_back(order, fence, &mut control, &tables, &schema, &live, confirmed, &mut session).await;
    session.close().await;
    done.map(|()| Reverted::Done { epoch: control.epoch, tables })
}

/// Whether this store may put back what the control row speaks of: the steps are written down in it.
async fn ours(order: Order<'_>, control: &Control) -> Result<(), RebuildError> {
    let Some(made) = &control.sources.live else { return Ok(()) };
    let head = order.log.head().await?;
    let what = if made.log != head.log {
        format!("rebuild {} was made from another log", control.epoch)
    } else if made.as_of > head.position || order.log.root_at(made.as_of).await? != made.root {
        format!(
            "rebuild {} was made from this log up to position {}, and this store is an older copy or went on from one",
            control.epoch, made.as_of
        )
    } else {
        return Ok(());
    };
    let next = "run the command on the store from which the rebuild was made (--store)".into();
    Err(RebuildError::NotOurs { what, next })
}

async fn look_at(session: &mut Session, tables: &[Table]) -> Result<(Schema, Vec<Digest>), RebuildError> {
    let schema = session.schema(tables).await?;
    if let Some(lost) = schema.missing.first() {
        return Err(RebuildError::NothingToRevert { why: format!("{lost} is lost; a rebuild makes it again") });
    }
    let mut live = Vec::new();
    for table in &schema.tables {
        live.push(digest(session, table.table.name(), &table.columns, &RowProgress::default()).await?);
    }
    Ok((schema, live))
}

#[expect(clippy::too_many_arguments, reason = "the parts of one step, named one by one")]
async fn put_back(
    order: Order<'_>,
    fence: &mut Fence,
    control: &mut Control,
    tables: &[Table],
    schema: &Schema,
    live: &[Digest],
    confirmed: Option<&str>,
    session: &mut Session,
) -> Result<(), RebuildError> {
    let put: Vec<Option<Digest>> = control.digests.split(',').map(|digest| digest.parse().ok()).collect();
    let written = tables.iter().zip(live).zip(&put).filter(|((_, live), put)| Some(**live) != **put);
    let written: Vec<String> = written.map(|((table, _), _)| table.to_string()).collect();
    let loss = Loss { epoch: control.epoch, bound_to: &control.bound_to, live };
    let id = Digest::of(Json::of(&loss)?.as_str().as_bytes()).to_string();
    if !written.is_empty() && !confirmed.is_some_and(|confirmed| id.starts_with(confirmed)) {
        return Err(RebuildError::WrittenSince { tables: written, id });
    }
    let run = Run::of("revert", control.epoch, &control.bound_to);
    order.book.write(vec![run.started("revert", &control.bound_to), run.step("put_back")]).await?;
    control.phase = "reverting".into();
    fence.write(control).await?;
    let held = match Held::take(order.db, &names(tables), order.wait_seconds).await {
        Ok(held) => held,
        Err(error) => return Err(undo(fence, control, error.into()).await),
    };
    let held = match still(held, fence, control, schema, live).await {
        Ok(held) => held,
        Err(error) => return Err(undo(fence, control, error).await),
    };
    let epoch = control.epoch;
    let out = tables.iter().map(|table| Rename { from: table.to_string(), to: undone_name(epoch, *table) });
    let back = tables.iter().map(|table| Rename { from: old_name(epoch, *table), to: table.to_string() });
    match held.rename(&out.chain(back).collect::<Vec<_>>(), session).await {
        Ok(()) => {}
        Err(source @ (GameDbError::Broken { .. } | GameDbError::Timeout | GameDbError::Answer { .. })) => {
            return Err(RebuildError::Unknown { source });
        }
        Err(error) => return Err(undo(fence, control, error.into()).await),
    }
    control.reverted();
    fence.write(control).await.map_err(|source| RebuildError::Unknown { source })?;
    let notes = tables.iter().map(|table| reverted_note(&run, table.name()));
    let notes = notes.chain([run.done("put_back"), run.finished("reverted")]).collect();
    order.book.write(notes).await.map_err(|source| RebuildError::SwitchedUnrecorded { source })
}

fn names(tables: &[Table]) -> Vec<String> {
    tables.iter().map(Table::to_string).collect()
}

/// With the tables held: whether they are as they were seen.
async fn still(
    mut held: Held,
    fence: &mut Fence,
    control: &Control,
    schema: &Schema,
    live: &[Digest],
) -> Result<Held, RebuildError> {
    let looked = async {
        let found = held.control().await?;
        let same =
            found.is_some_and(|found| (found.epoch, found.phase.as_str()) == (control.epoch, control.phase.as_str()));
        if !same || !fence.is_ours().await? {
            return Err(RebuildError::Fenced);
        }
        let mut written = Vec::new();
        for (table, seen) in schema.tables.iter().zip(live) {
            let Some(session) = held.session(table.table.name()) else { continue };
            if digest(session, table.table.name(), &table.columns, &RowProgress::default()).await? != *seen {
                written.push(table.table.to_string());
            }
        }
        if written.is_empty() { Ok(()) } else { Err(RebuildError::Written { tables: written, seconds: 0 }) }
    }
    .await;
    match looked {
        Ok(()) => Ok(held),
        Err(error) => {
            let _nothing_held = held.let_go().await;
            Err(error)
        }
    }
}

/// Nothing was put back: the rebuild's tables stay.
async fn undo(fence: &mut Fence, control: &mut Control, error: RebuildError) -> RebuildError {
    if !matches!(error, RebuildError::Fenced) {
        control.phase = "done".into();
        if fence.write(control).await.is_err() {
            tracing::warn!("the next rebuild finds out that nothing was put back");
        }
    }
    error
}
