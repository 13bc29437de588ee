//! One source over HTTP(S): JSON-RPC batches to a node, single GETs to an explorer of the Etherscan V2 shape. Bounded in
//! time and size, no redirects. What comes back is one of three different things for every question: found, `null`, or a
//! failure with its class; the words of a source are dropped, because they may hold anything.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use reqwest::{Client, StatusCode, Url, redirect};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use wox_events::{
    Digest,
    chain::{Answer, Fault, Source, SourceKind},
};

use super::parse;

/// One question in the terms of JSON-RPC.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) params: Vec<Value>,
}

/// What a source may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For connecting and for a whole answer.
    pub timeout: Duration,
    /// Largest answer that is read.
    pub answer_bytes_max: usize,
    /// Most questions in one batch.
    pub batch_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { timeout: Duration::from_secs(10), answer_bytes_max: 64 << 20, batch_max: 1_000 }
    }
}

/// Why a source cannot be asked at all. Never holds the address.
#[derive(Debug, thiserror::Error)]
pub enum BadEndpoint {
    /// Not an absolute address of HTTP or HTTPS.
    #[error("the address of source `{name}` is no http or https URL")]
    Url {
        /// The source.
        name: String,
    },
    /// The HTTP client could not be made.
    #[error("no HTTP client could be made for source `{name}`")]
    Client {
        /// The source.
        name: String,
    },
}

/// One source.
pub struct Endpoint {
    source: Source,
    url: Url,
    api_key: Option<String>,
    chain: u64,
    client: Client,
    limits: Limits,
    /// Ids are never used twice, so an answer to an older question is known as such.
    next_id: AtomicU64,
}

impl fmt::Debug for Endpoint {
    /// Without the address: it may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Explorers answer one question at a time; so many are open at once.
const EXPLORER_CALLS_AT_ONCE: usize = 4;

impl Endpoint {
    /// A source at an address; explorers take a key and the id of the chain they are asked about.
    pub fn new(
        source: Source,
        chain: u64,
        url: &str,
        api_key: Option<String>,
        limits: Limits,
    ) -> Result<Endpoint, BadEndpoint> {
        let name = source.name.to_string();
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| BadEndpoint::Url { name: name.clone() })?;
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(limits.timeout)
            .timeout(limits.timeout)
            .user_agent(concat!("wox/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| BadEndpoint::Client { name })?;
        Ok(Endpoint { source, url, api_key, chain, client, limits, next_id: AtomicU64::new(1) })
    }

    /// As a policy names it.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Asks everything in as few batches as the limits allow; one answer a question, in order. What came over the wire
    /// goes into `transcript`.
    pub(super) async fn ask(&self, calls: &[Call], transcript: &mut Transcript) -> Vec<Answer<Value>> {
        let mut answers = Vec::with_capacity(calls.len());
        match self.source.kind {
            SourceKind::Node => {
                for batch in calls.chunks(self.limits.batch_max.max(1)) {
                    match self.batch(batch, transcript).await {
                        Ok(said) => answers.extend(said),
                        Err(failure) => answers.extend(batch.iter().map(|_| failure.to_answer())),
                    }
                }
            }
            SourceKind::Explorer => {
                let asked = calls.iter().map(|call| async {
                    let mut own = Transcript::default();
                    let said = self.explore(call, &mut own).await.unwrap_or_else(|failure| failure.to_answer());
                    (said, own)
                });
                let said: Vec<_> = stream::iter(asked).buffered(EXPLORER_CALLS_AT_ONCE).collect().await;
                for (answer, own) in said {
                    transcript.add(own.digest().to_string().as_bytes());
                    answers.push(answer);
                }
            }
        }
        answers
    }

    async fn batch(&self, calls: &[Call], transcript: &mut Transcript) -> Result<Vec<Answer<Value>>, Failure> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.next_id.fetch_add(calls.len() as u64, Ordering::Relaxed);
        let body: Vec<Value> = (first..)
            .zip(calls)
            .map(|(id, call)| json!({"jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params}))
            .collect();
        let bytes = self.exchange(self.client.post(self.url.clone()).json(&body)).await?;
        transcript.add(&bytes);
        let entries = match parse::json(&bytes).map_err(Failure::Fault)? {
            Value::Array(entries) => entries,
            // A node refuses a whole batch with one error object.
            Value::Object(entry) if entry.get("error").is_some_and(Value::is_object) => {
                return Err(Failure::Fault(refusal(&entry)));
            }
            _ => return Err(Failure::Fault(Fault::NotJson)),
        };
        let mut by_id: BTreeMap<u64, Answer<Value>> = BTreeMap::new();
        for entry in entries {
            let Value::Object(entry) = entry else { return Err(Failure::Fault(Fault::NotJson)) };
            let id = entry.get("id").and_then(Value::as_u64);
            let ours = id.filter(|id| (first..first + calls.len() as u64).contains(id));
            // One answer to another question: who mixes answers up is believed in none of them.
            let id = ours.ok_or(Failure::Fault(Fault::WrongId))?;
            if by_id.insert(id, answer(entry)).is_some() {
                return Err(Failure::Fault(Fault::WrongId));
            }
        }
        if by_id.len() != calls.len() {
            return Err(Failure::Fault(Fault::NotJson));
        }
        Ok(by_id.into_values().collect())
    }

    async fn explore(&self, call: &Call, transcript: &mut Transcript) -> Result<Answer<Value>, Failure> {
        let Some(parameters) = explorer_parameters(call) else {
            return Err(Failure::Fault(Fault::Unsupported));
        };
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("chainid", &self.chain.to_string());
            query.append_pair("module", "proxy").append_pair("action", call.method);
            query.extend_pairs(parameters);
            if let Some(key) = &self.api_key {
                query.append_pair("apikey", key);
            }
        }
        let bytes = self.exchange(self.client.get(url)).await?;
        transcript.add(&bytes);
        match parse::json(&bytes).map_err(Failure::Fault)? {
            // Its own errors come with HTTP 200 and `status: "0"`: taken for "nothing", wallets look empty (banking.md 3.5).
            Value::Object(entry) if entry.contains_key("status") => Ok(Answer::Error { class: Fault::Refused }),
            Value::Object(entry) => Ok(answer(entry)),
            _ => Err(Failure::Fault(Fault::NotJson)),
        }
    }

    /// Sends a request and reads the whole answer, within the limits.
    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, Failure> {
        let response = request.send().await.map_err(|error| Failure::of(&error))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(Failure::Fault(Fault::Redirected));
        }
        if status != StatusCode::OK {
            return Err(Failure::Fault(Fault::Http(status.as_u16())));
        }
        let mut bytes = Vec::new();
        let mut parts = response.bytes_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| Failure::of(&error))?;
            if bytes.len() + part.len() > self.limits.answer_bytes_max {
                return Err(Failure::Fault(Fault::TooLarge));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }
}

/// Why a whole exchange gave nothing.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Fault(Fault),
    Timeout,
}

impl Failure {
    /// What fails once there is a connection broke off, whether before the first byte or behind it.
    fn of(error: &reqwest::Error) -> Failure {
        match () {
            () if error.is_timeout() => Failure::Timeout,
            () if error.is_connect() => Failure::Fault(Fault::Unreachable),
            () => Failure::Fault(Fault::BrokenOff),
        }
    }

    fn to_answer<T>(self) -> Answer<T> {
        match self {
            Failure::Fault(class) => Answer::Error { class },
            Failure::Timeout => Answer::Timeout {},
        }
    }
}

/// One entry: a result or an error, never both and never neither.
fn answer(mut entry: Map<String, Value>) -> Answer<Value> {
    let version = entry.get("jsonrpc").and_then(Value::as_str) == Some("2.0");
    match (version, entry.remove("result"), entry.get("error")) {
        (true, Some(Value::Null), None | Some(Value::Null)) => Answer::Null {},
        (true, Some(result), None | Some(Value::Null)) => Answer::Found(result),
        (true, None, Some(Value::Object(_))) => Answer::Error { class: refusal(&entry) },
        _ => Answer::Error { class: Fault::Malformed },
    }
}

/// `method not found` is no failure of the source: it cannot answer this sort of question.
fn refusal(entry: &Map<String, Value>) -> Fault {
    const METHOD_NOT_FOUND: i64 = -32601;
    match entry.get("error").and_then(|error| error.get("code")).and_then(Value::as_i64) {
        Some(METHOD_NOT_FOUND) => Fault::Unsupported,
        _ => Fault::Refused,
    }
}

/// The parameters of a question as the explorer's proxy module names them; `None` where it has no such question.
fn explorer_parameters(call: &Call) -> Option<Vec<(&'static str, String)>> {
    let text = |index: usize| match call.params.get(index)? {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    Some(match call.method {
        "eth_getTransactionByHash" | "eth_getTransactionReceipt" => vec![("txhash", text(0)?)],
        "eth_getBlockByNumber" => vec![("tag", text(0)?), ("boolean", text(1)?)],
        "eth_getTransactionCount" => vec![("address", text(0)?), ("tag", text(1)?)],
        _ => return None,
    })
}

/// All that a source said in one look, as one digest.
#[derive(Debug, Default)]
pub(super) struct Transcript(Sha256);

impl Transcript {
    fn add(&mut self, bytes: &[u8]) {
        // With its length, so that two answers cannot be told as one.
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    pub(super) fn digest(&self) -> Digest {
        Digest(self.0.clone().finalize().into())
    }
}
