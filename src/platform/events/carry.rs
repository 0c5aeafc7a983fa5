//! Carrying events to the other instances and back, over Redis.
//!
//! One connection does both: RESP3 brings what is published between the answers. All topics of an
//! installation go through one channel, many in a message, so that listening costs Redis nothing and an
//! instance that hears of a topic that nobody listens to only looks it up. While one message is on its way
//! the next gathers; publishing waits for nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use data_encoding::HEXLOWER;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, Msg, ProtocolVersion, PushInfo, PushKind,
    RedisError, RedisResult, cmd,
};
use secrecy::ExposeSecret;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::others::{Link, Others};
use super::{Events, installation};
use crate::error::{Error, ErrorCode};
use crate::platform::Platform;
use crate::platform::jobs::Backoff;

/// How long Redis may take for an answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// After so long without a word it is asked whether it is there.
const ASKED_AFTER: Duration = Duration::from_secs(5);
/// While it is not there, everything is read again so often, or as often as it is tried.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(5);
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(10) };

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer in time")]
    Silent,
    #[error("the connection was closed")]
    Closed,
    #[error("{}", .0.describe())]
    Ours(Error),
}

/// Tells the others what happens here and hears what happens there, for as long as there is a Redis at the
/// other end, and again as soon as it is back. Ends when it is told to, with a last word.
pub async fn carry(platform: &Platform, ended: &CancellationToken) {
    let Some(others) = &platform.events.others else { return };
    let me = HEXLOWER.encode(&platform.random::<8>());
    let mut carrier =
        Carrier { platform, others, me: me.into(), channel: None, failures: 0, is_lost: false };
    let mut read_again = platform.uptime();
    loop {
        let Err(trouble) = carrier.until_lost(ended).await else { return };
        carrier.failures += 1;
        // Nobody tells what happens elsewhere: it is looked for.
        if platform.uptime() >= read_again {
            platform.events.publish_all();
            read_again = platform.uptime() + READ_AGAIN_AFTER;
        }
        if !carrier.is_lost {
            carrier.is_lost = true;
            tracing::warn!(%trouble, "Redis is out of reach: other instances hear of changes late");
        }
        let again = platform.now() + BACKOFF.delay(carrier.failures, platform);
        others.link.send_replace(Link::Resting(carrier.failures));
        tokio::select! {
            () = platform.clock.sleep_until(again) => {}
            () = ended.cancelled() => return,
        }
        others.link.send_replace(Link::Trying);
    }
}

/// Whether Redis lets us listen, and answers.
///
/// # Errors
/// SERVICE_UNAVAILABLE, with what is wrong.
pub async fn try_redis(platform: &Platform) -> Result<(), Error> {
    let Some(others) = &platform.events.others else { return Ok(()) };
    let tried = async {
        let channel = channel_of("check");
        let mut connection = connect(platform, others, &channel, |_| {}).await?;
        in_time(platform, cmd("PING").query_async::<()>(&mut connection)).await
    };
    let refused = |trouble: Trouble| {
        let told = format!("REDIS_URL: {trouble}");
        Error::new(ErrorCode::ServiceUnavailable, told)
    };
    tried.await.map_err(refused)
}

struct Carrier<'a> {
    platform: &'a Platform,
    others: &'a Arc<Others>,
    /// How this instance's own messages are known.
    me: Arc<str>,
    /// Where the instances of this installation meet, once it was read.
    channel: Option<String>,
    /// Since it last worked.
    failures: u32,
    /// As it was last logged.
    is_lost: bool,
}

impl Carrier<'_> {
    /// Connects, and tells and hears until the connection is lost, or the end has come.
    async fn until_lost(&mut self, ended: &CancellationToken) -> Result<(), Trouble> {
        let lost = Arc::new(Notify::new());
        let mut connection = tokio::select! {
            connected = self.connected(&lost) => connected?,
            () = ended.cancelled() => return Ok(()),
        };
        tracing::info!("Redis carries events between instances");
        self.is_lost = false;
        // It listens by now. What was told before was missed.
        self.platform.events.publish_all();
        self.others.figures.gaps.fetch_add(1, Ordering::Relaxed);
        self.others.link.send_replace(Link::Connected);
        loop {
            let asked_at = self.platform.now() + ASKED_AFTER;
            tokio::select! {
                () = self.others.has_news() => self.tell(&mut connection).await?,
                () = lost.notified() => return Err(Trouble::Closed),
                () = self.platform.clock.sleep_until(asked_at) => {
                    in_time(self.platform, cmd("PING").query_async::<()>(&mut connection)).await?;
                }
                () = ended.cancelled() => return self.tell(&mut connection).await,
            }
            self.failures = 0;
        }
    }

    async fn connected(&mut self, lost: &Arc<Notify>) -> Result<MultiplexedConnection, Trouble> {
        let channel = match &self.channel {
            Some(channel) => channel,
            None => {
                let id = installation::id(self.platform).await.map_err(Trouble::Ours)?;
                self.channel.insert(channel_of(&id.to_string()))
            }
        };
        let events: Events = self.platform.events.clone();
        let (others, me, lost) = (self.others.clone(), self.me.clone(), lost.clone());
        let hear = move |push: PushInfo| match push.kind {
            PushKind::Disconnection => lost.notify_one(),
            _ => {
                if let Some(message) = Msg::from_push_info(push) {
                    events.hear(
                        &others,
                        &me,
                        &String::from_utf8_lossy(message.get_payload_bytes()),
                    );
                }
            }
        };
        connect(self.platform, self.others, channel, hear).await
    }

    /// Tells everything that is to be told by now.
    async fn tell(&self, connection: &mut MultiplexedConnection) -> Result<(), Trouble> {
        let pending = self.others.take();
        if pending.news.is_empty() {
            return Ok(());
        }
        let mut publish = cmd("PUBLISH");
        publish.arg(self.channel.as_deref()).arg(pending.news.written(&self.me));
        match in_time(self.platform, publish.query_async(connection)).await {
            Ok(instances) => {
                self.others.figures.published.fetch_add(pending.news.count(), Ordering::Relaxed);
                // It is one of them.
                let others = u64::saturating_sub(instances, 1);
                for asks in pending.asked {
                    // Who asked may have left.
                    let _ = asks.send(others);
                }
                Ok(())
            }
            Err(trouble) => {
                self.others.put_back(pending);
                Err(trouble)
            }
        }
    }
}

/// The channel of an installation. Redis may be shared with others, and its databases share channels.
fn channel_of(installation: &str) -> String {
    format!("switchboard:events:{installation}")
}

/// A connection that listens to a channel.
async fn connect(
    platform: &Platform,
    others: &Others,
    channel: &str,
    hear: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<MultiplexedConnection, Trouble> {
    let info = others.url.expose_secret().into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings))?;
    // The time that may pass is measured here, by the one clock.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_push_sender(move |push| {
            hear(push);
            Ok::<_, Infallible>(())
        });
    let connecting = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(channel).await?;
        Ok(connection)
    };
    in_time(platform, connecting).await
}

/// What Redis answers, unless it takes too long.
async fn in_time<T>(
    platform: &Platform,
    answer: impl Future<Output = RedisResult<T>>,
) -> Result<T, Trouble> {
    tokio::select! {
        answer = answer => Ok(answer?),
        () = platform.clock.sleep_until(platform.now() + ANSWERS_WITHIN) => Err(Trouble::Silent),
    }
}
