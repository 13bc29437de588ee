//! What the server's figures mean, and what to do about a bad one (rows R05, R21).

use super::Check;
use crate::world::game_db::{
    GameDbError,
    health::{Connections, Holder, Hosts, MetadataWait, Transaction},
};

/// Connections from which operators of the game want to know (domain.md, "Thresholds").
const CONNECTIONS_WARN: u64 = 100;
/// Of the connections there may be, so many in a hundred leave no room for a burst.
const FULL_PERCENT: u64 = 80;
/// Failed connections, in a hundred tried, that are no accident; below the count they may be.
const ABORTED_PERCENT: u64 = 5;
const ABORTED_MIN: u64 = 20;
/// Below this a table that is built anew may not fit.
const DISK_BYTES_MIN: u64 = 1 << 30;

fn unseen(check: Check, error: &GameDbError) -> Check {
    let next = match error {
        GameDbError::Denied { .. } => "grant PROCESS and SELECT on performance_schema.* to the user of WOX_GAME_DB_URL",
        _ => "wox assess again; the server's error log says more",
    };
    check.not_checked(error.to_string(), next)
}

/// Whether there is room for more connections, and whether they succeed.
#[must_use]
pub fn connections(said: &Result<Connections, GameDbError>) -> Vec<Check> {
    let room = Check::new("connections", "R05", "there is room for more connections");
    let aborted = Check::new("aborted_connects", "R21", "connections that are tried succeed");
    let Connections { connected, running, used_max, max, tried, aborted: failed, refused } = match said {
        Ok(said) => *said,
        Err(error) => return vec![unseen(room, error), unseen(aborted, error)],
    };
    let found = format!(
        "{connected} of {max} open, {running} at work; at most {used_max} at once, {refused} refused since the start"
    );
    let full = connected * 100 >= max * FULL_PERCENT || connected > CONNECTIONS_WARN;
    let room = match full {
        true => room.violated(
            found,
            "SHOW FULL PROCESSLIST says who holds them: end idle ones (KILL id), make the game's pool smaller, then raise max_connections",
        ),
        false => room.found(found),
    };
    let found = format!("{failed} of {tried} failed since the start");
    let aborted = match failed >= ABORTED_MIN && failed * 100 > tried * ABORTED_PERCENT {
        true => aborted.violated(
            found,
            "the server's error log names hosts and users (log_warnings = 2): a wrong password, a cut network, a probe that says nothing",
        ),
        false => aborted.found(found),
    };
    vec![room, aborted]
}

/// Whether a host is shut out, or soon will be.
#[must_use]
pub fn hosts(said: &Result<Option<Hosts>, GameDbError>) -> Check {
    let check = Check::new("blocked_hosts", "R05", "no host is shut out after failed connections");
    let hosts = match said {
        Ok(Some(hosts)) => hosts,
        Ok(None) => {
            let next = "performance_schema = ON in the server's configuration, then restart it";
            return check.not_available("the server keeps no performance_schema.host_cache", Some(next.into()));
        }
        Err(error) => return unseen(check, error),
    };
    if hosts.unused {
        return check.found("names are not looked up (skip_name_resolve): the server shuts no host out");
    }
    let near = hosts.hosts.iter().filter(|host| host.blocked > 0 || host.errors * 2 >= hosts.errors_max);
    let named: Vec<_> = near
        .map(|host| {
            format!("{}: {} of {} errors, turned away {} times", host.ip, host.errors, hosts.errors_max, host.blocked)
        })
        .collect();
    if named.is_empty() {
        return check.found(format!("{} hosts with errors, none near the limit", hosts.hosts.len()));
    }
    check.violated(
        named.join("; "),
        "find out why its handshakes fail, then TRUNCATE TABLE performance_schema.host_cache (FLUSH HOSTS is deprecated and hides the cause)",
    )
}

/// Whether a transaction stays open: it keeps old versions of rows alive and holds up every change of a table.
#[must_use]
pub fn transactions(said: &Result<Vec<Transaction>, GameDbError>, seconds_max: u64) -> Check {
    let says = format!("no transaction is open for {seconds_max} s or more");
    let check = Check::new("long_transactions", "R21", says);
    let found = match said {
        Ok(found) => found,
        Err(error) => return unseen(check, error),
    };
    let long: Vec<_> = found.iter().filter(|open| open.seconds >= seconds_max).collect();
    // One that waits itself is no cause: the oldest that does not wait is.
    let Some(cause) = long.iter().find(|open| !open.waits).or(long.first()) else { return check.found("none is") };
    let named: Vec<_> = long
        .iter()
        .map(|open| {
            let waits = if open.waits { ", waits itself" } else { "" };
            format!(
                "connection {} of {} since {} s, {} rows locked{waits}",
                open.connection, open.who, open.seconds, open.rows_locked
            )
        })
        .collect();
    let kill = cause.connection;
    check.violated(
        named.join("; "),
        format!("look what it does (SHOW FULL PROCESSLIST, connection {kill}); when nobody needs it: KILL {kill}"),
    )
}

/// Whether anybody waits for a lock, of rows or of a table's definition.
#[must_use]
pub fn locks(
    rows: &Result<Vec<Transaction>, GameDbError>,
    tables: &Result<Vec<MetadataWait>, GameDbError>,
    holder: Option<&Holder>,
) -> Vec<Check> {
    let row_check = Check::new("row_lock_waits", "R21", "no transaction waits for another one's rows");
    let row_check = match rows {
        Err(error) => unseen(row_check, error),
        Ok(found) => {
            let waiting: Vec<_> =
                found.iter().filter(|open| open.waits).map(|open| open.connection.to_string()).collect();
            match waiting.is_empty() {
                true => row_check.found("none does"),
                false => row_check.violated(
                    format!("connections {} wait", waiting.join(", ")),
                    "end the transaction that holds the rows: the long ones are named above (SHOW ENGINE INNODB STATUS has the rest)",
                ),
            }
        }
    };
    let check = Check::new("metadata_lock_waits", "R21", "nobody waits for a table's definition");
    let table_check = match tables {
        Err(error) => unseen(check, error),
        Ok(waits) => match waits.first() {
            None => check.found("nobody does"),
            Some(first) => {
                let found = format!("{} wait, connection {} since {} s", waits.len(), first.connection, first.seconds);
                match holder {
                    Some(holder) => check.violated(
                        format!("{found}; {holder}"),
                        format!(
                            "look what connection {0} does (SHOW FULL PROCESSLIST); when nobody needs it: KILL {0}, and not \
                             those that wait",
                            holder.connection
                        ),
                    ),
                    None => check.violated(
                        found,
                        "whoever read or locked the table and has not ended holds it (SHOW FULL PROCESSLIST): end that \
                         one (KILL), not those that wait",
                    ),
                }
            }
        },
    };
    vec![row_check, table_check]
}

/// Whether the server takes writes.
#[must_use]
pub fn read_only(said: &Result<bool, GameDbError>) -> Check {
    let check = Check::new("writable", "R05", "the game's database takes writes");
    match said {
        Err(error) => unseen(check, error),
        Ok(false) => check.found("it does"),
        Ok(true) => check.violated(
            "read_only is on",
            "when this is the primary and nothing replicates to it: SET GLOBAL read_only = 0; else point the game at the primary",
        ),
    }
}

/// Whether the server's disk has room; only where it is this machine's.
#[must_use]
pub fn disk(free: Result<u64, &str>) -> Check {
    let check = Check::new("disk", "R05", "the disk of the database has room for a table built anew");
    match free {
        Err(why) => check.not_available(why, Some("df on the database's machine, where its datadir is".into())),
        Ok(free) => {
            let found = format!("{} MiB free", free >> 20);
            match free < DISK_BYTES_MIN {
                true => check.violated(
                    found,
                    "free some space: old binary logs (PURGE BINARY LOGS), what earlier rebuilds kept (wox rebuild --drop-kept)",
                ),
                false => check.found(found),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assess::Status, world::game_db::health::Host};

    #[test]
    fn figures_that_are_bad_are_named_with_what_to_do() {
        let calm = Connections { connected: 5, running: 1, used_max: 9, max: 40, tried: 100, aborted: 19, refused: 0 };
        let status =
            |said: Connections| connections(&Ok(said)).into_iter().map(|check| check.status).collect::<Vec<_>>();
        assert_eq!(status(calm), [Status::Ok, Status::Ok]);
        assert_eq!(status(Connections { connected: 32, ..calm }), [Status::Violated, Status::Ok]);
        assert_eq!(status(Connections { connected: 101, max: 1000, ..calm }), [Status::Violated, Status::Ok]);
        assert_eq!(status(Connections { aborted: 20, ..calm }), [Status::Ok, Status::Violated]);
        assert_eq!(status(Connections { aborted: 20, tried: 10_000, ..calm }), [Status::Ok, Status::Ok]);
        let host = |errors, blocked| Host { ip: "10.0.0.7".into(), errors, blocked };
        let cache = |hosts| hosts_of(hosts, false);
        assert_eq!(hosts(&cache(vec![host(49, 0)])).status, Status::Ok);
        assert_eq!(hosts(&cache(vec![host(50, 0)])).status, Status::Violated);
        let blocked = hosts(&cache(vec![host(100, 3)]));
        assert!(
            blocked.found.contains("10.0.0.7") && blocked.next.unwrap().contains("TRUNCATE TABLE performance_schema")
        );
        assert_eq!(hosts(&Ok(None)).status, Status::NotAvailable);
        assert_eq!(disk(Ok(5)).status, Status::Violated);
        assert_eq!(disk(Err("elsewhere")).status, Status::NotAvailable);
        let lost = GameDbError::Timeout;
        assert_eq!(read_only(&Err(lost)).status, Status::NotChecked);
    }

    #[test]
    fn the_transaction_to_end_is_one_that_does_not_wait_itself() {
        let open =
            |connection, waits| Transaction { connection, seconds: 40, rows_locked: 1, waits, who: "a@b".into() };
        let check = transactions(&Ok(vec![open(7, true), open(8, false)]), 30);
        assert!(check.found.contains("connection 7") && check.next.unwrap().ends_with("KILL 8"));
        assert_eq!(transactions(&Ok(vec![open(7, true)]), 60).status, Status::Ok);
    }

    fn hosts_of(hosts: Vec<Host>, unused: bool) -> Result<Option<Hosts>, GameDbError> {
        Ok(Some(Hosts { hosts, errors_max: 100, unused }))
    }
}
