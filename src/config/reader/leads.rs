//! Reads the settings of leads.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};

use super::values::SettingsReader;
use crate::config::leads::{LeadFormConfig, LeadNetwork, LeadsConfig, MetaConfig};

const MAX_FORM_ID_LEN: usize = 128;
const MIN_SECRET_LEN: usize = 16;
const MAX_CAMPAIGN_LEN: usize = 64;
const MAX_COINS: i32 = 1_000_000;

const NETWORKS: [LeadNetwork; 4] =
    [LeadNetwork::Meta, LeadNetwork::GoogleAds, LeadNetwork::SignedWebhook, LeadNetwork::ClaimLink];

impl SettingsReader {
    pub(super) fn leads(&mut self) -> LeadsConfig {
        let mut leads = LeadsConfig {
            forms: Vec::new(),
            meta: self.meta(),
            google_ads_key: self.secret("GOOGLE_ADS_KEY"),
            webhook_secret: self.secret("LEAD_WEBHOOK_SECRET"),
        };
        for entry in self.list("LEAD_CAMPAIGNS") {
            match parse_entry(&entry, &leads) {
                Ok(forms) => leads.forms.extend(forms),
                Err(problem) => self.problems.push(format!("LEAD_CAMPAIGNS: {problem}")),
            }
        }
        self.problems.extend(contradictions(&leads.forms));
        leads
    }

    fn meta(&mut self) -> Option<MetaConfig> {
        const WHY: &str =
            "Meta's leads need META_APP_SECRET, META_VERIFY_TOKEN and META_PAGE_TOKEN";
        let secrets = ["META_APP_SECRET", "META_VERIFY_TOKEN", "META_PAGE_TOKEN"];
        let base_url = self.url("META_BASE_URL", "https://graph.facebook.com/v24.0");
        if !matches!(base_url.scheme(), "http" | "https") {
            self.problems.push("META_BASE_URL: must start with https:// or http://".into());
        }
        if !secrets.iter().any(|key| self.is_set(key)) {
            return None;
        }
        let [app_secret, verify_token, page_token] =
            secrets.map(|key| SecretString::from(self.require(key, WHY).trim().to_owned()));
        if !is_visible_ascii(&page_token) {
            self.problems.push("META_PAGE_TOKEN: must be visible ASCII without spaces".into());
        }
        self.check_length("META_VERIFY_TOKEN", &verify_token);
        Some(MetaConfig { app_secret, verify_token, page_token, base_url })
    }

    fn secret(&mut self, key: &'static str) -> Option<SecretString> {
        let secret: SecretString = self.text(key)?.trim().to_owned().into();
        self.check_length(key, &secret);
        Some(secret)
    }

    /// Whoever guesses such a secret can send leads.
    fn check_length(&mut self, key: &str, secret: &SecretString) {
        if (1..MIN_SECRET_LEN).contains(&secret.expose_secret().chars().count()) {
            self.problems.push(format!(
                "{key}: must have at least {MIN_SECRET_LEN} characters, such as what `openssl rand -hex 24` prints"
            ));
        }
    }
}

/// Whether a token can be sent in an HTTP header.
fn is_visible_ascii(token: &SecretString) -> bool {
    token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())
}

/// Parses `[network:]form=campaign:coins`. A form without a network is one of each webhook whose secret is set.
fn parse_entry(entry: &str, leads: &LeadsConfig) -> Result<Vec<LeadFormConfig>, String> {
    let shape = || {
        format!(
            "{entry:?} must be form=campaign:coins; before the form may stand meta:, google:, lead: or claim:"
        )
    };
    let (form, terms) = entry.split_once('=').ok_or_else(shape)?;
    let (campaign, coins) = terms.rsplit_once(':').ok_or_else(shape)?;
    let (form, campaign) = (form.trim(), campaign.trim());
    let prefixed = NETWORKS.into_iter().find_map(|network| {
        let id = form.strip_prefix(network.prefix())?.strip_prefix(':')?;
        Some((network, id.trim()))
    });
    let id = prefixed.map_or(form, |(_, id)| id);
    let is_id_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if id.is_empty() || id.len() > MAX_FORM_ID_LEN || !id.bytes().all(is_id_byte) {
        return Err(format!(
            "the form of {entry:?} must have 1 to {MAX_FORM_ID_LEN} letters, digits, `.`, `_` or `-`"
        ));
    }
    let is_line = !campaign.chars().any(char::is_control);
    if campaign.is_empty() || campaign.chars().count() > MAX_CAMPAIGN_LEN || !is_line {
        return Err(format!(
            "the campaign of {entry:?} must have 1 to {MAX_CAMPAIGN_LEN} characters"
        ));
    }
    let coins = coins.trim().parse().ok().filter(|coins| (1..=MAX_COINS).contains(coins));
    let coins = coins.ok_or_else(|| format!("the coins of {entry:?} must be 1 to {MAX_COINS}"))?;
    let networks = match prefixed {
        Some((network, _)) => vec![network],
        None => open_webhooks(leads),
    };
    let missing = match prefixed {
        None => networks.is_empty().then_some(
            "META_APP_SECRET, GOOGLE_ADS_KEY or LEAD_WEBHOOK_SECRET, else nothing can send it",
        ),
        Some((network, _)) => missing_secret(network, leads),
    };
    if let Some(missing) = missing {
        return Err(format!("{entry:?} needs {missing}"));
    }
    let to_form = |network| LeadFormConfig {
        network,
        form: id.to_owned(),
        campaign: campaign.to_owned(),
        coins,
    };
    Ok(networks.into_iter().map(to_form).collect())
}

/// The networks whose webhooks exist.
fn open_webhooks(leads: &LeadsConfig) -> Vec<LeadNetwork> {
    let is_open =
        |network| network != LeadNetwork::ClaimLink && missing_secret(network, leads).is_none();
    NETWORKS.into_iter().filter(|network| is_open(*network)).collect()
}

/// The secret that a network's leads need and that is not set.
fn missing_secret(network: LeadNetwork, leads: &LeadsConfig) -> Option<&'static str> {
    let (is_set, secret) = match network {
        LeadNetwork::Meta => (leads.meta.is_some(), "META_APP_SECRET"),
        LeadNetwork::GoogleAds => (leads.google_ads_key.is_some(), "GOOGLE_ADS_KEY"),
        LeadNetwork::SignedWebhook => (leads.webhook_secret.is_some(), "LEAD_WEBHOOK_SECRET"),
        LeadNetwork::ClaimLink => (true, ""),
    };
    (!is_set).then_some(secret)
}

/// Forms that are there twice, and campaigns with different coins.
fn contradictions(forms: &[LeadFormConfig]) -> BTreeSet<String> {
    let mut problems = BTreeSet::new();
    for (index, form) in forms.iter().enumerate() {
        for other in &forms[..index] {
            if (form.network, &form.form) == (other.network, &other.form) {
                problems.insert(format!("LEAD_CAMPAIGNS: the form {} is there twice", form.form));
            } else if form.campaign == other.campaign && form.coins != other.coins {
                problems.insert(format!(
                    "LEAD_CAMPAIGNS: the campaign {:?} always gives the same number of coins",
                    form.campaign
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<LeadsConfig, Vec<String>> {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut reader = SettingsReader::new(values.collect::<BTreeMap<_, _>>());
        let leads = reader.leads();
        if reader.problems.is_empty() { Ok(leads) } else { Err(reader.problems) }
    }

    fn forms(values: &[(&str, &str)]) -> Vec<String> {
        let leads = read(values).expect("valid");
        let show = |form: &LeadFormConfig| {
            format!("{}:{}={}:{}", form.network.prefix(), form.form, form.campaign, form.coins)
        };
        leads.forms.iter().map(show).collect()
    }

    const META: [(&str, &str); 3] = [
        ("META_APP_SECRET", "a"),
        ("META_VERIFY_TOKEN", "sixteen letters."),
        ("META_PAGE_TOKEN", "p"),
    ];

    #[test]
    fn a_form_without_a_network_is_one_of_each_open_webhook() {
        let google = ("GOOGLE_ADS_KEY", "sixteen letters.");
        let campaigns = ("LEAD_CAMPAIGNS", "123=Spring: sale:5, claim:post=Post:1,");
        assert_eq!(forms(&[google, campaigns]), ["google:123=Spring: sale:5", "claim:post=Post:1"]);
        let all =
            [&META[..], &[google, ("LEAD_WEBHOOK_SECRET", "sixteen letters."), campaigns]].concat();
        assert_eq!(
            forms(&all),
            [
                "meta:123=Spring: sale:5",
                "google:123=Spring: sale:5",
                "lead:123=Spring: sale:5",
                "claim:post=Post:1"
            ]
        );
        let campaigns = ("LEAD_CAMPAIGNS", "meta:1=A:1,google:1=B:2");
        let all = [&META[..], &[google, campaigns]].concat();
        assert_eq!(forms(&all), ["meta:1=A:1", "google:1=B:2"]);
        assert!(forms(&[]).is_empty());
    }

    #[test]
    fn what_cannot_work_is_a_problem_at_the_start() {
        let long = format!("claim:a={}:1", "x".repeat(65));
        for (entry, expected) in [
            ("claim:a", "must be form=campaign:coins"),
            ("claim:a=Spring", "must be form=campaign:coins"),
            ("claim:=Spring:1", "the form of"),
            ("claim:a b=Spring:1", "the form of"),
            ("claim:a=:1", "the campaign of"),
            (&long, "the campaign of"),
            ("claim:a=Spring:0", "the coins of"),
            ("claim:a=Spring:1000001", "the coins of"),
            ("claim:a=Spring:many", "the coins of"),
            ("claim:a=Spring:1,claim:a=Autumn:1", "is there twice"),
            ("claim:a=Spring:1,claim:b=Spring:2", "the same number of coins"),
            ("123=Spring:1", "needs META_APP_SECRET, GOOGLE_ADS_KEY or LEAD_WEBHOOK_SECRET"),
            ("meta:123=Spring:1", "needs META_APP_SECRET"),
            ("google:123=Spring:1", "needs GOOGLE_ADS_KEY"),
            ("lead:123=Spring:1", "needs LEAD_WEBHOOK_SECRET"),
        ] {
            let problems = read(&[("LEAD_CAMPAIGNS", entry)]).expect_err(entry);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with("LEAD_CAMPAIGNS: "), "{problems:?}");
            assert!(problems[0].contains(expected), "{problems:?}");
        }
    }

    #[test]
    fn secrets_that_can_be_guessed_are_a_problem() {
        for key in ["GOOGLE_ADS_KEY", "LEAD_WEBHOOK_SECRET"] {
            let problems = read(&[(key, "fifteen letters")]).expect_err("too short");
            assert!(
                problems[0].starts_with(&format!("{key}: must have at least 16")),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn meta_needs_three_secrets() {
        for (missing, _) in META {
            let others: Vec<_> = META.into_iter().filter(|(key, _)| *key != missing).collect();
            let problems = read(&others).expect_err(missing);
            assert!(problems[0].starts_with(missing), "{problems:?}");
        }
        let leads = read(&META).expect("valid");
        assert!(!format!("{leads:?}").contains("\"p\""), "secrets do not print");
        assert!(read(&[("META_BASE_URL", "ftp://x")]).is_err());
    }
}
