//! Killed and concurrent senders: the message table is compared with what the gateway received.

use std::collections::BTreeSet;
use std::time::Duration;

use switchboard::ids::MessageId;
use switchboard::messages::Kind;
use switchboard::platform::clock::{Clock, SystemClock};

use crate::support::binary::ServerProcess;
use crate::support::fake_gateway::FakeGateway;
use crate::support::sms::{LONG, gateway_settings_at};
use crate::support::{KEY_RING, TestApp, on_each_shared_database};

const ROUNDS: usize = 8;
/// Messages per round. Half of them are enqueued while others are sent.
const MESSAGES_PER_ROUND: u32 = 50;
/// SMS_PARALLEL of the senders: messages that one sender submits at the same time.
const PARALLEL: usize = 16;
/// The default of SMS_PARALLEL.
const DEFAULT_PARALLEL: usize = 128;

/// The ids of the messages that the gateway received. Fails if it received one twice.
#[track_caller]
fn received_ids(gateway: &FakeGateway) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for message in gateway.received() {
        assert!(ids.insert(message.id.clone()), "the gateway received {} twice", message.id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_senders_lose_and_repeat_no_message() {
    on_each_shared_database(async |database| {
        let gateway = FakeGateway::start().await;
        let sms = [&gateway_settings_at(&gateway.url)[..], &[("SMS_PARALLEL", "16")]].concat();
        let app = TestApp::at_system_time(database, &sms).await;
        let (folder, url) = (tempfile::tempdir().expect("a folder"), database.url());
        let settings = [&sms[..], &[("DATABASE_URL", &url), ("SECRET_KEYS", KEY_RING)]].concat();
        let mut enqueued: Vec<MessageId> = Vec::new();
        let mut senders = [None, None];
        let mut kills = 0;
        for round in 0..ROUNDS {
            // A different number each round, so that the kill comes at a different moment.
            let received_before_kill = gateway.received().len() + 5 + 3 * round;
            let (killed, max_responses) = match round % 3 {
                0 => (0..1, usize::MAX),
                1 => (1..2, usize::MAX),
                // The gateway withholds a response, so a message is being submitted when both are killed.
                _ => (0..2, received_before_kill - 1),
            };
            gateway.limit_responses(max_responses);
            let kind = [Kind::Bonus, Kind::Notice][round % 2];
            enqueued.extend(app.enqueue_all(kind, 0..MESSAGES_PER_ROUND / 2).await);
            for sender in &mut senders {
                sender.get_or_insert_with(|| ServerProcess::start(folder.path(), &settings));
            }
            let enqueueing = tokio::spawn({
                let app = app.clone();
                async move { app.enqueue_all(kind, MESSAGES_PER_ROUND / 2..MESSAGES_PER_ROUND).await }
            });
            gateway.wait_for(received_before_kill).await;
            for sender in &mut senders[killed] {
                // `kill` sends SIGKILL.
                sender.take().expect("running").child.kill().expect("killed");
                kills += 1;
            }
            gateway.limit_responses(usize::MAX);
            enqueued.extend(enqueueing.await.expect("enqueued"));
        }
        for sender in senders.iter_mut().filter_map(Option::take) {
            drop(sender);
            kills += 1;
        }

        // The leases of the killed senders expire, and this instance takes over.
        app.clock.advance((SystemClock.now() - app.app.platform.now()).to_std().expect("a later time"));
        app.clock.advance(LONG);
        app.run_due_jobs().await;

        let admin = app.admin().await;
        let statuses = app.statuses(&admin).await;
        let enqueued: BTreeSet<String> = enqueued.iter().map(MessageId::to_string).collect();
        assert_eq!(enqueued.len(), ROUNDS * MESSAGES_PER_ROUND as usize);
        assert!(statuses.keys().eq(&enqueued), "exactly the enqueued messages");
        let ids_with_status = |expected: &str| -> BTreeSet<String> {
            let matching = statuses.iter().filter(|(_, status)| *status == expected);
            matching.map(|(id, _)| id.clone()).collect()
        };
        let (sent, unknown) = (ids_with_status("SENT"), ids_with_status("UNKNOWN"));
        let received = received_ids(&gateway);
        assert_eq!(sent.len() + unknown.len(), enqueued.len(), "{statuses:?}");
        assert!(sent.is_subset(&received), "never received: {:?}", sent.difference(&received));
        assert!(received.is_subset(&enqueued));
        assert!(!unknown.is_empty(), "no kill interrupted a submission");
        assert!(unknown.len() <= kills * PARALLEL, "{} after {kills} kills", unknown.len());

        let queue = app.queue(&admin).await;
        let count = |name: &str| usize::try_from(queue[name].as_u64().expect("a number"));
        assert_eq!(count("sent"), Ok(sent.len()), "{queue}");
        assert_eq!(count("unknown"), Ok(unknown.len()), "{queue}");
        for status in ["queued", "sending", "failed", "expired"] {
            assert_eq!(queue[status], 0, "{queue}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_instances_send_each_message_once() {
    on_each_shared_database(async |database| {
        let gateway = FakeGateway::start().await;
        let paths = ["one", "two"].map(|name| format!("{}/{name}", gateway.url));
        let app = TestApp::with(database, &gateway_settings_at(&paths[0])).await;
        let other = app.second_instance(database, &gateway_settings_at(&paths[1])).await;
        let mut enqueued = Vec::new();
        for kind in [Kind::Notice, Kind::Bonus] {
            enqueued.extend(app.enqueue_all(kind, 0..500).await);
        }
        // The gateway withholds responses until it has more messages than one instance submits, so that both send.
        gateway.limit_responses(0);
        let both_send = async {
            gateway.wait_for(DEFAULT_PARALLEL + 1).await;
            gateway.limit_responses(usize::MAX);
        };
        tokio::join!(app.run_due_jobs(), other.run_due_jobs(), both_send);

        let enqueued: BTreeSet<String> = enqueued.iter().map(MessageId::to_string).collect();
        assert_eq!(received_ids(&gateway), enqueued);
        let log = gateway.received();
        let count = |path: &str| log.iter().filter(|message| message.path == path).count();
        assert!(count("/one") > 0 && count("/two") > 0, "{} and {}", count("/one"), count("/two"));
        let statuses = app.statuses(&app.admin().await).await;
        assert!(statuses.keys().eq(&enqueued));
        assert!(statuses.values().all(|status| status == "SENT"), "{statuses:?}");
        assert_eq!(app.queue(&app.admin().await).await["sent"], 1_000);
    })
    .await;
}

#[tokio::test]
async fn messages_of_an_instance_whose_clock_is_behind_are_sent_within_a_second() {
    on_each_shared_database(async |database| {
        let gateway = FakeGateway::start().await;
        let lagging = TestApp::with(database, &gateway_settings_at(&gateway.url)).await;
        let app = TestApp::with(database, &gateway_settings_at(&gateway.url)).await;
        app.clock.advance(Duration::from_secs(10));
        app.enqueue(Kind::Code, 1).await;
        app.run_due_jobs().await;
        for kind in [Kind::Code, Kind::Notice, Kind::Bonus] {
            lagging.enqueue(kind, 2).await;
        }
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(gateway.received().len(), 4);
    })
    .await;
}
