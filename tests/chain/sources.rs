//! Sources that lag, lie and fail: nothing of it ever moves money, and every failure is told from an absence.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use wox_events::chain::{Answer, Fault};

use super::{
    Table,
    anvil::{Anvil, PLAYER, WATCHED, cents, creation, pay, sign},
    endpoint, interest, limits, on_chain, rt, source,
};
use wox_projections::verdict::quorum::Policy;
use wox_recovery::world::chain::{Endpoint, Limits, Network, TransactionSubject};

/// What a liar does to the answers it passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Transactions and receipts name a block that is none.
    OtherBlockHash,
    /// Logs state another value.
    OtherAmount,
    /// Transactions name another sender.
    OtherSender,
    /// Receipts say that it failed.
    Failed,
    /// It is on another chain.
    OtherChain,
    /// It knows no transaction.
    NothingKnown,
    /// It answers another request.
    OtherId,
    /// A page.
    Html,
    /// This HTTP status.
    Broken(u16),
    /// Half a body.
    CutOff,
    /// It hangs up on every question.
    HungUp,
    /// It wants to be asked elsewhere.
    Elsewhere,
    /// Never ends.
    Endless,
    /// Never begins.
    Silent,
    /// One answer is missing.
    OneMissing,
    /// Both a result and an error.
    Both,
    /// Receipts say twice how it ended.
    Twice,
    /// Receipts state a number with a zero in front.
    NeedlessZero,
    /// Receipts name another sender, or another receiver.
    ReceiptOfOther(&'static str),
}

/// A liar between the engine and an honest chain.
pub struct Between {
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Between {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const FAKE: &str = "0x00000000000000000000000000000000000000000000000000000000deadbeef";

impl Between {
    pub async fn start(to: &str, lie: Lie) -> Between {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let to = to.to_owned();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move { serve(stream, &to, lie).await });
            }
        });
        Between { url, task }
    }
}

async fn serve(mut stream: TcpStream, to: &str, lie: Lie) -> Option<()> {
    let body = request(&mut stream).await?;
    let head = |status: &str, length: usize| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )
    };
    match lie {
        Lie::Silent => tokio::time::sleep(Duration::from_secs(600)).await,
        Lie::Html => {
            let page = "<html>come back later, apikey=s3cret</html>";
            stream.write_all((head("200 OK", page.len()) + page).as_bytes()).await.ok()?;
        }
        Lie::Broken(status) => {
            let page = "apikey=s3cret";
            stream.write_all((head(&format!("{status} No"), page.len()) + page).as_bytes()).await.ok()?;
        }
        Lie::CutOff => stream.write_all((head("200 OK", 100) + "[{\"jsonrpc").as_bytes()).await.ok()?,
        Lie::HungUp => {}
        Lie::Elsewhere => {
            let answer =
                format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
        Lie::Endless => {
            stream.write_all(head("200 OK", 1 << 30).as_bytes()).await.ok()?;
            let block = vec![b' '; 1 << 16];
            while stream.write_all(&block).await.is_ok() {}
        }
        _ => {
            let request: Value = serde_json::from_slice(&body).ok()?;
            let answer =
                reqwest::Client::new().post(to).json(&request).send().await.ok()?.json::<Value>().await.ok()?;
            let mut answer = told(answer, &request, lie).to_string();
            if lie == Lie::Twice {
                answer = answer.replace(r#""status":"0x1""#, r#""status":"0x0","status":"0x1""#);
            }
            stream.write_all((head("200 OK", answer.len()) + &answer).as_bytes()).await.ok()?;
        }
    }
    Some(())
}

/// Reads one request; gives its body.
async fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut block = [0; 65_536];
        let read = stream.read(&mut block).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&block[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if bytes.len() >= end + 4 + length.unwrap_or(0) {
            return Some(bytes[end + 4..].to_vec());
        }
    }
}

fn told(mut answer: Value, request: &Value, lie: Lie) -> Value {
    let entries = answer.as_array_mut().unwrap();
    let method = |id: &Value| {
        let asked = request.as_array().unwrap().iter().find(|asked| asked["id"] == *id).unwrap();
        asked["method"].as_str().unwrap().to_owned()
    };
    for entry in entries.iter_mut() {
        let method = method(&entry["id"]);
        let is_receipt = method == "eth_getTransactionReceipt" && !entry["result"].is_null();
        let is_transaction = method == "eth_getTransactionByHash" && !entry["result"].is_null();
        match lie {
            Lie::OtherBlockHash if is_receipt || is_transaction => {
                entry["result"]["blockHash"] = json!(FAKE);
                for log in entry["result"]["logs"].as_array_mut().into_iter().flatten() {
                    log["blockHash"] = json!(FAKE);
                }
            }
            Lie::OtherAmount if is_receipt => {
                entry["result"]["logs"][0]["data"] = json!(format!("0x{:064x}", 7_000_000_000_000_000_000_000u128));
            }
            Lie::Failed if is_receipt => entry["result"]["status"] = json!("0x0"),
            Lie::OtherSender if is_transaction => entry["result"]["from"] = json!(WATCHED),
            Lie::NeedlessZero if is_receipt => entry["result"]["status"] = json!("0x01"),
            Lie::ReceiptOfOther(end) if is_receipt => entry["result"][end] = json!(WATCHED),
            Lie::OtherChain if method == "eth_chainId" => entry["result"] = json!("0x1"),
            Lie::NothingKnown if is_receipt || is_transaction => entry["result"] = Value::Null,
            Lie::Both => entry["error"] = json!({"code": -32000, "message": "s3cret"}),
            _ => {}
        }
    }
    match lie {
        Lie::OtherId => entries[0]["id"] = json!(1_000_000),
        Lie::OneMissing => drop(entries.pop()),
        _ => {}
    }
    answer
}

fn quick(name: &str, url: &str) -> Endpoint {
    let limits = Limits { timeout: Duration::from_millis(800), answer_bytes_max: 4 << 20, ..limits() };
    Endpoint::new(source(name), 8453, url, None, limits).unwrap()
}

#[test]
fn every_way_to_fail_has_its_class_and_none_is_an_absence() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        let subject = TransactionSubject { tx: payment.tx.clone(), seen: None, sender: None };
        for (lie, class) in [
            (Lie::Html, Some(Fault::NotJson)),
            (Lie::Broken(401), Some(Fault::Http(401))),
            (Lie::Broken(429), Some(Fault::Http(429))),
            (Lie::Broken(500), Some(Fault::Http(500))),
            (Lie::CutOff, Some(Fault::BrokenOff)),
            (Lie::HungUp, Some(Fault::BrokenOff)),
            (Lie::Elsewhere, Some(Fault::Redirected)),
            (Lie::Endless, Some(Fault::TooLarge)),
            (Lie::OtherId, Some(Fault::WrongId)),
            (Lie::OneMissing, Some(Fault::NotJson)),
            (Lie::Both, Some(Fault::Malformed)),
            (Lie::OtherSender, Some(Fault::SenderMismatch)),
            (Lie::Silent, None),
        ] {
            let liar = Between::start(&anvil.url, lie).await;
            let network = Network::new(vec![quick("liar", &liar.url)], interest());
            let answers = network.look_at_transactions(std::slice::from_ref(&subject)).await;
            let said = &answers[0][0].transaction;
            match class {
                Some(class) => assert_eq!(*said, Answer::Error { class }, "{lie:?}"),
                None => assert_eq!(*said, Answer::Timeout {}, "{lie:?}"),
            }
            let told = serde_json::to_string(&answers).unwrap();
            assert!(!told.contains("s3cret") && !told.contains("127.0.0.1"), "the words of a source are not kept");
        }
    });
}

#[test]
fn a_receipt_that_is_ambiguous_or_of_something_else_is_no_receipt() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        // Nobody is called where a contract is made.
        let made = sign(PLAYER, 1, None, creation(), 10);
        for sent in [&payment, &made] {
            anvil.send(sent).await;
        }
        anvil.finalize().await;
        for (lie, class) in [
            (Lie::Twice, Some(Fault::Contradictory)),
            (Lie::NeedlessZero, Some(Fault::Malformed)),
            (Lie::ReceiptOfOther("from"), Some(Fault::Contradictory)),
            (Lie::ReceiptOfOther("to"), Some(Fault::Contradictory)),
            (Lie::ReceiptOfOther("neither"), None),
        ] {
            let liar = Between::start(&anvil.url, lie).await;
            let network = Network::new(vec![quick("liar", &liar.url)], interest());
            for tx in [&payment.tx, &made.tx] {
                let subject = TransactionSubject { tx: tx.clone(), seen: None, sender: None };
                let answers = network.look_at_transactions(std::slice::from_ref(&subject)).await;
                match (&answers[0][0].receipt, class) {
                    (Answer::Error { class }, Some(expected)) => assert_eq!(*class, expected, "{lie:?} {tx}"),
                    (said, expected) => assert_eq!(said.found().is_some(), expected.is_none(), "{lie:?} {tx} {said:?}"),
                }
            }
        }
    });
}

/// An explorer of the Etherscan V2 shape over an honest chain; it serves only callers with its key.
async fn explorer(anvil: &Anvil) -> String {
    serve_explorer(&anvil.url, Some("s3cret"), None).await
}

/// One that lies, to everybody.
pub async fn explorer_of(node: &str, lie: Lie) -> String {
    serve_explorer(node, None, Some(lie)).await
}

async fn serve_explorer(node: &str, key: Option<&'static str>, lie: Option<Lie>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v2/api", listener.local_addr().unwrap());
    let to = node.to_owned();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 8_192];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let line = String::from_utf8_lossy(&head[..read]).lines().next().unwrap_or_default().to_owned();
            let asked =
                reqwest::Url::parse(&format!("http://x{}", line.split(' ').nth(1).unwrap_or_default())).unwrap();
            let of = |name: &str| asked.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
            let answer = if of("apikey").as_deref() != key || of("chainid").as_deref() != Some("8453") {
                json!({"status": "0", "message": "NOTOK", "result": "Missing/Invalid API Key s3cret"})
            } else {
                let params = match of("txhash") {
                    Some(tx) => json!([tx]),
                    None => json!([of("tag"), of("boolean").as_deref() == Some("true")]),
                };
                let body = json!({"jsonrpc": "2.0", "id": 1, "method": of("action"), "params": params});
                let honest =
                    reqwest::Client::new().post(&to).json(&body).send().await.unwrap().json::<Value>().await.unwrap();
                match lie {
                    Some(lie) => told(json!([honest]), &json!([body]), lie)[0].clone(),
                    None => honest,
                }
            };
            let answer = answer.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            let _gone = stream.write_all((head + &answer).as_bytes()).await;
        }
    });
    url
}

fn explored(url: &str, key: &str) -> Endpoint {
    let source = wox_events::chain::Source { kind: wox_events::chain::SourceKind::Explorer, ..source("scan") };
    Endpoint::new(source, 8453, url, Some(key.into()), limits()).unwrap()
}

#[test]
fn an_explorer_corroborates_and_never_votes() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let url = explorer(&anvil).await;
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        let table = Table::with(&anvil, vec![endpoint("one", &anvil.url), explored(&url, "s3cret")]).await;
        let seen = table.look_at(&payment.tx).await;
        assert_eq!(seen.row, "D11", "a node and an explorer are no two nodes: {}", seen.says);
        let evidence = table.game.look().await;
        let look = evidence.replay.state.chain.transaction(8453, &payment.tx).unwrap();
        assert_eq!(look.answers[0].receipt, look.answers[1].receipt, "it says the same, and stands in the evidence");
        assert!(look.answers[1].receipt.found().is_some());
    });
}

#[test]
fn an_explorers_error_in_a_good_answer_is_a_refusal_and_no_empty_wallet() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let url = explorer(&anvil).await;
        let subject = TransactionSubject { tx: super::game::hash(9), seen: None, sender: None };
        let network = Network::new(vec![explored(&url, "wrong")], interest());
        let answers = network.look_at_transactions(std::slice::from_ref(&subject)).await;
        assert_eq!(answers[0][0].transaction, Answer::Error { class: Fault::Refused });
        assert!(!serde_json::to_string(&answers).unwrap().contains("s3cret"));
    });
}

#[test]
fn two_honest_sources_of_three_decide_whatever_the_third_says() {
    rt().block_on(async {
        for lie in [Lie::OtherChain, Lie::Html, Lie::Silent, Lie::Broken(500), Lie::OtherId] {
            let anvil = Anvil::start().await;
            let liar = Between::start(&anvil.url, lie).await;
            let sources = vec![quick("a", &anvil.url), quick("b", &anvil.url), quick("liar", &liar.url)];
            let table = Table::with(&anvil, sources).await;
            let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
            anvil.send(&payment).await;
            anvil.finalize().await;
            assert_eq!(table.look_at(&payment.tx).await.row, "D1", "{lie:?}");
        }
    });
}

#[test]
fn honest_lagging_and_reorged_chains_make_no_quorum_of_a_lie() {
    rt().block_on(async {
        let (honest, lagging, reorged) = (Anvil::start().await, Anvil::start().await, Anvil::start().await);
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        // All three see the same chain, hash by hash; then one stops there and one loses a block.
        for anvil in [&honest, &lagging, &reorged] {
            anvil.send(&payment).await;
            anvil.mine(2).await;
        }
        let newest = json!(["latest", false]);
        let one = honest.rpc("eth_getBlockByNumber", newest.clone()).await;
        let two = lagging.rpc("eth_getBlockByNumber", newest).await;
        assert_eq!(one["hash"], two["hash"], "deterministic chains agree");
        honest.finalize().await;
        reorged.reorg(3).await;
        reorged.mine(12).await;
        let sources = || {
            let named = [("honest", &honest), ("lagging", &lagging), ("reorged", &reorged)];
            named.map(|(name, anvil)| endpoint(name, &anvil.url)).into()
        };
        let table = Table::with(&honest, sources()).await;
        let seen = table.look_at(&payment.tx).await;
        assert!(!table.plan(&payment.tx).await.changes, "{} {}", seen.row, seen.says);
        assert_ne!(seen.row, "D1");
        // The one that lagged catches up: two operators agree, and the third is outvoted or apart.
        lagging.finalize().await;
        let seen = table.look_at(&payment.tx).await;
        assert!(["D1", "D11"].contains(&seen.row), "{} {}", seen.row, seen.says);
        let evidence = table.game.look().await;
        let look = evidence.replay.state.chain.transaction(8453, &payment.tx).unwrap();
        let verdict = evidence.replay.state.chain.deposit_verdict(look, &Default::default());
        assert_eq!(verdict.row(), seen.row, "whoever has the log reaches the same verdict with no network");
    });
}

#[test]
fn another_network_with_the_same_id_does_not_vote() {
    on_chain(async |_, table| {
        table.policy.genesis = super::game::hash(1);
        let evidence = table.game.look().await;
        let again = wox_recovery::recovery::observe::declare(
            &table.game.log,
            &evidence.replay,
            &table.policy,
            false,
            &super::actor("alice"),
            super::NOW,
        )
        .await;
        assert!(again.is_err(), "rules are not changed in passing");
    });
}

#[test]
fn a_thousand_transactions_cost_three_round_trips_a_hundred() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let mut all = Vec::new();
        for nonce in 0..1_000 {
            let payment = pay(PLAYER, nonce, WATCHED, cents(100 + nonce % 7));
            // A part of them is never sent: what is not there must not cost more.
            if nonce < 700 {
                anvil.send(&payment).await;
                if nonce % 100 == 99 {
                    anvil.mine(1).await;
                }
            }
            all.push(payment.tx);
        }
        anvil.finalize().await;
        let table = Table::set(&anvil).await;
        let targets = wox_recovery::recovery::Targets {
            transactions: all.into_iter().collect(),
            ..wox_recovery::recovery::Targets::default()
        };
        let seen = table.observe(&targets).await;
        let count = |row: &str| seen.iter().filter(|seen| seen.row == row).count();
        assert_eq!((count("D1"), count("D8")), (700, 300));
        assert!(table.network.round_trips() <= 30, "{} round trips", table.network.round_trips());
    });
}

#[test]
fn rules_that_one_person_changed_move_no_money_until_another_agrees() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        let before = table.plan(&payment.tx).await;
        table.game.propose(&before).await;
        table.game.approve(&before).await;
        let (agreed, loose) = (table.policy.clone(), Policy { quorum: 1, ..table.policy.clone() });
        table.declares("alice", loose.clone()).await;
        table.look_at(&payment.tx).await;
        let refused = table.game.apply(&before).await.unwrap_err().to_string();
        assert!(refused.contains("alice alone changed the rules"), "{refused}");
        let held = table.plan(&payment.tx).await;
        assert!(!held.changes && held.held[0].next.contains("--change-rules --as NAME"), "{held:#?}");
        let said = table.game.plan().await;
        assert!(said.held.iter().any(|hold| hold.finding.procedure == "changed_rules"), "{said:#?}");
        // Alice again, in whatever letter case, is nobody else.
        for (by, agrees) in [("alice", false), ("Alice", false), ("bob", true)] {
            assert_eq!(table.declares(by, loose.clone()).await, agrees, "{by}");
            assert_eq!(table.plan(&payment.tx).await.changes, agrees, "{by}");
        }
        // What was agreed on is changed by one, and comes back by the same one.
        table.declares("bob", agreed).await;
        assert!(!table.plan(&payment.tx).await.changes);
        table.declares("bob", loose).await;
        table.look_at(&payment.tx).await;
        assert!(table.plan(&payment.tx).await.changes);
    });
}

#[test]
fn one_log_is_about_one_chain() {
    on_chain(async |_, table| {
        let other = Policy { chain: 10, quorum: 1, ..table.policy.clone() };
        let evidence = table.game.look().await;
        let by = super::actor("alice");
        let refused =
            wox_recovery::recovery::observe::declare(&table.game.log, &evidence.replay, &other, true, &by, super::NOW);
        let refused = refused.await.unwrap_err().to_string();
        assert!(refused.contains("this log is about chain 8453"), "{refused}");
    });
}
