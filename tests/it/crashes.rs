//! Senders that are killed, and several at once: what is in the table is compared with what the gateway got.

use std::collections::BTreeSet;
use std::time::Duration;

use switchboard::ids::MessageId;
use switchboard::messages::Kind;
use switchboard::platform::clock::{Clock, SystemClock};

use crate::support::binary::Serving;
use crate::support::gateway::Gateway;
use crate::support::sms::{LONG, http_at};
use crate::support::{RING, TestApp, on_each_shared_database};

const ROUNDS: usize = 8;
/// How many are written in each round, a half of them while others are sent.
const EACH_ROUND: u32 = 50;
/// How many a sender hands over at the same time.
const PARALLEL: usize = 16;
/// The same when nothing is set.
const PARALLEL_BY_ITSELF: usize = 128;

/// The ids that the gateway got, each once.
#[track_caller]
fn each_once(gateway: &Gateway) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for given in gateway.log() {
        assert!(ids.insert(given.id.clone()), "the gateway got {} twice", given.id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_are_killed_again_and_again_lose_nothing_and_double_nothing() {
    on_each_shared_database(async |place| {
        let gateway = Gateway::start().await;
        let sms = [&http_at(&gateway.url)[..], &[("SMS_PARALLEL", "16")]].concat();
        let app = TestApp::beside_processes(place, &sms).await;
        let (folder, url) = (tempfile::tempdir().expect("a folder"), place.url());
        let settings = [&sms[..], &[("DATABASE_URL", &url), ("SECRET_KEYS", RING)]].concat();
        let mut written: Vec<MessageId> = Vec::new();
        let mut senders = [None, None];
        let mut kills = 0;
        for round in 0..ROUNDS {
            // Not the same number each time, so that the end comes at another moment.
            let enough = gateway.log().len() + 5 + 3 * round;
            let (killed, answered) = match round % 3 {
                0 => (0..1, usize::MAX),
                1 => (1..2, usize::MAX),
                // However slow we are, one is being handed over when both are killed.
                _ => (0..2, enough - 1),
            };
            gateway.answers_only(answered);
            let kind = [Kind::Bonus, Kind::Notice][round % 2];
            written.extend(app.write_all(kind, 0..EACH_ROUND / 2).await);
            for sender in &mut senders {
                sender.get_or_insert_with(|| Serving::start(folder.path(), &settings));
            }
            let meanwhile = tokio::spawn({
                let app = app.clone();
                async move { app.write_all(kind, EACH_ROUND / 2..EACH_ROUND).await }
            });
            gateway.has_got(enough).await;
            for sender in &mut senders[killed] {
                // As SIGKILL ends it.
                sender.take().expect("it runs").child.kill().expect("killed");
                kills += 1;
            }
            gateway.answers_only(usize::MAX);
            written.extend(meanwhile.await.expect("written"));
        }
        for sender in senders.iter_mut().filter_map(Option::take) {
            drop(sender);
            kills += 1;
        }

        // The leases of those that were killed are over, and another one goes on.
        app.clock.advance((SystemClock.now() - app.app.platform.now()).to_std().expect("later"));
        app.clock.advance(LONG);
        app.run().await;

        let admin = app.admin().await;
        let statuses = app.statuses(&admin).await;
        let written: BTreeSet<String> = written.iter().map(MessageId::to_string).collect();
        assert_eq!(written.len(), ROUNDS * EACH_ROUND as usize);
        assert!(statuses.keys().eq(&written), "all of them, and nothing else");
        let of = |status: &str| -> BTreeSet<String> {
            let those = statuses.iter().filter(|(_, it)| *it == status);
            those.map(|(id, _)| id.clone()).collect()
        };
        let (sent, unknown, got) = (of("SENT"), of("UNKNOWN"), each_once(&gateway));
        assert_eq!(sent.len() + unknown.len(), written.len(), "{statuses:?}");
        assert!(sent.is_subset(&got), "the gateway never got {:?}", sent.difference(&got));
        assert!(got.is_subset(&written));
        assert!(!unknown.is_empty(), "no kill met a message that was being handed over");
        assert!(unknown.len() <= kills * PARALLEL, "{} after {kills} kills", unknown.len());

        let queue = app.queue(&admin).await;
        let count = |name: &str| usize::try_from(queue[name].as_u64().expect("a number"));
        assert_eq!(count("sent"), Ok(sent.len()), "{queue}");
        assert_eq!(count("unknown"), Ok(unknown.len()), "{queue}");
        for none in ["queued", "sending", "failed", "expired"] {
            assert_eq!(queue[none], 0, "{queue}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_instances_send_a_thousand_messages_once_each() {
    on_each_shared_database(async |place| {
        let gateway = Gateway::start().await;
        let paths = ["one", "two"].map(|name| format!("{}/{name}", gateway.url));
        let one = TestApp::with(place, &http_at(&paths[0])).await;
        let two = one.beside(place, &http_at(&paths[1])).await;
        let mut written = Vec::new();
        for kind in [Kind::Notice, Kind::Bonus] {
            written.extend(one.write_all(kind, 0..500).await);
        }
        // More than one of them may have on its way, so that both send.
        gateway.answers_only(0);
        let both_send = async {
            gateway.has_got(PARALLEL_BY_ITSELF + 1).await;
            gateway.answers_only(usize::MAX);
        };
        tokio::join!(one.run(), two.run(), both_send);

        let written: BTreeSet<String> = written.iter().map(MessageId::to_string).collect();
        assert_eq!(each_once(&gateway), written);
        let log = gateway.log();
        let by = |path: &str| log.iter().filter(|given| given.path == path).count();
        assert!(by("/one") > 0 && by("/two") > 0, "{} and {}", by("/one"), by("/two"));
        let statuses = one.statuses(&one.admin().await).await;
        assert!(statuses.keys().eq(&written));
        assert!(statuses.values().all(|status| status == "SENT"), "{statuses:?}");
        assert_eq!(one.queue(&one.admin().await).await["sent"], 1_000);
    })
    .await;
}

#[tokio::test]
async fn what_was_written_by_a_clock_that_is_behind_leaves_within_a_second() {
    on_each_shared_database(async |place| {
        let gateway = Gateway::start().await;
        let behind = TestApp::with(place, &http_at(&gateway.url)).await;
        let app = TestApp::with(place, &http_at(&gateway.url)).await;
        app.clock.advance(Duration::from_secs(10));
        app.write(Kind::Code, 1).await;
        app.run().await;
        for kind in [Kind::Code, Kind::Notice, Kind::Bonus] {
            behind.write(kind, 2).await;
        }
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(gateway.log().len(), 4);
    })
    .await;
}
