//! Connecting, and what the shape of the tables says.

use std::time::{Duration, Instant};

use strum::VariantArray as _;
use wox_recovery::{
    tables::Table,
    world::game_db::{GameDb, GameDbError},
};

use crate::mariadb::{self, Server};

fn no_secret(error: &GameDbError) -> String {
    let mut told = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        told += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    for part in [mariadb::PASSWORD, mariadb::PASSWORD_IN_URL, "s3cr3t"] {
        assert!(!told.contains(part), "{told}");
    }
    told
}

#[tokio::test]
async fn the_published_schema_has_no_problem() {
    let (_server, game) = mariadb::game().await;
    let mut session = GameDb::new(&game.url).unwrap().connect().await.unwrap();
    let schema = session.schema(Table::VARIANTS).await.unwrap();
    assert_eq!(schema.problems, []);
    assert_eq!((schema.tables.len(), schema.missing.len()), (5, 0));
    let keys = |table| schema.table(table).unwrap().foreign_keys.len();
    assert_eq!((keys(Table::Players), keys(Table::ActiveDuels), keys(Table::WithdrawalRequests)), (0, 2, 1));
    let money = &schema.table(Table::Players).unwrap().layout.shapes[6];
    assert_eq!((money.scale, money.whole_digits, money.nullable), (2, 8, false));
    session.close().await;
}

#[tokio::test]
async fn every_way_not_to_get_in_is_told_apart_and_none_tells_the_password() {
    let mut server = Server::start();
    let url = server.url("mysql");
    GameDb::new(&url).unwrap().connect().await.unwrap();
    let wrong = url.replace(mariadb::PASSWORD_IN_URL, "s3cr3t-and-wrong");
    let denied = GameDb::new(&wrong).unwrap().connect().await.unwrap_err();
    assert!(matches!(denied, GameDbError::Denied { .. }), "{}", no_secret(&denied));
    let nowhere = GameDb::new(&server.url("nowhere")).unwrap().connect().await.unwrap_err();
    assert!(matches!(nowhere, GameDbError::NoDatabase { .. }), "{}", no_secret(&nowhere));
    let tls = GameDb::new(&format!("{url}?ssl-mode=REQUIRED")).unwrap().connect().await.unwrap_err();
    assert!(matches!(tls, GameDbError::NeedsTls { .. }), "{}", no_secret(&tls));
    server.kill();
    let down = GameDb::new(&url).unwrap().connect().await.unwrap_err();
    assert!(matches!(down, GameDbError::Unreachable { .. }), "{}", no_secret(&down));
}

#[tokio::test]
async fn somebody_who_accepts_and_says_nothing_is_not_waited_for() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let since = Instant::now();
    let error = GameDb::new(&format!("mysql://u:s3cr3t@127.0.0.1:{port}/d")).unwrap().connect().await.unwrap_err();
    assert!(matches!(error, GameDbError::ConnectTimeout { .. }), "{}", no_secret(&error));
    assert!(since.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn what_is_wrong_with_the_shape_is_named_with_what_to_do() {
    let (_server, game) = mariadb::game().await;
    game.run(
        "DROP TABLE active_duels, withdrawal_requests;
        ALTER TABLE players DROP COLUMN titles, MODIFY withdrawable_galleons DOUBLE, CONVERT TO CHARACTER SET latin1,
            ADD mood VARCHAR(20);
        DROP TABLE burn_queue;
        ALTER TABLE processed_transactions ENGINE=MyISAM;",
    )
    .await;
    let mut session = GameDb::new(&game.url).unwrap().connect().await.unwrap();
    let schema = session.schema(Table::VARIANTS).await.unwrap();
    assert_eq!(schema.missing, [Table::ActiveDuels, Table::WithdrawalRequests, Table::BurnQueue]);
    let found = |table, column: Option<&str>, part: &str, fatal| {
        let problem = schema.problems.iter().find(|problem| {
            problem.table == table && problem.column.as_deref() == column && problem.what.contains(part)
        });
        let problem = problem.unwrap_or_else(|| panic!("{table} {column:?} {part}: {:#?}", schema.problems));
        assert_eq!(problem.fatal, fatal, "{problem:?}");
        assert!(!problem.next.is_empty());
    };
    found(Table::Players, Some("titles"), "missing", true);
    found(Table::Players, Some("withdrawable_galleons"), "double", true);
    found(Table::Players, Some("name"), "latin1", false);
    found(Table::ProcessedTransactions, None, "MyISAM", true);
    assert_eq!(schema.table(Table::Players).unwrap().layout.extras, ["mood"]);
}
