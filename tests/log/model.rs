//! The embedded log answers exactly as the plain log in memory does, whatever is appended and however often it is
//! opened again.

use proptest::{collection::vec, prelude::*};
use wox_events::{LogId, Position, Revision};
use wox_recovery::log::{Ack, AppendError, AppendRequest, EmbeddedLog, EventLog, MemoryLog};

use crate::helpers::{event, options, read_all, read_between, stream};

#[derive(Clone, Debug)]
enum Step {
    /// Requests in one call.
    Append(Vec<Wish>),
    /// Requests in one call, nothing behind the first refusal.
    InOrder(Vec<Wish>),
    Reopen,
    Read {
        after: u64,
        until: u64,
    },
}

/// One request, relative to where the stream stands.
#[derive(Clone, Debug)]
struct Wish {
    stream: u8,
    /// Added to the stream's revision: 0 is right.
    off: i64,
    /// First id; ids collide often, so repeats and conflicts happen.
    id: u8,
    events: u8,
    content: u64,
}

fn wish() -> impl Strategy<Value = Wish> {
    let off = prop_oneof![6 => Just(0i64), 3 => -4i64..0, 1 => 1i64..3];
    // Content follows from the id most of the time: the same request again is a repeat.
    let content = prop_oneof![9 => Just(0u64), 1 => 1u64..3];
    (0u8..4, off, 0u8..60, 1u8..6, content).prop_map(|(stream, off, id, events, content)| Wish {
        stream,
        off,
        id,
        events,
        content,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(wish(), 1..12).prop_map(Step::Append),
        4 => vec(wish(), 1..12).prop_map(Step::InOrder),
        1 => Just(Step::Reopen),
        2 => (0u64..80, 0u64..80).prop_map(|(after, until)| Step::Read { after, until }),
    ]
}

/// What can be compared about an answer.
fn shape(answer: &Result<Ack, AppendError>) -> String {
    match answer {
        Ok(ack) => format!("{ack:?}"),
        Err(error) => error.to_string(),
    }
}

async fn play(page_size: u32, steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let model = MemoryLog::new(LogId(uuid::Uuid::from_u128(77)));
    let mut log = EmbeddedLog::create(&path, options(page_size)).await.unwrap();
    for step in steps {
        match step {
            Step::Append(ref wishes) | Step::InOrder(ref wishes) => {
                let mut requests = Vec::new();
                for wish in wishes {
                    let stream = stream(&format!("duel-{}", wish.stream));
                    let actual = model.revision(&stream).await.unwrap().0;
                    let ids = (u128::from(wish.id)..).take(usize::from(wish.events));
                    requests.push(AppendRequest {
                        stream,
                        expected: Revision(actual.saturating_add_signed(wish.off)),
                        events: ids.map(|id| event(id, id as u64 * 10 + wish.content)).collect(),
                    });
                }
                let (expected, answers) = match step {
                    Step::InOrder(_) => {
                        (model.append_in_order(requests.clone()).await, log.append_in_order(requests).await)
                    }
                    _ => (model.append_many(requests.clone()).await, log.append_many(requests).await),
                };
                let shapes = |answers: &[_]| answers.iter().map(shape).collect::<Vec<_>>();
                assert_eq!(shapes(&answers), shapes(&expected));
            }
            Step::Reopen => {
                drop(log);
                log = EmbeddedLog::open(&path).await.unwrap();
            }
            Step::Read { after, until } => {
                let until = until.min(model.head().await.unwrap().position.0);
                let found = read_between(&log, after, until.max(after)).await;
                assert_eq!(found, read_between(&model, after, until.max(after)).await);
            }
        }
        assert_eq!(log.head().await.unwrap(), model.head().await.unwrap());
    }
    assert_eq!(read_all(&log).await, read_all(&model).await);
    for number in 0..4 {
        let stream = stream(&format!("duel-{number}"));
        assert_eq!(log.revision(&stream).await.unwrap(), model.revision(&stream).await.unwrap());
        assert_eq!(log.read_stream(&stream).await.unwrap(), model.read_stream(&stream).await.unwrap());
    }
    let reader = EmbeddedLog::open_read_only(&path).await.unwrap();
    assert_eq!(reader.head().await.unwrap(), model.head().await.unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_embedded_log_answers_as_the_model_does(
        page_size in prop_oneof![Just(16u32), Just(32), Just(64)],
        steps in vec(step(), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(play(page_size, steps));
    }
}

#[tokio::test]
async fn every_root_equals_the_one_of_an_independent_tree() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::create(dir.path().join("store"), options(16)).await.unwrap();
    let mut tree = ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
    let mut roots = vec![log.head().await.unwrap().root];
    for number in 0..70u64 {
        let stream = stream(&format!("duel-{}", number % 5));
        let expected = Revision(number / 5);
        let request = AppendRequest { stream, expected, events: vec![event(u128::from(number), number)] };
        let ack = log.append(request).await.unwrap();
        assert_eq!(ack.events[0].position.0, number + 1);
        roots.push(log.head().await.unwrap().root);
    }
    for (raw, size) in read_all(&log).await.iter().zip(1usize..) {
        tree.push(raw.canonical(log.id()).into_bytes());
        assert_eq!(roots[size].0[..], tree.root().as_bytes()[..], "root over {size} events");
        assert_eq!(log.root_at(Position(size as u64)).await.unwrap(), roots[size]);
    }
}
