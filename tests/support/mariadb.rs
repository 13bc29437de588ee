//! A real MariaDB for the tests: its own port, its own data directory, gone when dropped.
//!
//! `mariadbd` comes from the Debian package `mariadb-server-core`, which has no service (`./test` installs it). The empty
//! data directory is made once and copied for every server, so a server is there in a fraction of a second. With
//! `WOX_TEST_MYSQL_URL` tests that only need a database get one of their own on that server instead.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its part")]

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection as _, Row as _, mysql::MySqlConnection};

pub const USER: &str = "wizard";
/// A password with everything a URL must escape: none of it may ever show in a message.
pub const PASSWORD: &str = "s3cr3t:p@ss/w#rd";
pub const PASSWORD_IN_URL: &str = "s3cr3t%3Ap%40ss%2Fw%23rd";

/// The game's tables as the game has them, foreign keys included.
pub const GAME_TABLES: &str = include_str!("../../migrations/mysql/game_tables.sql");
pub const FOREIGN_KEYS: &str = "
    ALTER TABLE active_duels ADD FOREIGN KEY (player1) REFERENCES players(twitter_handle),
        ADD FOREIGN KEY (player2) REFERENCES players(twitter_handle);
    ALTER TABLE withdrawal_requests ADD FOREIGN KEY (twitter_handle) REFERENCES players(twitter_handle);";

/// A server of our own.
pub struct Server {
    child: Child,
    dir: tempfile::TempDir,
    pub port: u16,
    options: Vec<String>,
}

impl Server {
    pub fn start() -> Server {
        Server::with(&[])
    }

    /// Starts a server with more options, such as `--read-only=1`.
    pub fn with(options: &[&str]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        copy(&template(), &dir.path().join("data"));
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        // A port that is free now may be taken a moment later: then another one is tried.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(child) = launch(dir.path(), port, &options) {
                return Server { child, dir, port, options };
            }
        }
        panic!("mariadbd does not start: {}", fs::read_to_string(dir.path().join("log")).unwrap_or_default());
    }

    pub fn url(&self, database: &str) -> String {
        format!("mysql://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", self.port)
    }

    /// A server that others than this machine reach, and that looks up their names.
    pub fn reachable(options: &[&str]) -> Server {
        let mut all = vec!["--bind-address=0.0.0.0", "--skip-name-resolve=0"];
        all.extend(options);
        Server::with(&all)
    }

    /// Damages pages of a file of the data directory while the server is down, then starts it again.
    pub fn damage(&mut self, file: &str) {
        // An orderly end: what is damaged must be on the disk, and not come back from the redo log.
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
        let path = self.dir.path().join("data").join(file);
        let mut bytes = fs::read(&path).unwrap();
        // Behind the header pages: the first page of rows. Its checksum is wrong from here on.
        for byte in &mut bytes[3 * 16384 + 200..3 * 16384 + 1000] {
            *byte ^= 0x5a;
        }
        fs::write(&path, bytes).unwrap();
        self.child = launch(self.dir.path(), self.port, &self.options).expect("a server with one bad table starts");
    }

    /// Kills the server as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same data and the same port.
    pub fn restart(&mut self) {
        self.kill();
        self.child = launch(self.dir.path(), self.port, &self.options).expect("a killed server recovers");
    }

    /// Starts it again with other options.
    pub fn restart_with(&mut self, options: &[&str]) {
        self.options = options.iter().map(|option| (*option).to_owned()).collect();
        self.restart();
    }

    /// A database with the game's five empty tables.
    pub async fn game(&self, name: &str) -> Database {
        let mut root = connect(&self.url("mysql")).await;
        run(&mut root, &format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4")).await;
        let database = Database { url: self.url(name), name: name.to_owned() };
        let mut game = database.connect().await;
        run(&mut game, GAME_TABLES).await;
        run(&mut game, FOREIGN_KEYS).await;
        database
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// One database of a server.
pub struct Database {
    pub url: String,
    pub name: String,
}

impl Database {
    pub async fn connect(&self) -> MySqlConnection {
        connect(&self.url).await
    }

    pub async fn run(&self, sql: &str) {
        run(&mut self.connect().await, sql).await;
    }

    /// Every row as text, cells joined with `|`.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connect().await;
        rows(&mut connection, sql).await
    }
}

/// A game on a server of our own, or on the server that `WOX_TEST_MYSQL_URL` names (a URL without a database). The server
/// lives as long as the first part.
pub async fn game() -> (Option<Server>, Database) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("wox_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    match std::env::var("WOX_TEST_MYSQL_URL").ok().filter(|url| !url.is_empty()) {
        Some(url) => {
            let mut root = connect(&url).await;
            run(&mut root, &format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4")).await;
            let base = url.trim_end_matches('/');
            let base = base.rsplit_once('/').filter(|(left, _)| !left.ends_with('/')).map_or(base, |(left, _)| left);
            let database = Database { url: format!("{base}/{name}"), name };
            database.run(GAME_TABLES).await;
            database.run(FOREIGN_KEYS).await;
            (None, database)
        }
        None => {
            let server = Server::start();
            let database = server.game(&name).await;
            (Some(server), database)
        }
    }
}

pub async fn connect(url: &str) -> MySqlConnection {
    MySqlConnection::connect(url).await.unwrap()
}

pub async fn run(connection: &mut MySqlConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub async fn rows(connection: &mut MySqlConnection, sql: &str) -> Vec<String> {
    try_rows(connection, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

pub async fn try_rows(connection: &mut MySqlConnection, sql: &str) -> Result<Vec<String>, sqlx::Error> {
    let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?;
    let cell = |row: &sqlx::mysql::MySqlRow, at: usize| {
        let text = row.try_get_unchecked::<Option<&[u8]>, _>(at).unwrap();
        text.map_or("NULL".into(), |text| String::from_utf8_lossy(text).into_owned())
    };
    Ok(found.iter().map(|row| (0..row.len()).map(|at| cell(row, at)).collect::<Vec<_>>().join("|")).collect())
}

fn mariadbd() -> Command {
    let mut command =
        Command::new(if Path::new("/usr/sbin/mariadbd").exists() { "/usr/sbin/mariadbd" } else { "mariadbd" });
    command.args(["--no-defaults", "--skip-log-bin", "--innodb-buffer-pool-size=48M", "--innodb-log-file-size=32M"]);
    command.args(["--innodb-flush-log-at-trx-commit=1", "--max-connections=40"]);
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    command
}

fn launch(dir: &Path, port: u16, options: &[String]) -> Option<Child> {
    let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let mut child = mariadbd()
        .arg(format!("--datadir={}", dir.join("data").display()))
        .arg(format!("--socket={}", dir.join("socket").display()))
        .arg(format!("--pid-file={}", dir.join("pid").display()))
        .arg(format!("--tmpdir={}", dir.display()))
        .args([&format!("--port={port}"), "--bind-address=127.0.0.1", "--skip-name-resolve", "--performance-schema=ON"])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("mariadbd is missing: ./test installs the package mariadb-server-core");
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(60) {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(child);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _dead = child.kill();
    let _gone = child.wait();
    None
}

/// An empty data directory with our user in it, made once for each version of the server.
fn template() -> PathBuf {
    let version = mariadbd().arg("--version").output().expect("mariadbd is missing: ./test installs it").stdout;
    let version: String = String::from_utf8_lossy(&version).chars().filter(char::is_ascii_alphanumeric).collect();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let template = home.join(format!("mariadb-{version}"));
    let lock = fs::File::create(home.join("mariadb.lock")).unwrap();
    lock.lock().unwrap();
    if template.exists() {
        return template;
    }
    let making = tempfile::tempdir_in(home).unwrap();
    fs::create_dir(making.path().join("mysql")).unwrap();
    let mut sql = String::from("USE mysql;\n");
    for file in ["mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql"] {
        sql += &fs::read_to_string(Path::new("/usr/share/mysql").join(file)).unwrap();
    }
    sql += &format!(
        "\nFLUSH PRIVILEGES;\nCREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
    );
    let mut child = mariadbd()
        .args(["--bootstrap", "--log-warnings=0"])
        .arg(format!("--datadir={}", making.path().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    fs::rename(making.keep(), &template).unwrap();
    template
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
