//! Figures of lead forms: how many leads came in, and what became of them.

use std::collections::HashSet;

use super::state::Leads;
use crate::bonuses::Bonuses;
use crate::bonuses::entity::campaigns;
use crate::bonuses::entity::leads::{self, LeadError, LeadState, StateCount};
use crate::config::leads::LeadNetwork;
use crate::error::Result;
use crate::ids::CampaignId;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// The figures of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormFigures {
    /// The network.
    pub network: LeadNetwork,
    /// The form.
    pub form: String,
    /// The campaign.
    pub campaign: String,
    /// Leads that came in, without tests.
    pub received: i64,
    /// Leads whose coins were paid.
    pub credited: i64,
    /// Leads whose coins wait for somebody to verify the number.
    pub pending: i64,
    /// Leads that get nothing, except duplicates.
    pub rejected: i64,
    /// Leads whose number was not fetched.
    pub unfetched: i64,
    /// When the last lead or test came in.
    pub last_received_at: Option<Timestamp>,
    /// Why the lead that failed last did.
    pub last_error: Option<LeadError>,
}

/// The figures of all configured forms.
pub async fn read_figures(state: &Bonuses, platform: &Platform) -> Result<Vec<FormFigures>> {
    let db = platform.database.reporting();
    let counts = leads::count_by_state(db).await?;
    let campaigns: HashSet<CampaignId> =
        counts.iter().filter_map(|count| count.campaign_id).collect();
    let campaigns: Vec<CampaignId> = campaigns.into_iter().collect();
    let campaigns = campaigns::find_by_ids(db, &campaigns).await?;
    let ended = campaigns.iter().filter(|campaign| campaign.ended_at.is_some());
    let ended: HashSet<CampaignId> = ended.map(|campaign| campaign.id).collect();
    let mut figures = sum(&state.leads, &counts, &ended);
    for form in figures.iter_mut().filter(|form| form.received > 0) {
        form.last_error = leads::find_last_error(db, form.network, &form.form).await?;
    }
    Ok(figures)
}

fn sum(state: &Leads, counts: &[StateCount], ended: &HashSet<CampaignId>) -> Vec<FormFigures> {
    let figures = state.forms().map(|(network, form, terms)| {
        let mut figures = FormFigures {
            network,
            form: form.to_owned(),
            campaign: terms.name.clone(),
            received: 0,
            credited: 0,
            pending: 0,
            rejected: 0,
            unfetched: 0,
            last_received_at: None,
            last_error: None,
        };
        let is_own = |count: &&StateCount| count.network == network && count.form == form;
        for count in counts.iter().filter(is_own) {
            figures.last_received_at = figures.last_received_at.max(Some(count.last_received_at));
            if count.state == LeadState::Test {
                continue;
            }
            figures.received += count.count;
            let has_ended = count.campaign_id.is_some_and(|campaign| ended.contains(&campaign));
            match count.state {
                LeadState::Credited => figures.credited += count.count,
                // What was pending when its campaign ended has expired.
                LeadState::Pending if has_ended => figures.rejected += count.count,
                LeadState::Pending => figures.pending += count.count,
                LeadState::Rejected => figures.rejected += count.count,
                LeadState::Unfetched => figures.unfetched += count.count,
                LeadState::Received
                | LeadState::Duplicate
                | LeadState::UnknownForm
                | LeadState::Test => {}
            }
        }
        figures
    });
    figures.collect()
}
