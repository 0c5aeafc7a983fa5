//! In-memory state of leads: the forms with their campaigns, the secrets of the webhooks, and limits.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use crate::bonuses::campaign::CampaignTerms;
use crate::bonuses::entity::leads::Forms;
use crate::config::Config;
use crate::config::leads::{LeadFormConfig, LeadNetwork, MetaConfig};
use crate::platform::Platform;
use crate::platform::jobs::Notifier;
use crate::platform::rate_limiter::{RateLimit, RateLimiter};
use crate::platform::shared_rate_limit::SharedRateLimit;
use crate::platform::text;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The state of leads, one per process.
pub struct Leads {
    /// The forms of each network, with the terms of their campaigns.
    forms: BTreeMap<LeadNetwork, BTreeMap<String, CampaignTerms>>,
    /// The ids of the forms of each network.
    form_ids: Vec<(LeadNetwork, Vec<String>)>,
    pub(super) meta: Option<MetaConfig>,
    pub(super) google_ads_key: Option<SecretString>,
    pub(super) webhook_secret: Option<SecretString>,
    /// Wakes the job that fetches leads.
    pub fetch_notifier: Notifier,
    /// Wakes the job that applies leads.
    pub apply_notifier: Notifier,
    pub(super) claims_per_number: SharedRateLimit,
    pub(super) claims_per_address: SharedRateLimit,
    /// Which unknown forms were logged in the last hour.
    logged_forms: RateLimiter<(LeadNetwork, String)>,
}

impl Leads {
    /// The state with the configured forms.
    pub fn new(config: &Config) -> Self {
        let limit = |name, max_attempts, window| SharedRateLimit {
            name,
            limit: RateLimit { max_attempts, window },
        };
        let limits = &config.rate_limits;
        let mut forms: BTreeMap<LeadNetwork, BTreeMap<String, CampaignTerms>> = BTreeMap::new();
        for LeadFormConfig { network, form, campaign, coins } in &config.leads.forms {
            let terms = CampaignTerms { name: text::nfc(campaign), coins: *coins, message: None };
            forms.entry(*network).or_default().insert(form.clone(), terms);
        }
        let ids = |forms: &BTreeMap<String, _>| forms.keys().cloned().collect();
        let logged_once_an_hour = RateLimit { max_attempts: 1, window: HOUR };
        Self {
            form_ids: forms.iter().map(|(network, forms)| (*network, ids(forms))).collect(),
            forms,
            meta: config.leads.meta.clone(),
            google_ads_key: config.leads.google_ads_key.clone(),
            webhook_secret: config.leads.webhook_secret.clone(),
            fetch_notifier: Notifier::default(),
            apply_notifier: Notifier::default(),
            claims_per_number: limit("claims.number", limits.claims_per_number, DAY),
            claims_per_address: limit("claims.address", limits.claims_per_address, HOUR),
            logged_forms: RateLimiter::new(logged_once_an_hour),
        }
    }

    /// The terms of a form's campaign. None: no setting names the form.
    pub(super) fn terms(&self, network: LeadNetwork, form: &str) -> Option<&CampaignTerms> {
        self.forms.get(&network)?.get(form)
    }

    /// All forms with the terms of their campaigns.
    pub(super) fn forms(&self) -> impl Iterator<Item = (LeadNetwork, &str, &CampaignTerms)> {
        self.forms.iter().flat_map(|(network, forms)| {
            forms.iter().map(|(form, terms)| (*network, form.as_str(), terms))
        })
    }

    /// The ids of all forms, by network.
    pub(super) fn form_ids(&self) -> Vec<Forms<'_>> {
        self.form_ids.iter().map(|(network, forms)| (*network, forms.as_slice())).collect()
    }

    /// Warns of a form that no setting names, at most once an hour.
    pub(super) fn log_unknown_form(&self, platform: &Platform, network: LeadNetwork, form: &str) {
        let key = (network, form.to_owned());
        if self.logged_forms.acquire(platform.uptime(), &key).is_ok() {
            let prefix = network.prefix();
            tracing::warn!(
                "a lead came from the form {prefix}:{form}, which LEAD_CAMPAIGNS does not name"
            );
        }
    }
}
