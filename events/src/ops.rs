//! What operators and the engine's surroundings did (streams `ops-…`, `incident-…`, `outbox-…`, `backup-…`;
//! rows R01 to R07 and R16 to R43 of the runbook). They change no money and no game state; projections count them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Amount, Digest, Duration, EventId, Position, Revision, StreamId, Timestamp, id::Label};

/// What operators and the engine's surroundings did (streams `ops-…`, `incident-…`, `outbox-…`, `backup-…`;
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum OpsEvent {
    /// A person decided that one event is not to be applied; its stream goes on without it.
    EventWaived {
        /// The event's position.
        position: Position,
        /// The event's stream.
        stream: StreamId,
        /// The event's revision.
        revision: Revision,
        /// The event.
        event: EventId,
        /// The reason.
        why: String,
    },
    /// An operator ran a command: dry runs and refusals included (M35).
    OperatorActed {
        /// Which.
        command: Label,
        /// What came of it.
        outcome: Label,
        /// What it was about.
        detail: String,
    },
    /// An incident began.
    IncidentOpened {
        /// What is wrong.
        title: String,
        /// critical, high, medium, low or info.
        severity: Label,
    },
    /// Two people dealt outside the engine with a finding that no event puts right. It is not told again while it is the same.
    IncidentAccepted {
        /// What it is about.
        subject: StreamId,
        /// Of the finding: procedure, subject, first bad event and what it says.
        finding: Digest,
        /// What was found.
        says: String,
        /// What was done about it.
        reason: String,
        /// Who proposed it.
        first: Label,
        /// Who looked at it and agreed.
        second: Label,
    },
    /// An incident ended.
    IncidentClosed {
        /// Why it happened.
        cause: String,
    },
    /// A component was looked at (R01).
    ComponentProbed {
        /// Which.
        component: Label,
        /// How it was.
        status: Label,
    },
    /// A service was asked to restart (R02).
    RestartRequested {
        /// Which.
        service: Label,
    },
    /// The log was opened under a new epoch.
    EngineEpochStarted {
        /// Its number.
        epoch: u64,
        /// Why.
        reason: Label,
    },
    /// A named invariant was checked (R03, R36).
    InvariantChecked {
        /// Which.
        name: Label,
        /// At which position.
        as_of: Position,
        /// Whether it held.
        ok: bool,
        /// What breaks it, if anything.
        counterexample: String,
    },
    /// A backup is being restored (R04).
    RestoreStarted {
        /// Which.
        backup: Label,
        /// Up to which position it reaches.
        base: Position,
    },
    /// A replay read everything it had to (R04).
    ReplayCompleted {
        /// Up to which position.
        as_of: Position,
        /// Of the state.
        state: Digest,
    },
    /// A person accepted that the end of the log is lost (R04, R27).
    TailLossDeclared {
        /// The first position that is lost.
        from: Position,
        /// The last.
        until: Position,
    },
    /// Something the outside world has already seen was taken over (R04, R27).
    ExternalEffectObserved {
        /// What kind of effect.
        effect: Label,
        /// Its name out there.
        reference: Label,
    },
    /// A dependency answers badly (R05).
    DependencyDegraded {
        /// Which.
        dependency: Label,
        /// How.
        reason: String,
    },
    /// A dependency is well again (R05).
    DependencyRestored {
        /// Which.
        dependency: Label,
    },
    /// A command was refused because the game was busy (R05).
    CommandRefused {
        /// Why.
        reason: Label,
    },
    /// A derived table is wrong (R06).
    ProjectionDeclaredCorrupt {
        /// Which.
        table: Label,
    },
    /// A table was built anew beside the old one (R06).
    ShadowBuilt {
        /// Which.
        table: Label,
        /// Of its rows.
        digest: Digest,
    },
    /// Readers see the new table (R06).
    SwitchedOver {
        /// Which.
        table: Label,
    },
    /// Readers see the old table again (R06).
    Reverted {
        /// Which.
        table: Label,
    },
    /// Rows were changed outside the engine (R06, R33).
    OutOfBandChangeFound {
        /// Which table.
        table: Label,
        /// Which row.
        key: Label,
    },
    /// A dump was loaded as evidence, never live (R07).
    TableImageImported {
        /// Which.
        table: Label,
        /// Of the dump.
        digest: Digest,
    },
    /// Balances were compared (R14).
    ReconciliationRun {
        /// At which position.
        as_of: Position,
        /// Of the ledger.
        ledger: Digest,
    },
    /// A balance differs (R14).
    DiscrepancyFound {
        /// Which account.
        account: Label,
        /// The first event from which it differs.
        first_bad: EventId,
        /// By how much.
        difference: Amount,
    },
    /// An effect waits for a rate limit (R19).
    EffectDeferred {
        /// Which.
        effect: EventId,
        /// Until when.
        until: Timestamp,
    },
    /// An effect is known to have happened (R19).
    EffectSent {
        /// Which.
        effect: EventId,
        /// Its id out there.
        remote: Label,
    },
    /// An effect is no longer wanted (R19).
    EffectExpired {
        /// Which.
        effect: EventId,
    },
    /// An endpoint answered a probe (R20).
    ProbeResult {
        /// Which.
        endpoint: Label,
        /// Whether the answer was right.
        ok: bool,
    },
    /// An endpoint disagreed with the others (R20).
    EndpointQuarantined {
        /// Which.
        endpoint: Label,
    },
    /// Another endpoint is used (R20).
    FailedOver {
        /// The one.
        from: Label,
        /// The other.
        to: Label,
    },
    /// A connection pool was opened anew (R21).
    PoolReset {
        /// Of which dependency.
        dependency: Label,
    },
    /// A notice is to be sent (R22, R40).
    NoticeQueued {
        /// To whom.
        audience: Label,
        /// What.
        text: String,
    },
    /// A notice was sent (R22, R40).
    NoticeSent {
        /// Which.
        notice: EventId,
        /// Its id out there.
        remote: Label,
    },
    /// A notice is no longer right (R22, R40).
    NoticeSuperseded {
        /// Which.
        notice: EventId,
    },
    /// Commands are refused from now on (R24).
    LockdownDeclared {
        /// Which commands.
        scope: Label,
        /// Until when at the latest.
        until: Timestamp,
    },
    /// The state at the start of a lockdown (R24).
    CutTaken {
        /// Where.
        position: Position,
        /// Of the state.
        state: Digest,
    },
    /// Commands are taken again (R24).
    LockdownLifted {
        /// Which commands.
        scope: Label,
    },
    /// The engine changed its mode (R25).
    ModeChanged {
        /// Which.
        mode: Label,
    },
    /// A class of commands may be taken again (R25).
    GatePassed {
        /// Which.
        class: Label,
        /// What was checked.
        check: Label,
    },
    /// The log was saved (R26).
    BackupTaken {
        /// Up to where.
        position: Position,
        /// Of the manifest.
        digest: Digest,
    },
    /// A backup was restored and replayed (R26, R39).
    BackupVerified {
        /// Of the manifest.
        digest: Digest,
        /// Of the replayed state.
        state: Digest,
    },
    /// A restored log was checked against the outside (R27).
    RestoreVerified {
        /// Its root.
        root: Digest,
    },
    /// A restored log goes on under a new epoch (R27).
    EpochStarted {
        /// Its number.
        epoch: u64,
    },
    /// A component passed its checks (R28).
    ComponentVerified {
        /// Which.
        component: Label,
        /// How many.
        checks: u32,
    },
    /// A procedure was drilled on a copy (R29).
    DrillRun {
        /// Which.
        scenario: Label,
        /// Of the end state.
        digest: Digest,
    },
    /// A test alert was sent (R30).
    AlertDrillFired {
        /// Which.
        drill: Label,
    },
    /// A test alert arrived (R30).
    AlertDrillReceived {
        /// Which.
        drill: Label,
        /// After how long.
        latency: Duration,
    },
    /// A target was measured (R31).
    SloMeasured {
        /// Which.
        metric: Label,
        /// The value, in microseconds.
        micros: u64,
    },
    /// A person did something by hand and says so (R33).
    ManualActionAttested {
        /// What.
        what: String,
        /// Of the transcript.
        digest: Digest,
    },
    /// A procedure changed (R34).
    ProcedureRevised {
        /// The old text.
        from: Digest,
        /// The new text.
        to: Digest,
    },
    /// A figure left its range (R37).
    ThresholdCrossed {
        /// Which.
        metric: Label,
        /// The figure.
        value: u64,
    },
    /// The engine decided whether to act alone (R38).
    AutoRecoveryDecided {
        /// A, B or C.
        class: Label,
        /// Under which policy.
        policy: Label,
    },
    /// A backup drill passed (R39).
    BackupDrillPassed {
        /// Of the manifest.
        digest: Digest,
        /// How long it took.
        rto: Duration,
    },
    /// A notice was prepared (R40).
    NoticePlanned {
        /// To whom.
        audience: Label,
    },
    /// The cause of an incident is known (R41).
    RootCauseLinked {
        /// The event, build or dependency that caused it.
        event: EventId,
    },
    /// A recovery is expected to take this long (R42).
    EtaPublished {
        /// At least.
        low: Duration,
        /// At most.
        high: Duration,
    },
    /// The expectation changed (R42).
    EtaRevised {
        /// At least.
        low: Duration,
        /// At most.
        high: Duration,
    },
    /// A step was taken out of order (R43).
    OrderOverridden {
        /// Which.
        step: Label,
        /// Why.
        why: Label,
    },
    /// A running game's tables are being taken over (E5). A store is born once: what the import reads and whom it takes
    /// the handles for is fixed here.
    GenesisBegun {
        /// The digest of the whole import: tables, players, options.
        import: Digest,
        /// When the snapshot was taken, by the database's clock.
        taken_at: Timestamp,
        /// The tables, as they were read.
        tables: Vec<TableTaken>,
        /// Of the handles and the players they are.
        players: Digest,
        /// What an operator said the prize pool holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pool: Option<Amount>,
        /// The chain of the transactions.
        chain: u64,
    },
    /// A row of the tables was left out of the import, by an operator's will (E5).
    GenesisRowLeftOut {
        /// Its table.
        table: Label,
        /// Its key.
        key: String,
        /// Why it cannot be taken over.
        reason: String,
    },
    /// The tables were taken over to their last row (E5).
    GenesisCompleted {
        /// The digest of the whole import.
        import: Digest,
        /// Rows read.
        rows: u64,
        /// Rows taken over.
        imported: u64,
        /// Rows left out.
        left_out: u64,
    },
}

/// A table as an import read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableTaken {
    /// Which.
    pub table: Label,
    /// How many rows it had.
    pub rows: u64,
    /// Over every row as it was read; `wox diff` gives the same for the same rows.
    pub digest: Digest,
}
