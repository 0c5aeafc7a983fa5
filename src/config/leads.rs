//! The settings of leads: phone numbers that people give in lead forms of social media or at a claim link.

use sea_orm::{DeriveActiveEnum, EnumIter};
use secrecy::SecretString;
use url::Url;

/// The settings of leads.
#[derive(Clone, Debug)]
pub struct LeadsConfig {
    /// The forms and claim links, each with its network. No form is there twice.
    pub forms: Vec<LeadFormConfig>,
    /// Meta's lead ads. Without it, `/webhooks/meta` does not exist.
    pub meta: Option<MetaConfig>,
    /// The key that Google Ads sends with each lead. Without it, `/webhooks/google-ads` does not exist.
    pub google_ads_key: Option<SecretString>,
    /// The secret that signs the leads of other networks. Without it, `/webhooks/leads/{form}` does not exist.
    pub webhook_secret: Option<SecretString>,
}

/// A form or claim link, and what its leads get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadFormConfig {
    /// The network.
    pub network: LeadNetwork,
    /// The id of the form or link within its network.
    pub form: String,
    /// The name of the campaign: 1 to 64 characters.
    pub campaign: String,
    /// The coins of each number: 1 to 1,000,000.
    pub coins: i32,
}

/// Where leads come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LeadNetwork {
    /// Lead ads of Facebook and Instagram.
    Meta,
    /// Lead forms of Google Ads.
    GoogleAds,
    /// Any other network, by a signed webhook.
    SignedWebhook,
    /// A link that people open themselves.
    ClaimLink,
}

impl LeadNetwork {
    /// The prefix of its forms in `LEAD_CAMPAIGNS`, without the colon.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::GoogleAds => "google",
            Self::SignedWebhook => "lead",
            Self::ClaimLink => "claim",
        }
    }
}

/// Meta's lead ads.
#[derive(Clone, Debug)]
pub struct MetaConfig {
    /// The app's secret, which signs webhooks.
    pub app_secret: SecretString,
    /// The token that Meta shows when the webhook is set up.
    pub verify_token: SecretString,
    /// The token of the page, with which leads are fetched.
    pub page_token: SecretString,
    /// The URL of the Graph API, with its version.
    pub base_url: Url,
}
