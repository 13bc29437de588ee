//! Puts the tables back that were live before the rebuild that was switched last, by one RENAME, once. What the rebuild had
//! put in place is kept beside them. One that came to nothing later does not take this away; it only has to be confirmed.

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
        switch::{Control, Fence, Held, Rename, Switched},
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
    let Some(last) = control.last_switched() else {
        return nothing(format!("rebuild {} was not switched", control.epoch));
    };
    if control.phase == "reverted" {
        return Ok(Reverted::Already { epoch: last.epoch });
    }
    ours(order, &control, &last).await?;
    let tables = tables_of(&last.tables);
    for table in &tables {
        let old = old_name(last.epoch, *table);
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
    let back = Back { last: &last, tables: &tables, schema: &schema, live: &live };
    let done = match back.confirmed(&control, confirmed) {
        Ok(()) => back.put(order, fence, &mut control, &mut session).await,
        Err(refused) => Err(refused),
    };
    session.close().await;
    done.map(|()| Reverted::Done { epoch: last.epoch, tables })
}

/// Whether this store may put back what the control row speaks of: the steps are written down in it.
async fn ours(order: Order<'_>, control: &Control, last: &Switched) -> Result<(), RebuildError> {
    let Some(made) = &control.sources.live else { return Ok(()) };
    let head = order.log.head().await?;
    let what = if made.log != head.log {
        format!("rebuild {} was made from another log", last.epoch)
    } else if made.as_of > head.position || order.log.root_at(made.as_of).await? != made.root {
        format!(
            "rebuild {} was made from this log up to position {}, and this store is an older copy or went on from one",
            last.epoch, made.as_of
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

/// What is put back, and what was seen of it.
struct Back<'a> {
    last: &'a Switched,
    tables: &'a [Table],
    schema: &'a Schema,
    /// The digests of the live tables, in that order.
    live: &'a [Digest],
}

impl Back<'_> {
    /// Refuses what would be lost or undone without having been named to somebody. `confirmed` is the beginning of the id
    /// that a refusal gave.
    fn confirmed(&self, control: &Control, confirmed: Option<&str>) -> Result<(), RebuildError> {
        let put: Vec<Option<Digest>> = self.last.digests.split(',').map(|digest| digest.parse().ok()).collect();
        let written = self.tables.iter().zip(self.live).zip(&put).filter(|((_, live), put)| Some(**live) != **put);
        let tables: Vec<String> = written.map(|((table, _), _)| table.to_string()).collect();
        let loss = Loss { epoch: self.last.epoch, bound_to: &self.last.bound_to, live: self.live };
        let id = Digest::of(Json::of(&loss)?.as_str().as_bytes()).to_string();
        if confirmed.is_some_and(|confirmed| id.starts_with(confirmed)) {
            return Ok(());
        }
        if control.epoch != self.last.epoch {
            return Err(RebuildError::NotTheLast { last: control.epoch, epoch: self.last.epoch, tables, id });
        }
        if tables.is_empty() { Ok(()) } else { Err(RebuildError::WrittenSince { tables, id }) }
    }

    async fn put(
        &self,
        order: Order<'_>,
        fence: &mut Fence,
        control: &mut Control,
        session: &mut Session,
    ) -> Result<(), RebuildError> {
        let Switched { epoch, bound_to, .. } = self.last;
        let run = Run::of("revert", *epoch, bound_to);
        order.book.write(vec![run.started("revert", bound_to), run.step("put_back")]).await?;
        control.phase = "reverting".into();
        fence.write(control).await?;
        let names: Vec<String> = self.tables.iter().map(Table::to_string).collect();
        let held = match Held::take(order.db, &names, order.wait_seconds).await {
            Ok(held) => held,
            Err(error) => return Err(undo(fence, control, error.into()).await),
        };
        let held = match self.still(held, fence, control).await {
            Ok(held) => held,
            Err(error) => return Err(undo(fence, control, error).await),
        };
        let out = self.tables.iter().map(|table| Rename { from: table.to_string(), to: undone_name(*epoch, *table) });
        let back = self.tables.iter().map(|table| Rename { from: old_name(*epoch, *table), to: table.to_string() });
        match held.rename(&out.chain(back).collect::<Vec<_>>(), session).await {
            Ok(()) => {}
            Err(source @ (GameDbError::Broken { .. } | GameDbError::Timeout | GameDbError::Answer { .. })) => {
                return Err(RebuildError::Unknown { source });
            }
            Err(error) => return Err(undo(fence, control, error.into()).await),
        }
        control.reverted();
        fence.write(control).await.map_err(|source| RebuildError::Unknown { source })?;
        let notes = self.tables.iter().map(|table| reverted_note(&run, table.name()));
        let notes = notes.chain([run.done("put_back"), run.finished("reverted")]).collect();
        order.book.write(notes).await.map_err(|source| RebuildError::SwitchedUnrecorded { source })
    }

    /// With the tables held: whether they are as they were seen.
    async fn still(&self, mut held: Held, fence: &mut Fence, control: &Control) -> Result<Held, RebuildError> {
        let looked = async {
            let found = held.control().await?;
            let same = found
                .is_some_and(|found| (found.epoch, found.phase.as_str()) == (control.epoch, control.phase.as_str()));
            if !same || !fence.is_ours().await? {
                return Err(RebuildError::Fenced);
            }
            let mut written = Vec::new();
            for (table, seen) in self.schema.tables.iter().zip(self.live) {
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
}

/// Nothing was put back: the rebuild's tables stay.
async fn undo(fence: &mut Fence, control: &mut Control, error: RebuildError) -> RebuildError {
    if !matches!(error, RebuildError::Fenced) {
        control.not_reverted();
        if fence.write(control).await.is_err() {
            tracing::warn!("the next rebuild finds out that nothing was put back");
        }
    }
    error
}
