//! Messages: SMS in a queue that loses nothing. A message is a row, written in the transaction of the deed
//! that it tells of; workers hand it to a gateway, and receipts tell how far it got.
//!
//! It knows nobody's reasons: rooms above give it a number, a text and a lane.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::Config;
use crate::config::sms::Sms;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::jobs::Wake;
use crate::platform::phone::Region;
use begins::Begins;
use gateway::Gateway;
use gateway::console::Console;
use receipt::Uncounted;

mod begins;
mod bring_forward;
mod counts;
mod delivery;
mod entity;
mod forward;
mod gateway;
mod give_up;
pub mod graphql;
mod health;
mod pattern;
mod queue;
mod receipt;
mod reseal;
mod retention;
mod retry;
mod segments;
mod send;
mod settle;
mod stalled;
mod status;
mod take;
mod templates;
mod unknown;

pub use counts::{Counts, GatewayState, counts, gateway_states, moves_topic, tell, topic};
pub use delivery::{deliveries, delivery_topic, forget, withdraw};
pub use entity::messages::{Model as Message, codes_to};
pub use gateway::Call;
pub use gateway::console::Sent;
pub use give_up::give_up;
pub use queue::{NewMessage, Text, queue};
pub use receipt::{Refusal, receive};
pub use reseal::reseal;
pub use retention::tidy;
pub use retry::{Filter, retry, retry_all};
pub use send::send_due;
pub use stalled::is_stalled;
pub use status::{Kind, Status};
pub use templates::{Template, Templates, campaign_text};
pub use unknown::settle_unknown;

/// What the room keeps as long as the process lives.
pub struct Messages {
    /// The texts.
    pub templates: Templates,
    /// Woken when a message was committed.
    pub wake: Wake,
    settings: Sms,
    /// The first, and its fallback.
    gateways: Vec<Arc<dyn Gateway>>,
    console: Option<Arc<Console>>,
    uncounted: Uncounted,
    /// What those who watch were last told, and at which uptime of the clock.
    told: Mutex<Option<(Duration, Counts)>>,
    /// Whether the gateways' rests of before the start are over.
    has_started: AtomicBool,
    default_region: Option<Region>,
    /// When the newest message was handed over that a gateway has taken, by the gateway's name.
    worked_at: Mutex<BTreeMap<&'static str, Instant>>,
    /// Where the lanes began when it was last looked.
    begins: Mutex<Option<Begins>>,
    /// When this instance started, by the clock as it was last seen: earlier once the clock was set back.
    started_at: Mutex<Option<Instant>>,
}

impl Messages {
    /// As it is configured.
    ///
    /// # Errors
    /// A sentence that names the bad setting.
    pub fn new(platform: &Platform, config: &Config) -> Result<Self, String> {
        let settings = &config.sms;
        let console = Arc::new(Console::new(platform.clock.clone()));
        let mut gateways = Vec::new();
        for settings in [&settings.gateway, &settings.fallback].into_iter().flatten() {
            gateways.push(gateway::of(settings, &console)?);
        }
        let prints = gateways.iter().any(|gateway| gateway.name() == console.name());
        Ok(Self {
            templates: Templates::new(&settings.language, &settings.service_name)?,
            wake: Wake::default(),
            settings: settings.clone(),
            gateways,
            console: prints.then_some(console),
            uncounted: Uncounted::default(),
            told: Mutex::new(None),
            has_started: AtomicBool::new(false),
            default_region: config.default_region.map(Region::from),
            worked_at: Mutex::default(),
            begins: Mutex::default(),
            started_at: Mutex::default(),
        })
    }

    /// What the console gateway was given, the newest first. None: it is not in use.
    pub fn printed(&self, to: Option<&str>) -> Option<Vec<Sent>> {
        Some(self.console.as_ref()?.sent(to))
    }
}
