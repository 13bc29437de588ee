//! JSON Schemas of every kind, generated from the types, and the list of kinds.

use schemars::{JsonSchema, generate::SchemaSettings};
use strum::VariantArray as _;

use crate::{
    AgentEvent, BurnEvent, ChainEvent, CommandEvent, DepositEvent, DuelEvent, Family, OpsEvent, PlayerEvent, PoolEvent,
    RecoveryEvent, TournamentEvent, WithdrawalEvent, record::CanonicalRecord, upcast::current_version,
};

/// Every kind this build knows, with its family.
pub fn kinds() -> impl Iterator<Item = (Family, &'static str)> {
    Family::VARIANTS.iter().flat_map(|family| family.kinds().iter().map(|kind| (*family, *kind)))
}

/// The JSON Schema (2020-12) of a family's events: one entry of `oneOf` a kind, tagged by the kind.
#[must_use]
pub fn family_schema(family: Family) -> serde_json::Value {
    fn of<T: JsonSchema>() -> serde_json::Value {
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
    }
    match family {
        Family::Player => of::<PlayerEvent>(),
        Family::Duel => of::<DuelEvent>(),
        Family::Tournament => of::<TournamentEvent>(),
        Family::Deposit => of::<DepositEvent>(),
        Family::Withdrawal => of::<WithdrawalEvent>(),
        Family::Burn => of::<BurnEvent>(),
        Family::Pool => of::<PoolEvent>(),
        Family::Agent => of::<AgentEvent>(),
        Family::Command => of::<CommandEvent>(),
        Family::Recovery => of::<RecoveryEvent>(),
        Family::Ops => of::<OpsEvent>(),
        Family::Chain => of::<ChainEvent>(),
    }
}

/// The JSON Schema of the payload of one kind at its current version, or `None` for a kind this build does not know.
#[must_use]
pub fn kind_schema(kind: &str) -> Option<serde_json::Value> {
    let (family, kind) = kinds().find(|(_, known)| *known == kind)?;
    let mut root = family_schema(family);
    let definitions = root.get("$defs").cloned();
    let variant = root
        .get_mut("oneOf")?
        .as_array_mut()?
        .iter_mut()
        .find_map(|entry| entry.get_mut("properties")?.get_mut(kind).map(serde_json::Value::take))?;
    let mut schema = variant;
    let object = schema.as_object_mut()?;
    object.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    object.insert("$id".into(), format!("urn:wox:event:{family}:{kind}:v{}", current_version(kind)).into());
    object.insert("title".into(), kind.into());
    if let Some(definitions) = definitions {
        object.insert("$defs".into(), definitions);
    }
    Some(schema)
}

/// The JSON Schema of one line of a canonical export.
#[must_use]
pub fn record_schema() -> serde_json::Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<CanonicalRecord>().to_value()
}
