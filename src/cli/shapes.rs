//! Every JSON shape that commands print, by its name: what `wox schema --shapes` lists, what `schemas/` holds, and what
//! the tests hold the output against. A document says its name in the field `schema`, and so does every line of JSON
//! Lines. A change that a reader could notice is a new version of the name.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Value, json};

use super::{
    append, apply, approve, bisect, config_show, demo, diff, digest, doctor, error, explain, export, fork, import,
    init, observe, plan, progress, rebuild, reconcile, recover, render::Shape, schema, show, state, status, verify,
};
use crate::{audit, recovery, tables};

/// A shape with its schema.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// `wox/<name>/v<n>`.
    pub name: &'static str,
    /// The command that prints it.
    pub by: &'static str,
    schema: fn(&str) -> Value,
}

impl Published {
    /// The JSON Schema (2020-12), made from the type that is printed.
    #[must_use]
    pub fn schema(&self) -> Value {
        (self.schema)(self.name)
    }

    /// Its file in `schemas/`: `wox.plan.v1.json`.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.json", self.name.replace('/', "."))
    }
}

macro_rules! shapes {
    ($($name:literal, $by:literal => $shape:ty;)+) => {
        $(impl Shape for $shape {
            const NAME: &'static str = $name;
        })+

        /// Every shape, in the order of the commands.
        pub const ALL: &[Published] = &[$(Published { name: $name, by: $by, schema: schema_of::<$shape> }),+];
    };
}

shapes! {
    "wox/demo/v1", "demo" => demo::DemoReport;
    "wox/init/v1", "init" => init::Created;
    "wox/import/v1", "import" => import::ImportReport;
    "wox/import-base-receipts/v1", "import base-receipts" => import::base_receipts::ReceiptsReport;
    "wox/import-game-db/v1", "import game-db" => import::game_db::GenesisReport;
    "wox/import-game-db-table/v1", "import game-db, one line a table" => import::game_db::TableImported;
    "wox/export/v1", "export" => export::Exported;
    "wox/ack/v1", "append" => append::AckLine;
    "wox/verify/v1", "verify" => verify::Verified;
    "wox/fork/v1", "fork" => fork::Forked;
    "wox/verify-check/v1", "verify, one line a check" => verify::CheckLine;
    "wox/digest/v1", "digest" => digest::DigestReport;
    "wox/event/v1", "show, one event" => show::EventShown;
    "wox/stream/v1", "show, one stream" => show::StreamShown;
    "wox/state/v1", "state" => state::StateReport;
    "wox/projection-digest/v1", "state, one line a projection" => digest::ProjectionDigest;
    "wox/projection/v1", "state NAME" => state::WholeProjection;
    "wox/projection-line/v1", "state NAME, one line an entry" => state::ProjectionLine;
    "wox/projection-entry/v1", "state NAME KEY" => state::ProjectionEntry;
    "wox/bisect/v1", "bisect" => bisect::BisectResult;
    "wox/bisect-broken/v1", "bisect --invariant, one line a subject" => bisect::BadEvent;
    "wox/bisect-look/v1", "bisect --run, one line a look" => bisect::Look;
    "wox/bisect-log/v1", "bisect --log, the first line of the file" => bisect::command::Header;
    "wox/invariants/v1", "bisect --list" => bisect::Invariants;
    "wox/invariant/v1", "bisect --list, one line an invariant" => bisect::InvariantLine;
    "wox/explain/v1", "explain" => explain::Explanation;
    "wox/posting/v1", "explain, one line a movement" => audit::explain::Entry;
    "wox/grounds/v1", "explain deposit, withdrawal or burn" => explain::verdict::Explained;
    "wox/evidence/v1", "explain deposit, withdrawal or burn, one line a look" => audit::grounds::LookShown;
    "wox/plan/v1", "plan, recover; plan files" => recovery::Plan;
    "wox/plan-item/v1", "plan, one line a compensation" => recovery::Item;
    "wox/plan-record/v1", "plan show" => plan::PlanShown;
    "wox/approval/v1", "approve" => approve::Approved;
    "wox/apply/v1", "apply" => apply::ApplyReport;
    "wox/findings/v1", "recover WHAT" => recover::FindingsReport;
    "wox/finding/v1", "recover WHAT, one line a finding" => recovery::Finding;
    "wox/diff/v1", "diff" => diff::DiffResult;
    "wox/difference/v1", "diff, one line a row that differs" => tables::Difference;
    "wox/rebuild/v1", "rebuild" => rebuild::RebuildReport;
    "wox/rebuild-table/v1", "rebuild, one line a table" => rebuild::TableReport;
    "wox/revert/v1", "rebuild --revert" => rebuild::RevertReport;
    "wox/rebuild-kept/v1", "rebuild --drop-kept" => rebuild::KeptReport;
    "wox/row/v1", "recover WHAT ID --write" => recover::RowReport;
    "wox/assess/v1", "assess" => super::assess::AssessReport;
    "wox/check/v1", "assess, one line a check" => crate::assess::Check;
    "wox/looks/v1", "observe" => observe::Observed;
    "wox/look/v1", "observe, one line a look" => observe::Row;
    "wox/reconciliation/v1", "reconcile" => reconcile::Reconciled;
    "wox/comparison/v1", "reconcile, one line a comparison" => reconcile::Compared;
    "wox/kinds/v1", "schema" => schema::Kinds;
    "wox/kind/v1", "schema, one line a kind" => schema::KindLine;
    "wox/shapes/v1", "schema --shapes" => schema::Shapes;
    "wox/shape/v1", "schema --shapes, one line a shape" => schema::ShapeLine;
    "wox/status/v1", "status" => status::StatusReport;
    "wox/doctor/v1", "doctor" => doctor::DoctorReport;
    "wox/doctor-check/v1", "doctor, one line a check" => doctor::Check;
    "wox/config/v1", "config show" => config_show::SettingsShown;
    "wox/setting/v1", "config show, one line a setting" => config_show::SettingShown;
    "wox/progress/v1", "every command with --progress json, on stderr" => progress::ProgressLine;
    "wox/error/v1", "every command that fails with --output json or jsonl, on stderr" => error::ErrorLine;
}

/// The schema of what is printed as `name`: the type's own, closed to fields it does not have, with the name in front.
fn schema_of<T: JsonSchema>(name: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.with_transform(RecursiveTransform(close)).into_generator().into_root_schema_for::<T>();
    let mut properties = BTreeMap::from([("schema".to_owned(), json!({"const": name}))]);
    if let Some(Value::Object(own)) = schema.get("properties") {
        let others = own.iter().filter(|(field, _)| *field != "schema");
        properties.extend(others.map(|(field, shape)| (field.clone(), shape.clone())));
    }
    let mut required = vec![json!("schema")];
    if let Some(Value::Array(own)) = schema.get("required") {
        required.extend(own.iter().filter(|field| *field != "schema").cloned());
    }
    schema.insert("title".into(), name.into());
    schema.insert("$id".into(), format!("urn:{}", name.replace('/', ":")).into());
    schema.insert("properties".into(), json!(properties));
    schema.insert("required".into(), required.into());
    schema.to_value()
}

/// An object has the fields it lists and no other.
fn close(schema: &mut Schema) {
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
        schema.insert("additionalProperties".into(), false.into());
    }
}
