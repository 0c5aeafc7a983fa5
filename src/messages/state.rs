//! State of the messages module that lives as long as the process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;

use super::dispatch::lane_start::LaneStartCache;
use super::gateway::console::{ConsoleGateway, PrintedSms};
use super::gateway::{self, SmsGateway};
use super::queue_stats::QueueStats;
use super::receipt_counters::ReceiptCounters;
use super::templates::Templates;
use crate::config::Config;
use crate::config::sms::SmsConfig;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::Notifier;
use crate::platform::phone::Region;

/// Settings, gateways, texts and caches.
pub struct Messages {
    /// The texts of messages.
    pub templates: Templates,
    /// Notified when a message was queued.
    pub notifier: Notifier,
    pub(super) settings: SmsConfig,
    /// The main gateway, then its fallback.
    pub(super) gateways: Vec<Arc<dyn SmsGateway>>,
    pub(super) console: Option<Arc<ConsoleGateway>>,
    pub(super) receipt_counters: ReceiptCounters,
    /// The statistics that watchers were last notified of, and the clock's uptime at that time.
    pub(super) last_published: Mutex<Option<(Duration, QueueStats)>>,
    /// Whether the cool-downs from before the start of this instance were ended.
    pub(super) cooldowns_ended: AtomicBool,
    pub(super) default_region: Option<Region>,
    /// By gateway: when the newest attempt began that it accepted or refused.
    pub(super) last_success_at: Mutex<BTreeMap<&'static str, Timestamp>>,
    pub(super) lane_starts: LaneStartCache,
    /// The start of this instance as last computed: time minus uptime. It is earlier when the clock was set back.
    pub(super) started_at: Mutex<Option<Timestamp>>,
}

impl Messages {
    /// Builds the state from the configuration.
    ///
    /// # Errors
    /// A sentence that names the bad setting.
    pub fn new(platform: &Platform, config: &Config) -> Result<Self, String> {
        let settings = &config.sms;
        let console = Arc::new(ConsoleGateway::new(platform.clock.clone()));
        let mut gateways = Vec::new();
        for settings in [&settings.gateway, &settings.fallback].into_iter().flatten() {
            gateways.push(gateway::from_settings(settings, &console)?);
        }
        let uses_console = gateways.iter().any(|gateway| gateway.name() == console.name());
        Ok(Self {
            templates: Templates::new(&settings.language, &settings.service_name)?,
            notifier: Notifier::default(),
            settings: settings.clone(),
            gateways,
            console: uses_console.then_some(console),
            receipt_counters: ReceiptCounters::default(),
            last_published: Mutex::new(None),
            cooldowns_ended: AtomicBool::new(false),
            default_region: config.default_region.map(Region::from),
            last_success_at: Mutex::default(),
            lane_starts: LaneStartCache::default(),
            started_at: Mutex::default(),
        })
    }

    /// The names of the configured gateways, the main one first.
    pub fn gateway_names(&self) -> impl Iterator<Item = &'static str> + use<'_> {
        self.gateways.iter().map(|gateway| gateway.name())
    }

    /// The messages that the console gateway printed, newest first. None if it is not configured.
    pub fn console_messages(&self, to: Option<&str>) -> Option<Vec<PrintedSms>> {
        Some(self.console.as_ref()?.printed(to))
    }
}
