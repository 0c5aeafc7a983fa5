//! Redis bridge: sends events to the other instances and receives theirs.
//!
//! One connection does both: with RESP3, published messages arrive between responses. All topics of an installation
//! share one channel, and a message holds many topics, so a topic's listeners cost Redis nothing. While a message is
//! sent, the next one collects; publishers never wait.

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

use super::bus::Events;
use super::installation;
use super::outbox::{Outbox, RedisLink};
use crate::error::{Error, ErrorCode};
use crate::platform::Platform;
use crate::platform::jobs::Backoff;

/// How long a response from Redis may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle connection is pinged this often.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// While Redis is unreachable, all states are read again after a failed attempt, at most this often.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);
const RECONNECT_BACKOFF: Backoff =
    Backoff { initial: Duration::from_millis(500), max: Duration::from_secs(10) };

/// Why the connection failed.
#[derive(Debug, thiserror::Error)]
enum BridgeError {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer in time")]
    Timeout,
    #[error("the connection was closed")]
    Closed,
    #[error("{}", .0.describe())]
    Internal(Error),
}

/// Exchanges events with the other instances, and reconnects whenever the connection is lost. Ends when it is stopped,
/// after it has sent what is pending.
pub async fn run_redis_bridge(platform: &Platform, stopping: &CancellationToken) {
    let Some(outbox) = &platform.events.outbox else { return };
    let instance_id = HEXLOWER.encode(&platform.random::<8>()).into();
    let mut bridge =
        Bridge { platform, outbox, instance_id, channel: None, failures: 0, is_loss_logged: false };
    let mut refresh_at = platform.uptime();
    loop {
        let Err(error) = bridge.run_connection(stopping).await else { return };
        bridge.failures += 1;
        // Events of other instances are missing, so all states are read again.
        if platform.uptime() >= refresh_at {
            platform.events.publish_all_local();
            refresh_at = platform.uptime() + REFRESH_INTERVAL;
        }
        if !bridge.is_loss_logged {
            bridge.is_loss_logged = true;
            tracing::warn!(trouble = %error, "Redis is out of reach: other instances hear of changes late");
        }
        let retry_at = platform.now() + RECONNECT_BACKOFF.delay(bridge.failures, platform);
        outbox.link.send_replace(RedisLink::BackingOff(bridge.failures));
        tokio::select! {
            () = platform.clock.sleep_until(retry_at) => {}
            () = stopping.cancelled() => return,
        }
        outbox.link.send_replace(RedisLink::Connecting);
    }
}

/// Checks that Redis responds and allows a subscription.
///
/// # Errors
/// SERVICE_UNAVAILABLE, with the reason.
pub async fn check_redis(platform: &Platform) -> Result<(), Error> {
    let Some(outbox) = &platform.events.outbox else { return Ok(()) };
    let check = async {
        let channel = channel_name("check");
        let mut connection = connect(platform, outbox, &channel, |_| {}).await?;
        with_timeout(platform, cmd("PING").query_async::<()>(&mut connection)).await
    };
    check.await.map_err(|error: BridgeError| {
        Error::new(ErrorCode::ServiceUnavailable, format!("REDIS_URL: {error}"))
    })
}

struct Bridge<'a> {
    platform: &'a Platform,
    outbox: &'a Arc<Outbox>,
    /// Marks the messages of this instance.
    instance_id: Arc<str>,
    /// The channel of this installation, once its id is loaded.
    channel: Option<String>,
    /// Failed attempts since the connection last worked.
    failures: u32,
    /// Whether the last log entry reported a lost connection.
    is_loss_logged: bool,
}

impl Bridge<'_> {
    /// Connects, and exchanges events until the connection is lost (an error) or the bridge is stopped.
    async fn run_connection(&mut self, stopping: &CancellationToken) -> Result<(), BridgeError> {
        let lost = Arc::new(Notify::new());
        let mut connection = tokio::select! {
            connected = self.subscribe(&lost) => connected?,
            () = stopping.cancelled() => return Ok(()),
        };
        tracing::info!("Redis carries events between instances");
        self.is_loss_logged = false;
        // Events from before the subscription were missed.
        self.platform.events.publish_all_local();
        self.outbox.metrics.gaps.fetch_add(1, Ordering::Relaxed);
        self.outbox.link.send_replace(RedisLink::Connected);
        loop {
            let ping_at = self.platform.now() + PING_INTERVAL;
            tokio::select! {
                () = self.outbox.wait_until_pending() => self.send_pending(&mut connection).await?,
                () = lost.notified() => return Err(BridgeError::Closed),
                () = self.platform.clock.sleep_until(ping_at) => {
                    with_timeout(self.platform, cmd("PING").query_async::<()>(&mut connection)).await?;
                }
                () = stopping.cancelled() => return self.send_pending(&mut connection).await,
            }
            self.failures = 0;
        }
    }

    /// Opens a connection that passes received events to the bus.
    async fn subscribe(
        &mut self,
        lost: &Arc<Notify>,
    ) -> Result<MultiplexedConnection, BridgeError> {
        let channel = match &self.channel {
            Some(channel) => channel,
            None => {
                let id =
                    installation::load_id(self.platform).await.map_err(BridgeError::Internal)?;
                self.channel.insert(channel_name(&id.to_string()))
            }
        };
        let events: Events = self.platform.events.clone();
        let (outbox, instance_id) = (self.outbox.clone(), self.instance_id.clone());
        let lost = lost.clone();
        let on_push = move |push: PushInfo| match push.kind {
            PushKind::Disconnection => lost.notify_one(),
            _ => {
                if let Some(message) = Msg::from_push_info(push) {
                    events.receive(
                        &outbox,
                        &instance_id,
                        &String::from_utf8_lossy(message.get_payload_bytes()),
                    );
                }
            }
        };
        connect(self.platform, self.outbox, channel, on_push).await
    }

    /// Sends everything that is pending, in one message.
    async fn send_pending(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), BridgeError> {
        let batch = self.outbox.take();
        if batch.changes.is_empty() {
            return Ok(());
        }
        let mut publish = cmd("PUBLISH");
        publish.arg(self.channel.as_deref()).arg(batch.changes.encode(&self.instance_id));
        match with_timeout(self.platform, publish.query_async(connection)).await {
            Ok(instances) => {
                self.outbox
                    .metrics
                    .published
                    .fetch_add(batch.changes.topic_count(), Ordering::Relaxed);
                // Without this instance, which receives its own message.
                let other_instances = u64::saturating_sub(instances, 1);
                for sender in batch.waiters {
                    // Fails if the caller no longer waits.
                    let _ = sender.send(other_instances);
                }
                Ok(())
            }
            Err(error) => {
                self.outbox.restore(batch);
                Err(error)
            }
        }
    }
}

/// The channel of an installation. Other installations may use the same Redis, and channels span its databases.
fn channel_name(installation_id: &str) -> String {
    format!("switchboard:events:{installation_id}")
}

/// Connects and subscribes to a channel.
async fn connect(
    platform: &Platform,
    outbox: &Outbox,
    channel: &str,
    on_push: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<MultiplexedConnection, BridgeError> {
    let info = outbox.url.expose_secret().into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings))?;
    // No timeouts of its own: `with_timeout` measures them with the platform's clock.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_push_sender(move |push| {
            on_push(push);
            Ok::<_, Infallible>(())
        });
    let connecting = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(channel).await?;
        Ok(connection)
    };
    with_timeout(platform, connecting).await
}

/// Waits for a response for at most [`RESPONSE_TIMEOUT`].
async fn with_timeout<T>(
    platform: &Platform,
    response: impl Future<Output = RedisResult<T>>,
) -> Result<T, BridgeError> {
    tokio::select! {
        response = response => Ok(response?),
        () = platform.clock.sleep_until(platform.now() + RESPONSE_TIMEOUT) => Err(BridgeError::Timeout),
    }
}
